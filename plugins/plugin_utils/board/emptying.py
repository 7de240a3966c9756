# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking from a board what it holds."""

from __future__ import annotations

from .board import Board
from .inspection import Inspection


def empty(board: Board, *, dry_run: bool) -> tuple[Inspection, bool]:
    """What the ``board`` was found to hold, and whether that is taken away, or in a dry run would be. Raises
    BoardError."""
    found = board.inspect(may_change=not dry_run)
    holds = bool(found.files or found.record)
    if holds and not dry_run:
        board.empty(found_digest=found.kcm_digest)
    return found, holds
