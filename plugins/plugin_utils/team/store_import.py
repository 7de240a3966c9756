# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a store of mbl-cli over into ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..cloud.api_key import ApiKey
from ..credentials.developer_credentials import DeveloperCredentials
from ..credentials.rules import SERVER_URI, readable
from ..credentials.update_resources import UpdateResources
from ..store.store import Store
from .mbl_cli_store import OldEntry, read_mbl_cli_store


@dataclass(frozen=True)
class Takeover:
    """What became of one old entry: ``imported``, ``unchanged`` (taken over before), or ``refused`` with a reason."""

    old: OldEntry
    result: str
    reason: str | None = None


@dataclass(frozen=True)
class ImportOutcome:
    """``api_key`` is ``none``, ``imported``, ``unchanged``, or ``refused`` where another one is saved."""

    entries: tuple[Takeover, ...]
    api_key: str
    notices: tuple[str, ...]

    @property
    def changed(self) -> bool:
        return self.api_key == "imported" or any(entry.result == "imported" for entry in self.entries)


def import_mbl_cli_store(
    directory: Path, team: Store, user: Store, *, api_host: str, dry_run: bool = False
) -> ImportOutcome:
    """Take the entries below ``directory`` over into ``team``, and its API key, for ``api_host``, into ``user``.

    Nothing that the stores hold is overwritten, and nothing of the old store is changed or removed.
    Raises MblCliStoreError for a directory that is none, StoreError.
    """
    old_store = read_mbl_cli_store(directory)
    entries = tuple(_take_over(old, team, dry_run) for old in old_store.entries)
    return ImportOutcome(entries, _take_key_over(old_store.api_key, api_host, user, dry_run), old_store.notices)


def _take_over(old: OldEntry, team: Store, dry_run: bool) -> Takeover:
    if old.entry is None:
        return Takeover(old, "refused", old.problem)
    there = team.read(type(old.entry), old.name)
    if there is not None:
        if there.values == old.entry.values:
            return Takeover(old, "unchanged")
        return Takeover(old, "refused", _in_the_way(old, there, team.path(type(there), old.name)))
    if not dry_run:
        team.add(old.name, old.entry)
    else:
        team.try_secret()
    return Takeover(old, "imported")


def _in_the_way(old: OldEntry, there: DeveloperCredentials | UpdateResources, path: Path) -> str:
    """Why an entry is not taken over, and how it can be all the same."""
    new = old.entry.values if old.entry else {}
    names = sorted({*new, *there.values})
    differing = [name for name in names if there.values.get(name) != new.get(name)]
    uris = "" if SERVER_URI not in differing else f" ({_uri(there.values)} there, {_uri(new)} here)"
    return (
        f"The team store already has a different entry {old.name!r} of that kind. They differ in "
        f"{', '.join(differing)}{uris}. To have this one instead, move {path} out of the team store and import again. "
        "Keep that file: it may hold a key that is nowhere else."
    )


def _uri(values: Mapping[str, bytes]) -> str:
    return repr(readable(values.get(SERVER_URI, b"")))


def _take_key_over(key: str | None, api_host: str, user: Store, dry_run: bool) -> str:
    if key is None:
        return "none"
    there = user.read(ApiKey, ApiKey.NAME)
    if there is not None:
        return "unchanged" if there.key == key else "refused"
    if not dry_run:
        user.add(ApiKey.NAME, ApiKey(key, api_host))
    else:
        user.try_secret()
    return "imported"
