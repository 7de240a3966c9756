# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who acts, one at a time: real synchronous code that is left at each exchange with the world, and goes on later, or
never.

Each actor is a greenlet. What it does between two exchanges is one step; time passes only while all of them sleep.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import TypeVar

from choices import Choices
from greenlet import GreenletExit, getcurrent, greenlet
from virtual import CLOCK

MOST_STEPS = 6000
T = TypeVar("T")


class Actor:
    """``work`` under a ``name``. A ``mortal`` one may be killed or interrupted at an exchange. Who is ``dead`` does
    nothing any more, not even what ``finally`` asks for."""

    def __init__(self, name: str, work: Callable[[], None], mortal: bool, main: greenlet) -> None:
        self.name, self.mortal = name, mortal
        self.wakes = 0.0
        self.waits_for: Actor | None = None
        self.dead = self.ended = False
        self.error: BaseException | None = None
        self.told = ""
        self.at = "its begin"
        self.descriptors: set[int] = set()
        self.greenlet = greenlet(self._run, main)
        self.greenlet.actor = self
        self._work = work

    def _run(self) -> None:
        try:
            self._work()
        except (GreenletExit, KeyboardInterrupt):
            pass
        except Exception as error:
            self.error, self.told = error, traceback.format_exc()
        finally:
            self.ended = True

    @property
    def gone(self) -> bool:
        return self.dead or self.ended


class Hub:
    """All actors of a schedule. ``rates`` are the probabilities of faults by their kind; none while it is ``calm``."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.actors: list[Actor] = []
        self.history: list[str] = []
        self.rates: dict[str, float] = {}
        self.calm = self.suspended = False
        self.steps = 0
        self.on_death: Callable[[Actor], None] = lambda actor: None
        self._last: Actor | None = None
        self._main = getcurrent()

    @property
    def current(self) -> Actor | None:
        return getattr(getcurrent(), "actor", None)

    def note(self, text: str) -> None:
        who = self.current.name if self.current else "-"
        self.history.append(f"{CLOCK.seconds - CLOCK.began:8.1f}  {who}: {text}")

    def spawn(self, name: str, work: Callable[[], None], *, mortal: bool = False) -> Actor:
        actor = Actor(name, work, mortal, self._main)
        self.actors.append(actor)
        return actor

    def exchange(self, what: str, kind: str = "", faults: Sequence[str] = ()) -> str:
        """The current actor is about to do ``what``: others may act first. Returns the fault that is to befall it, one
        of ``faults``, empty for none."""
        actor = self.current
        if actor is None or self.suspended:
            return ""
        if actor.dead:
            raise GreenletExit
        actor.at = what
        self._main.switch()
        if faults and not self.calm and self.choices.rarely(self.rates.get(kind, 0)):
            fault = faults[self.choices.pick(len(faults))]
            self.note(f"{what}: {fault}")
            return fault
        self.note(what)
        return ""

    def undisturbed(self, look: Callable[[], T]) -> T:
        """Of who looks, nobody takes notice, and nobody acts meanwhile."""
        before, self.suspended = self.suspended, True
        try:
            return look()
        finally:
            self.suspended = before

    def sleep(self, seconds: float) -> None:
        actor = self.current
        if actor is None:
            CLOCK.seconds += seconds
            return
        if actor.dead:
            raise GreenletExit
        actor.wakes = CLOCK.seconds + max(seconds, 0.001)
        self._main.switch()

    def wait(self, other: Actor) -> None:
        actor = self.current
        assert actor
        actor.waits_for = other
        while not other.gone:
            self._main.switch()
        actor.waits_for = None

    def kill(self, actor: Actor) -> None:
        """As the kernel does: it does nothing any more, and what it held open is closed."""
        if not actor.gone:
            self.history.append(f"          {actor.name}: killed before {actor.at}")
            actor.dead = True
            self.on_death(actor)

    def interrupt(self, actor: Actor) -> None:
        self.history.append(f"          {actor.name}: Ctrl-C before {actor.at}")
        actor.wakes, actor.waits_for = 0.0, None
        if not actor.greenlet:
            actor.ended = True
        else:
            actor.greenlet.throw(KeyboardInterrupt)

    def step(self) -> bool:
        """Let one actor go on to its next exchange; False when there is none."""
        able = [
            actor
            for actor in self.actors
            if not (actor.dead or actor.ended) and (actor.waits_for is None or actor.waits_for.gone)
        ]
        if not able:
            return False
        ready = [actor for actor in able if actor.wakes <= CLOCK.seconds]
        if not ready:
            CLOCK.seconds = min(actor.wakes for actor in able)
            ready = [actor for actor in able if actor.wakes <= CLOCK.seconds]
        if self._last in ready:
            ready.remove(self._last)
            ready.insert(0, self._last)
        actor = ready[self._turn(len(ready))]
        self._last = actor
        self.steps += 1
        if actor.mortal and not self.calm and self.choices.rarely(self.rates.get("death", 0)):
            if self.choices.pick(2):
                self.interrupt(actor)
            else:
                self.kill(actor)
        else:
            actor.greenlet.switch()
        return True

    def _turn(self, count: int) -> int:
        """Mostly the one that acted last: else everything happens in step."""
        if count == 1 or not self.choices.rarely(self.rates.get("turn", 0.3)):
            return 0
        return 1 + self.choices.pick(count - 1)

    def run(self) -> None:
        """Until all have ended."""
        begin = self.steps
        while self.step():
            if self.steps - begin > MOST_STEPS:
                raise AssertionError(f"there is no end: {[(a.name, a.at) for a in self.actors if not a.gone]}")

    def end(self) -> None:
        """Leave nobody half-way."""
        for actor in self.actors:
            if actor.greenlet and not actor.ended:
                actor.dead = True
                actor.greenlet.throw(GreenletExit)
