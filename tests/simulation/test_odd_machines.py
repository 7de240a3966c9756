# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that answers oddly, never, or as somebody else, changes nothing for the boards beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from choices import Choices
from runs import Person
from schedule import Schedule, play
from world import GOOD, ODD_ANSWERS

SCHEDULES = 25
RUNS = ("provision", "status", "deprovision", "provision")


def story(schedule: Schedule, odd: int | None) -> list[Any]:
    """What became of a fleet's boards in calm runs, with an odd machine among them or without it."""
    world, pick = schedule.world, schedule.choices.pick
    schedule.hub.calm, schedule.hub.rates = True, {"turn": 0}
    boards = [world.add_board()[1] for _board in range(2 + pick(3))]
    provisioned = pick(4)
    if provisioned:
        schedule.alone("provision", sorted(world.network))
    former = world.names_of(boards[0])[0]
    if pick(2):
        world.renamed(boards[0])
    roster = tuple(f"{name} {board.host_key}" for name, board in world.network.items())
    # Without a roster, the machine may get a place, and boards that are given one after that get others.
    wishes = replace(GOOD, roster=(None, roster)[pick(2)] if provisioned else roster)
    schedule.wishes = lambda: wishes  # type: ignore[method-assign]
    honest = sorted(world.network)
    if odd is not None:
        name, machine = world.add_board(odd=odd < len(ODD_ANSWERS), stranger=True)
        machine.number = odd
        if odd == len(ODD_ANSWERS):
            machine.lies = boards[1].identity
        if former not in world.network:
            world.network[former] = world.network.pop(name)
    told: list[Any] = []
    for number in range(1 + pick(4)):
        kind = RUNS[pick(len(RUNS) if wishes.roster else 2)]
        names = honest[:1] if kind == "deprovision" else sorted(world.network)
        person = (world.people[0], Person(f"new {number}", world.team))[pick(2)]
        run = schedule.alone(kind, names, person=person)
        said = run.report.boards if run.report else ()
        told.append((kind, run.problem, {name: run.results.get(name) for name in honest}))
        told.append([(board.name, board.code, board.facts) for board in said if board.name in honest])
    told.append([(board.identity, board.shown and board.shown.items) for board in boards])
    return told


def played(seed: int, odd: int | None) -> list[Any]:
    told: list[Any] = []
    outcome = play(Choices(seed), story=lambda schedule: told.extend(story(schedule, odd)))
    assert outcome.error is None, (outcome.told, outcome.error)
    return told


@pytest.mark.parametrize("odd", range(len(ODD_ANSWERS) + 2))
def test_the_boards_beside_an_odd_machine_fare_as_without_it(odd: int) -> None:
    """The last kind but one says that it is the device of a board, the last one is a board that is not the fleet's."""
    for seed in range(100 * odd, 100 * odd + SCHEDULES):
        assert played(seed, odd) == played(seed, None), (seed, odd)
