# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a schedule hangs on: every choice that it makes, drawn by a seed or given, and lists of them made shorter."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence


class Choices:
    """Choices of ``seed``, or those ``given``, after which each is 0, the mildest. ``taken`` are those so far."""

    def __init__(self, seed: int | None = None, given: Sequence[int] = ()) -> None:
        self._random = None if seed is None else random.Random(seed)
        self._given = given
        self.taken: list[int] = []

    def pick(self, count: int) -> int:
        """One of 0 to ``count`` - 1."""
        if count <= 1:
            return 0
        return self._take(count - 1, lambda draw: draw.randrange(count))

    def rarely(self, probability: float) -> bool:
        return bool(probability and self._take(1, lambda draw: int(draw.random() < probability)))

    def _take(self, most: int, draw: Callable[[random.Random], int]) -> int:
        if self._random:
            value = draw(self._random)
        else:
            at = len(self.taken)
            value = min(self._given[at], most) if at < len(self._given) else 0
        self.taken.append(value)
        return value


def shrunk(taken: Sequence[int], fails: Callable[[Sequence[int]], bool], tries: int) -> list[int]:
    """Choices of which fewer are not 0, and those lower, with which the schedule still ``fails``. Calls that at most
    ``tries`` times."""
    best = list(taken)
    left = tries

    def better(candidate: list[int]) -> bool:
        nonlocal best, left
        if left <= 0 or candidate == best:
            return False
        left -= 1
        if not fails(candidate):
            return False
        best = candidate
        return True

    size = len(best)
    while size and left > 0:
        # What comes late is mostly the consequence of what came early.
        wild = [at for at, choice in enumerate(best) if choice][::-1]
        for begin in range(0, len(wild), size):
            these = set(wild[begin : begin + size])
            better([0 if at in these else choice for at, choice in enumerate(best)])
        size //= 2
    for at, choice in enumerate(best):
        if choice > 1:
            better([*best[:at], 1, *best[at + 1 :]])
    return best
