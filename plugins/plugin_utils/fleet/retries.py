# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trying again what failed, after a pause that doubles each time (exponential backoff).

Times are seconds of one monotonic clock, which the caller reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

_MOST_DOUBLINGS = 30
"""A pause is at its longest well before, and a float cannot hold a much larger number."""


@dataclass(frozen=True)
class _Attempt:
    """The last attempt: its ``run`` until that has answered, then None; how many before failed in a row."""

    run: str | None
    failures: int
    due: float


class Retries:
    """The boards that runs were asked for and that are not in order yet.

    ``first`` is the pause after a first failure, ``longest`` where it ends to grow. A run that has said nothing
    ``patience`` after it was asked for was cut off, and counts as failed.
    """

    def __init__(self, first: float, longest: float, patience: float) -> None:
        self._first, self._longest, self._patience = first, longest, patience
        self._attempts: dict[str, _Attempt] = {}

    def failures(self, board: str) -> int:
        """How many attempts at ``board`` failed since it was new or last in order."""
        attempt = self._attempts.get(board)
        return attempt.failures if attempt else 0

    def asked(self, run: str, boards: Iterable[str], now: float) -> None:
        """``run`` was asked to take care of ``boards``. The answer of a run before, if it still comes, is too late."""
        for board in boards:
            before = self._attempts.get(board)
            failures = before.failures + (before.run is not None) if before else 0
            self._attempts[board] = _Attempt(run, failures, now + self._patience)

    def answered(self, run: str, in_order: Collection[str], now: float) -> None:
        """``run`` has ended, with these boards ``in_order``."""
        for board, attempt in list(self._attempts.items()):
            if attempt.run == run:
                if board in in_order:
                    del self._attempts[board]
                else:
                    failures = attempt.failures + 1
                    self._attempts[board] = _Attempt(None, failures, now + self._pause(failures))

    def forget(self, boards: Iterable[str]) -> None:
        """``boards`` left, or begin anew."""
        for board in boards:
            self._attempts.pop(board, None)

    def due(self, now: float) -> list[str]:
        """The boards that it is time to try again."""
        return sorted(board for board, attempt in self._attempts.items() if attempt.due <= now)

    def _pause(self, failures: int) -> float:
        return min(self._first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), self._longest)
