# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, numbers and texts as messages show them: boards, networks and files chose parts of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

MOST_NAMES = 20
"""In one line for a terminal. A report in files has all."""


def printable(text: str, most: int | None = None) -> str:
    """The first ``most`` characters of ``text``, or all of them, on one line and without control characters."""
    return "".join(character if character.isprintable() else " " for character in text[:most]).strip()


def some(names: Sequence[str], most: int = MOST_NAMES) -> str:
    """``names`` with commas between; of more than ``most``, one less, and how many more there are."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"


def counted(number: int, thing: str) -> str:
    """``1 board``, ``2 boards``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def nearest(name: str, known: Iterable[str]) -> str:
    """That of the ``known`` names which somebody who wrote ``name`` is likely to have meant; empty if none is."""
    return next(iter(difflib.get_close_matches(name, list(known), 1)), "")
