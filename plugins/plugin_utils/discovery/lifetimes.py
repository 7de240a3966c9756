# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long what was told holds: who went without a goodbye is gone when the time to live is over.

Times are seconds of one monotonic clock, which the caller reads.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

LONGEST = 4500.0
"""The longest time to live that is believed, that which RFC 6762 (section 10) recommends for most records."""
UNTOLD = 120.0
"""For how long something is kept that nobody told a time of; what the RFC recommends for the records of a host."""
_ASK_FROM, _ASK_STEP, _ASK_TIMES = 0.8, 0.05, 4
"""At which shares of the time it is asked for again (section 5.2)."""

Key = TypeVar("Key", bound=Hashable)


@dataclass
class _Lifetime:
    told: float
    seconds: float
    asked: int = 0

    @property
    def end(self) -> float:
        return self.told + self.seconds

    @property
    def next_question(self) -> float:
        return self.told + self.seconds * (_ASK_FROM + _ASK_STEP * self.asked)


class Lifetimes(Generic[Key]):
    """The times to live of things that are called by keys."""

    def __init__(self) -> None:
        self._lifetimes: dict[Key, _Lifetime] = {}

    def __len__(self) -> int:
        return len(self._lifetimes)

    def heard_of(self, key: Key, now: float) -> None:
        """Something without a time of its own was told."""
        self._lifetimes.setdefault(key, _Lifetime(now, UNTOLD))

    def told(self, key: Key, seconds: float, now: float) -> None:
        """It holds for ``seconds`` from now."""
        self._lifetimes[key] = _Lifetime(now, min(seconds, LONGEST))

    def forget(self, key: Key) -> None:
        self._lifetimes.pop(key, None)

    def keep(self, keys: Collection[Key]) -> None:
        """Forget all others."""
        self._lifetimes = {key: lifetime for key, lifetime in self._lifetimes.items() if key in keys}

    def over(self, now: float) -> list[Key]:
        """Those whose time is over."""
        return [key for key, lifetime in self._lifetimes.items() if lifetime.end <= now]

    def to_ask(self, now: float) -> list[Key]:
        """Those to ask for before it is over. Each is returned four times in the last fifth of its time."""
        keys = []
        for key, lifetime in self._lifetimes.items():
            if lifetime.asked < _ASK_TIMES and lifetime.next_question <= now < lifetime.end:
                lifetime.asked += 1
                keys.append(key)
        return keys
