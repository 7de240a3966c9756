# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who comes first when there are more than can be served."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def in_turn(items: Iterable[T], sender: Callable[[T], str], is_known: Callable[[T], bool]) -> list[T]:
    """``items`` with the known ones first, then the first of each sender, then the second of each, and so on.

    A board announces itself and nothing else. So whoever announces ten thousand of them stands behind every board,
    however early it was.
    """
    turns: Counter[str] = Counter()
    ranked = []
    for item in items:
        if is_known(item):
            ranked.append((0, item))
        else:
            turns[sender(item)] += 1
            ranked.append((turns[sender(item)], item))
    return [item for _turn, item in sorted(ranked, key=lambda each: each[0])]
