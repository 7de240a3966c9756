# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules of new seeds, as many as there is time for."""

from __future__ import annotations

import random
import time

import pytest
from choices import Choices
from schedule import Outcome, play, shortest


def told(seed: int, outcome: Outcome) -> str:
    """What to print of a schedule that went wrong: the command that replays it, and the shortest such history."""
    found = shortest(outcome)
    lines = [line for line in found.history if ": reads " not in line and ": opens " not in line]
    return "\n".join([f"replay: pytest tests/simulation --seed {seed}", *lines, found.told, str(found.error)])


def test_schedules(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    seed = request.config.getoption("--seed")
    if seed is not None:
        outcome = play(Choices(seed))
        assert outcome.error is None, told(seed, outcome)
        return
    first = random.SystemRandom().randrange(10**9)
    end = time.monotonic() + request.config.getoption("--seconds")
    seed = first
    while time.monotonic() < end:
        outcome = play(Choices(seed))
        assert outcome.error is None, told(seed, outcome)
        seed += 1
    with capsys.disabled():
        print(f"\n{seed - first} schedules, of the seeds {first} to {seed - 1}")
