# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the two stores are: ``~/.mbl-stores.json``, the file that mbl-cli used too."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import PelionError

TEAM_VARIABLE = "PELION_TEAM_STORE"
USER_VARIABLE = "PELION_USER_STORE"


class PlacesError(PelionError):
    """The file that says where the stores are cannot be used."""


@dataclass(frozen=True)
class StorePlaces:
    """The stores' directories. ``by_default`` tells that nothing said where they are."""

    team: Path
    user: Path
    by_default: bool = False


def find_places(
    home: Path, environment: Mapping[str, str], *, team: Path | None = None, user: Path | None = None
) -> StorePlaces:
    """The places from ``team`` and ``user``, else the environment, else the file, else the defaults.

    The defaults are ``~/.mbl-store/team`` and ``~/.mbl-store/user`` (mbl-cli 2.0). Raises PlacesError
    when the file is needed and damaged; it is never overwritten then.
    """
    team = team or _of_environment(environment, TEAM_VARIABLE)
    user = user or _of_environment(environment, USER_VARIABLE)
    if team and user:
        return StorePlaces(team, user)
    path = home / ".mbl-stores.json"
    written = _read(path, home)
    return StorePlaces(
        team or written.get("team") or home / ".mbl-store" / "team",
        user or written.get("user") or home / ".mbl-store" / "user",
        by_default=not (team or user or os.path.lexists(path)),
    )


def write_places(home: Path, places: StorePlaces) -> None:
    """Write the file when there is none. Raises OSError."""
    text = json.dumps({"user": str(places.user), "team": str(places.team)}, indent=2) + "\n"
    descriptor, temporary = tempfile.mkstemp(prefix=".mbl-stores-", dir=home)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):  # another process was quicker, or the user
            os.link(temporary, home / ".mbl-stores.json")
    finally:
        os.unlink(temporary)


def _of_environment(environment: Mapping[str, str], name: str) -> Path | None:
    value = environment.get(name)
    return Path(os.path.abspath(os.path.expanduser(value))) if value else None


def _read(path: Path, home: Path) -> dict[str, Path]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise PlacesError(f"{path} cannot be read: {error.strerror}.", path=str(path)) from error
    try:
        places = json.loads(text)
    except (ValueError, RecursionError):
        places = None
    if not isinstance(places, dict):
        raise PlacesError(
            f'{path} is damaged: it should hold {{"user": "DIRECTORY", "team": "DIRECTORY"}}. '
            "Fix it, or remove it to get the default places.",
            path=str(path),
        )
    found = {}
    for key in ("team", "user"):
        if key not in places:
            continue
        value = places[key]
        place = (
            Path(value.replace("~", str(home), 1) if value.startswith("~/") else value)
            if isinstance(value, str)
            else None
        )
        if place is None or not place.is_absolute():
            raise PlacesError(f"In {path}, {key!r} is {value!r}, which is not an absolute directory.", path=str(path))
        found[key] = place
    return found
