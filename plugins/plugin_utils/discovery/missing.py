# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards that should have been found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .hosts import Host
from .roster import Roster


def missing_boards(found: Iterable[Host], roster: Roster, seen: Mapping[str, str]) -> dict[str, str]:
    """The names of boards that are not among ``found``, in order, each with how it is known: by the ``roster``, or from
    an earlier run (``seen``: when it was seen last)."""
    there = {name.lower() for board in found for name in (board.name, board.instance)}
    missing = {name: f"last seen {when}" for name, when in seen.items() if name.lower() not in there}
    known = {name.lower() for name in missing} | there
    missing |= {name: "of the roster" for name in roster.names if name not in known}
    return dict(sorted(missing.items()))
