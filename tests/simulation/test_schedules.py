# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules of seeds that are known to hold, and of new ones, as many as there is time for."""

from __future__ import annotations

import random
import time

import pytest
from choices import Choices
from schedule import Outcome, play, shortest

KNOWN = range(5000, 5300)
MOST_TOLD = 3
"""Schedules that went wrong, whose shortest histories are looked for."""


def told(seed: int, outcome: Outcome) -> str:
    """What to print of a schedule that went wrong: the command that replays it, and the shortest such history."""
    found = shortest(outcome)
    lines = [line for line in found.history if ": reads " not in line and ": opens " not in line]
    return "\n".join([f"replay: pytest tests/simulation --seed {seed}", *lines, found.told, str(found.error)])


def test_schedules_that_are_known_to_hold(request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("--seed")
    for number in KNOWN if seed is None else [seed]:
        outcome = play(Choices(number))
        assert outcome.error is None, told(number, outcome)


def test_new_schedules(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    """What they find was there before, so that it is told, as an expected failure, and fails nobody's change."""
    if request.config.getoption("--seed") is not None:
        pytest.skip("one schedule is played")
    first = seed = random.SystemRandom().randrange(10**9)
    end = time.monotonic() + request.config.getoption("--seconds")
    found = []
    while time.monotonic() < end:
        outcome = play(Choices(seed))
        if outcome.error is not None:
            found.append(told(seed, outcome) if len(found) < MOST_TOLD else f"seed {seed}: {outcome.rule}")
        seed += 1
    with capsys.disabled():
        print(f"\n{seed - first} schedules, of the seeds {first} to {seed - 1}", *found, sep="\n\n")
    if found:
        pytest.xfail(f"{len(found)} of {seed - first} schedules broke a rule")
