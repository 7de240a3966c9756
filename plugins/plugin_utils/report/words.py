# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts as they may be shown: boards and networks chose parts of them."""

from __future__ import annotations

from collections.abc import Sequence

MOST_NAMES = 20
"""In one line for a terminal. A report in files has all."""


def printable(text: str) -> str:
    """``text`` on one line and without control characters."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


def counted(number: int, thing: str) -> str:
    """``1 board``, ``2 boards``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def some(names: Sequence[str]) -> str:
    """``names``, as many of them as a line can take."""
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[: MOST_NAMES - 1])} and {len(names) - MOST_NAMES + 1} more"
