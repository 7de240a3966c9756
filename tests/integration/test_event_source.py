# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source on a wire: a network namespace with boards made of raw frames, which come and go in all ways."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mdns.street import Street, board

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "extensions/eda/plugins/event_source/mbl_mdns.py"
SECONDS = 60
"""After which a test has waited in vain."""


class Source:
    """The event source, run by hand in ``street``; its events are in ``file``."""

    def __init__(self, street: Street, file: Path) -> None:
        self._street, self._file, self._seen = street, file, 0

    def start(self, *options: str) -> None:
        with self._file.open("wb") as out, self._file.with_suffix(".errors").open("wb") as errors:
            # It is killed at the end, and leaves its place for reports behind.
            environment = {**os.environ, "TMPDIR": str(self._file.parent)}
            command = [sys.executable, SOURCE, "gather=0.2", *options]
            self._street.start(*command, stdout=out, stderr=errors, env=environment)

    @property
    def errors(self) -> str:
        return self._file.with_suffix(".errors").read_text()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def told(self) -> dict[str, list[str]]:
        """What was told of each board so far."""
        boards: dict[str, list[str]] = {}
        for event in self.events:
            for each in event["boards"]:
                boards.setdefault(each["name"], []).append("again" if each["again"] else event["change"])
        return boards

    def until(self, told: dict[int, str]) -> None:
        """Wait until each board, by its number, was told of in these ways, no other, and no board beside them."""
        wanted = {f"mbed-linux-os-{number}": words.split() for number, words in told.items()}
        self.wait(lambda: self.told() == wanted)

    def wait(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, (self.told(), self.errors)
            time.sleep(0.05)


@pytest.fixture
def street() -> Iterator[Street]:
    with Street() as made:
        yield made


@pytest.fixture
def source(street: Street, tmp_path: Path) -> Source:
    return Source(street, tmp_path / "events")


def test_boards_that_are_there_come_and_say_goodbye_are_told_once(street: Street, source: Source) -> None:
    street.inhabit([board(1), board(2, goodbye=3), board(3, how="split"), board(4, text="other")])
    source.start("roster=[mbed-linux-os-1, mbed-linux-os-5]")
    source.until({1: "appeared", 2: "appeared left", 3: "appeared"})
    street.inhabit([board(5)])
    source.until({1: "appeared", 2: "appeared left", 3: "appeared", 5: "appeared"})
    known = {each["name"] for event in source.events if event["in_roster"] for each in event["boards"]}
    assert known == {"mbed-linux-os-1", "mbed-linux-os-5"}
    (first, *_others) = source.events
    assert len(first["boards"][0]["addresses"]) == 2


def test_many_boards_at_once_are_few_events_and_each_is_told_once(street: Street, source: Source) -> None:
    source.start()
    street.inhabit([board(number) for number in range(200)])
    source.until(dict.fromkeys(range(200), "appeared"))
    assert len(source.events) <= 5


def test_a_board_whose_power_is_cut_leaves_and_those_that_answer_stay(street: Street, source: Source) -> None:
    street.inhabit([board(1, ttl=3), board(2, ttl=3)])
    cut = street.inhabit([board(3, ttl=3)])
    source.start()
    source.until({1: "appeared", 2: "appeared", 3: "appeared"})
    street.leave(cut)
    source.until({1: "appeared", 2: "appeared", 3: "appeared left"})
    street.inhabit([board(3, ttl=3)])
    source.until({1: "appeared", 2: "appeared", 3: "appeared left appeared"})


def test_a_board_at_another_address_is_told_again(street: Street, source: Source) -> None:
    before = street.inhabit([board(1, ipv6=None, ttl=3)])
    source.start()
    source.until({1: "appeared"})
    street.leave(before)
    street.inhabit([board(1, ipv4="10.0.9.9", ipv6=None, ttl=3)])
    source.wait(lambda: [e["address"] for event in source.events[1:] for e in event["boards"]][-1:] == ["10.0.9.9"])


def test_an_interface_that_comes_later_and_one_that_goes(street: Street, source: Source) -> None:
    street.inhabit([board(1)])
    source.start()
    source.until({1: "appeared"})
    street.run("sh", "-c", "ip link add usb0 type veth peer name far7 && ip link set usb0 up && ip link set far7 up")
    street.run("ip", "address", "add", "fe80::7:1/64", "dev", "usb0", "nodad")
    street.inhabit([board(2, cable=7, ipv4=None)])
    source.until({1: "appeared", 2: "appeared"})
    street.run("ip", "link", "delete", "usb0")
    source.until({1: "appeared", 2: "appeared left"})


def test_a_named_interface_that_is_not_there_is_told_and_waited_for(street: Street, source: Source) -> None:
    source.start("interfaces=[usb0]")
    source.wait(lambda: "There is currently no network interface 'usb0'" in source.errors)
    street.inhabit([board(1)])
    street.run("sh", "-c", "ip link add usb0 type veth peer name far7 && ip link set usb0 up && ip link set far7 up")
    street.run("ip", "address", "add", "fe80::7:1/64", "dev", "usb0", "nodad")
    street.inhabit([board(2, cable=7, ipv4=None)])
    source.until({2: "appeared"})
