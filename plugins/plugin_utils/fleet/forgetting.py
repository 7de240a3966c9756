# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards that the team remembers no longer, or whose host keys it forgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..store.store import Store
from .memory import Remembered, forget, forget_host_keys, read_fleet, write_fleet


@dataclass(frozen=True)
class Forgotten:
    """The remembered boards ``before`` and ``after``."""

    before: Mapping[str, Remembered]
    after: Mapping[str, Remembered]

    @property
    def names(self) -> list[str]:
        return sorted(name for name, board in self.before.items() if self.after.get(name) != board)


def forget_boards(
    team: Store, names: Iterable[str], *, host_keys_only: bool = False, dry_run: bool = False
) -> Forgotten:
    """Forget the boards of those ``names``. Raises StoreError."""
    names = list(names)
    change = forget_host_keys if host_keys_only else forget
    before = read_fleet(team)
    after = change(before, names)
    if after != before and not dry_run:
        with team.locked():
            before = read_fleet(team)
            after = change(before, names)
            write_fleet(team, after)
    return Forgotten(before, after)
