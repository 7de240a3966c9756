# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has changed since an earlier report, as values; comparison.py finds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..json_object import read
from ..times import parse_time

WORDS: Mapping[str, str] = {
    "missing": "missing since then",
    "not-in-order": "was in order, and is not now ({after})",
    "other-reason": "not in order for another reason ({after}, was {before})",
    "in-order": "in order again (was {before})",
    "new": "new",
    "renamed": "was called {before}",
    "device": "another device: {after}, was {before}",
    "developer-certificate": "another developer certificate: {after}, was {before}",
    "update-certificate": "another update certificate: {after}, was {before}",
    "takes-updates": "takes updates: {after}, was {before}",
}
"""All that can have changed, the worst first, with the words for people."""


@dataclass(frozen=True)
class Change:
    """``what`` (of WORDS) is different with ``board`` from what it was: ``after`` instead of ``before``."""

    board: str
    site: str | None
    what: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Since:
    """The ``changes`` since the report of ``made_at``. ``left_out`` are names of boards that earlier reports had, and
    that this one is not about, as with --limit."""

    made_at: str
    changes: Sequence[Change] = ()
    left_out: Sequence[str] = ()

    @classmethod
    def from_json(cls, since: Any) -> Since:
        """Raises ValueError."""
        told = read(cls, since)
        parse_time(told.made_at)
        return told


def told_together(changes: Iterable[Change]) -> list[tuple[str, list[str]]]:
    """Each text with the boards that it is about, the worst first."""
    order = list(WORDS)
    found: dict[str, list[str]] = {}
    known = (change for change in changes if change.what in WORDS)  # a later version may tell more
    for change in sorted(known, key=lambda change: order.index(change.what)):
        text = WORDS[change.what].format(before=change.before, after=change.after)
        found.setdefault(text, []).append(f"{change.board} at {change.site}" if change.site else change.board)
    return list(found.items())
