# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boards that earlier runs found: a small file of this user's."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ..durable_file import replace_file
from ..errors import PelionError
from .hosts import Host
from .names import is_host_name

KEPT = timedelta(days=30)
"""A board that was not there for so long is forgotten."""


def usual_file(sought: object) -> Path:
    """Where this user keeps the boards of all sources that seek the same; ``sought`` is JSON-able. Not by the source's
    path: who runs plays from a copy of the inventory has another one each time.
    """
    digest = hashlib.sha256(json.dumps(sought).encode()).hexdigest()
    return _usual_directory() / f"boards-{digest[:16]}.json"


def usual_files() -> list[Path]:
    """Those of this user that are there, whatever they are for."""
    return sorted(_usual_directory().glob("boards-*.json"))


def _usual_directory() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(state) / "pelion-mbl"


class SeenBoards:
    """The names of boards and when each was seen last, in ``file``."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def recall(self) -> Mapping[str, str]:
        """Names of boards, with the time each was seen last (ISO 8601, UTC). Raises PelionError for a damaged file."""
        try:
            told = json.loads(self._file.read_text())
            times = {name: datetime.fromisoformat(seen) for name, seen in told.items()}
            oldest = datetime.now(timezone.utc) - KEPT
            return {name: told[name] for name, time in times.items() if is_host_name(name) and time > oldest}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise PelionError(
                f"{self._file}, the list of boards that earlier runs found, cannot be read: {error}. Remove it."
            ) from error

    def note(self, boards: Iterable[Host]) -> None:
        """Remember ``boards`` that were heard. Raises PelionError when the file cannot be written."""
        heard = {board.name: board.last_seen for board in boards if board.last_seen}
        self._write({**self.recall(), **heard})

    def forget(self, names: Iterable[str]) -> None:
        """Miss the boards of these ``names`` no longer, in whatever case. Raises PelionError as note does."""
        gone = {name.lower() for name in names}
        known = self.recall()
        kept = {name: seen for name, seen in known.items() if name.lower() not in gone}
        if kept != known:
            self._write(kept)

    def _write(self, boards: Mapping[str, str]) -> None:
        told = json.dumps(dict(sorted(boards.items())), indent=1)
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._file, told.encode(), 0o600)
        except OSError as error:
            raise PelionError(
                f"{self._file}, the list of boards that earlier runs found, cannot be written: {error}."
            ) from error
