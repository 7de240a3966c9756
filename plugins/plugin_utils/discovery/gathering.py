# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens close together is told together: ten boards on one power strip are one event, not ten."""

from __future__ import annotations

from .watch import Change, What

_LONGEST = 5
"""So many quiet periods after the first change all is told, though it never became quiet."""


_TOGETHER: dict[tuple[What, What], What | None] = {
    (What.APPEARED, What.AGAIN): What.APPEARED,
    (What.APPEARED, What.LEFT): None,
    (What.LEFT, What.APPEARED): What.AGAIN,
}
"""What two changes, one after the other, come to for who heard of neither."""


class Gathering:
    """Holds changes until nothing has changed for ``quiet`` seconds (of the caller's monotonic clock)."""

    def __init__(self, quiet: float) -> None:
        self._quiet = quiet
        self._changes: dict[str, Change] = {}
        self._first = self._last = 0.0

    def add(self, change: Change, now: float) -> None:
        """Of several changes of a board, what they come to counts."""
        if not self._changes:
            self._first = now
        self._last = now
        name = change.board.name
        before = self._changes.pop(name, None)
        if before is None:
            self._changes[name] = change
        elif what := _TOGETHER.get((before.what, change.what), change.what):
            self._changes[name] = Change(what, change.board)

    def take(self, now: float) -> list[Change]:
        """What it is time to tell, in the order of the boards' names; nothing before that."""
        if now - self._last < self._quiet and now - self._first < _LONGEST * self._quiet:
            return []
        changes = [change for _name, change in sorted(self._changes.items())]
        self._changes.clear()
        return changes
