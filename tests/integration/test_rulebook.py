# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugged in, provisioned: a real ansible-rulebook runs while boards are switched on, off, and fail.

One rulebook is at work for all tests of this file; each test has boards of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fleet import Fleet
from rulebook import LACKING, Rulebook, registered, switch

pytestmark = pytest.mark.skipif(
    bool(LACKING) and "CI" not in os.environ, reason=f"no {LACKING} here (tests/setup test installs it)"
)

UTILITY = "/opt/arm/pelion-provisioning-util"
MOST_RUNS = 3
"""How many runs ten boards may cost that are switched on at once."""


@dataclass(frozen=True)
class Bench:
    fleet: Fleet
    rulebook: Rulebook
    there: str
    broken: str
    alone: str
    stranger: str
    ten: list[str]

    def until_registered(self, *boards: str) -> None:
        self.rulebook.wait(lambda: registered(self.fleet, boards) == set(boards))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Two boards are on, one of which cannot be provisioned; the others are off."""
    fleet = Fleet.up(tmp_path_factory.mktemp("lab") / "state", "--devices", "14")
    try:
        there, broken, alone, stranger, *ten = fleet.boards
        switch(fleet, "off", alone, stranger, *ten)
        fleet.on(broken, f"mv {UTILITY} {UTILITY}.away")
        roster = {"provision_pelion_roster": [there, broken, alone, *ten]}
        with Rulebook(fleet, tmp_path_factory.mktemp("bench"), roster, retry_pause=1) as rulebook:
            yield Bench(fleet, rulebook, there, broken, alone, stranger, ten)
    finally:
        fleet.down()


def test_a_board_that_is_there_at_the_start_is_registered_though_another_fails(bench: Bench) -> None:
    bench.until_registered(bench.there)


def test_a_board_that_fails_is_tried_again_until_it_is_in_order(bench: Bench) -> None:
    def tries() -> list[int]:
        """The failures so far that each event told of the board."""
        told = re.findall(rf"'failures': (\d+),[^}}]*?'name': '{bench.broken}'", bench.rulebook.output)
        return [int(count) for count in told]

    bench.rulebook.wait(lambda: len(tries()) >= 3)
    assert tries()[:3] == [0, 1, 2]
    bench.fleet.on(bench.broken, f"mv {UTILITY}.away {UTILITY}")
    bench.until_registered(bench.broken)


def test_a_board_that_is_switched_on_is_registered_and_looked_at_again_when_it_is_plugged_in_anew(bench: Bench) -> None:
    def told() -> list[str]:
        """Whether each event that told of the board knew it before."""
        return re.findall(rf"'again': (\w+),[^}}]*?'name': '{bench.alone}'", bench.rulebook.output)

    switch(bench.fleet, "on", bench.alone)
    bench.until_registered(bench.alone)
    assert told() == ["False"]
    held = bench.fleet.content(bench.alone)
    switch(bench.fleet, "off", bench.alone)
    switch(bench.fleet, "on", bench.alone)
    bench.rulebook.wait(
        lambda: re.search(rf"^{bench.alone} .* changed=0 .* failed=0 ", bench.rulebook.output, re.MULTILINE)
    )
    assert told() == ["False", "True"]
    assert bench.fleet.content(bench.alone) == held

    bench.fleet.on(bench.alone, "killall avahi-daemon")
    bench.rulebook.wait(lambda: f"Left: {bench.alone}" in bench.rulebook.output)


def test_ten_boards_at_once_are_registered_by_a_few_runs(bench: Bench) -> None:
    runs = bench.rulebook.runs
    switch(bench.fleet, "on", *bench.ten)
    bench.until_registered(*bench.ten)
    assert 0 < bench.rulebook.runs - runs <= MOST_RUNS


def test_a_board_outside_the_roster_is_reported_and_not_even_asked(bench: Bench) -> None:
    switch(bench.fleet, "on", bench.stranger)
    bench.rulebook.wait(lambda: f"Not in the roster, so they get no keys: {bench.stranger}" in bench.rulebook.output)
    # What comes later is provisioned, and the stranger is still as it was.
    assert bench.fleet.counts()[bench.stranger] == (0, 0)
    assert bench.fleet.content(bench.stranger) == ""


def test_no_secret_is_in_what_is_printed_and_kept(bench: Bench) -> None:
    bench.until_registered(bench.there)
    texts = [bench.rulebook.output]
    texts += [path.read_text(errors="replace") for path in bench.rulebook.directory.glob("mbl-mdns-*/**/fleet.*")]
    for text in texts:
        assert bench.rulebook.password not in text
        assert "PRIVATE KEY" not in text
        assert not re.search(r"\bak_\w{8}", text)
