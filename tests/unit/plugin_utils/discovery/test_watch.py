# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards over time, with the clock, the interfaces and the sockets in the test's hand."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_interface
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mdns.frames import AAAA, PTR, SRV, TXT, A, Record, message, name

from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery import watch as module
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.hosts import Rules
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.links import Link
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.packets import probed_names
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.roster import Roster
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.watch import Watch
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.wire import Datagram
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError

KIND = "_ssh._tcp.local."
ETH0 = Link("eth0", 2, (ip_interface("10.0.0.1/16"), ip_interface("fe80::1/64")))
USB0 = Link("usb0", 7, (ip_interface("10.7.0.1/16"), ip_interface("fe80::7:1/64")))
TTL = 120


def records(number: int, *addresses: str, ttl: int = TTL, pointer: int = 4500, port: int = 22) -> list[Record]:
    """What mbed-linux-os-NUMBER tells."""
    instance, host = f"mbed-linux-os-{number}.{KIND}", f"mbed-linux-os-{number}.local."
    told = [Record(KIND, PTR, name(instance), pointer), Record(instance, TXT, b"\x05mblos", 4500)]
    told.append(Record(instance, SRV, bytes(4) + port.to_bytes(2, "big") + name(host), ttl))
    for address in map(ip_address, addresses or ("10.0.0.7",)):
        told.append(Record(host, A if address.version == 4 else AAAA, address.packed, ttl))
    return told


def probe(number: int) -> bytes:
    """The question of mbed-linux-os-NUMBER whether its name is free, with what it is about to tell behind it."""
    instance = name(f"mbed-linux-os-{number}.{KIND}")
    question = instance + struct.pack("!HH", 255, 1)
    planned = instance + struct.pack("!HHIH", TXT, 1, TTL, 6) + b"\x05mblos"
    return struct.pack("!HHHHHH", 0, 0, 1, 0, 1, 0) + question + planned


class Net:
    """The links of this machine, and what comes and goes on them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.links: tuple[Link, ...] = (ETH0,)
        self.usable = True
        self.coming: list[Datagram] = []
        self.sent: list[bytes] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def tell(self, told: Iterable[Record] | bytes, link: Link = ETH0, sender: str = "10.0.0.7") -> None:
        data = told if isinstance(told, bytes) else message(list(told))
        self.coming.append(Datagram(link, sender, data))

    def wire(self, links: tuple[Link, ...], _versions: Any) -> Any:
        if not self.usable:
            raise PelionError("Multicast DNS cannot be used on this machine.")
        return FakeWire(self, links)


class FakeWire:
    def __init__(self, net: Net, links: tuple[Link, ...]) -> None:
        self._net, self.links, self.is_open = net, links, True

    def close(self) -> None:
        self.is_open = False

    def send(self, link: Link, packets: Iterable[bytes], *, one_shot: bool) -> None:
        assert self.is_open and link in self.links
        self._net.sent += packets

    def receive(self, seconds: float) -> Iterator[Datagram]:
        assert self.is_open
        coming, self._net.coming = self._net.coming, []
        yield from coming
        self._net.now += seconds


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    made = Net()
    monkeypatch.setattr(module, "time", made)
    monkeypatch.setattr(module, "links", lambda: made.links)
    monkeypatch.setattr(module, "Wire", made.wire)
    return made


def after(watch: Watch, seconds: float = 0.25) -> list[str]:
    """The changes of some time, as `what NUMBER`."""
    changes = []
    for _turn in range(int(seconds / 0.25)):
        changes += [f"{c.what.value} {c.board.name.rpartition('-')[2]}" for c in watch.receive(0.25)]
    return changes


def watching(rules: Rules = Rules(), interfaces: tuple[str, ...] = ()) -> Watch:  # noqa: B008
    return Watch(rules, interfaces, ["_ssh._tcp"])


def test_a_board_is_told_once_however_often_it_tells_of_itself(net: Net) -> None:
    watch = watching()
    assert after(watch, 1) == []
    net.tell(records(7))
    assert after(watch) == ["appeared 7"]
    for _time in range(3):
        net.tell(records(7))
        assert after(watch, 1) == []


def test_a_board_is_told_when_all_of_it_is_there(net: Net) -> None:
    watch = watching()
    for record in records(7)[:-1]:
        net.tell([record])
        assert after(watch) == []
    net.tell(records(7)[-1:])
    assert after(watch) == ["appeared 7"]


def test_a_goodbye_and_a_return(net: Net) -> None:
    watch = watching()
    net.tell(records(7))
    after(watch)
    net.tell(records(7, pointer=0)[:1])
    assert after(watch) == ["left 7"]
    assert after(watch, TTL) == []
    net.tell(records(7))
    assert after(watch) == ["appeared 7"]


def test_a_board_that_makes_sure_of_its_name_has_started_anew(net: Net) -> None:
    watch = watching()
    net.tell(records(7))
    after(watch)
    for _time in range(3):
        net.tell(probe(7))
        assert after(watch) == []
    net.tell(records(7))
    assert after(watch) == ["again 7"]
    net.tell(records(7))
    assert after(watch) == []


def test_a_board_that_starts_anew_and_then_is_silent_has_left(net: Net) -> None:
    watch = watching()
    net.tell(records(7))
    after(watch)
    net.tell(probe(7))
    assert after(watch, 100) == []
    assert after(watch, 30) == ["left 7"]


def test_a_name_that_nobody_has_may_be_made_sure_of(net: Net) -> None:
    watch = watching()
    net.tell(probe(7))
    assert after(watch) == []
    net.tell(records(7))
    assert after(watch) == ["appeared 7"]


def test_a_board_is_asked_for_at_the_end_of_its_time_and_gone_when_it_does_not_answer(net: Net) -> None:
    watch = watching()
    net.tell(records(7))
    after(watch, 90)
    net.sent.clear()
    assert after(watch, 28) == []
    service = name(f"mbed-linux-os-7.{KIND}") + struct.pack("!HH", SRV, 1)
    assert sum(service in packet for packet in net.sent) == 4
    assert after(watch, 5) == ["left 7"]


def test_a_board_that_answers_stays(net: Net) -> None:
    watch = watching()
    net.tell(records(7))
    after(watch, 100)
    for _time in range(3):
        net.tell(records(7)[2:])
        assert [change for change in after(watch, 100) if change != "appeared 7"] == []


def test_another_address_is_told_when_the_old_one_is_gone_and_one_more_is_not(net: Net) -> None:
    watch = watching()
    net.tell(records(7))
    after(watch)
    net.tell(records(7, "fe80::7", "10.0.0.7"))
    assert after(watch, 60) == []
    net.tell(records(7, "10.0.0.8"))
    assert after(watch, 55) == []
    assert after(watch, 10) == ["again 7"]


def test_another_port_is_told_at_once(net: Net) -> None:
    watch = watching()
    net.tell(records(7))
    after(watch)
    net.tell(records(7, port=2222))
    assert after(watch) == ["again 7"]


def test_a_flood_of_names_neither_hides_a_board_of_the_roster_nor_fills_the_memory(net: Net) -> None:
    watch = watching(Rules(roster=Roster.parse(["mbed-linux-os-7"]), max_hosts=10))
    changes: list[str] = []
    for start in range(1000, 3000, 100):
        for number in range(start, start + 100):
            net.tell(records(number, f"10.0.{number >> 8}.{number & 255}"), sender="10.0.66.6")
        changes += after(watch)
        assert len(watch._knowledge.services) <= 40
        assert len(watch._addresses) <= 1000
    net.tell(records(7))
    assert "appeared 7" in after(watch)
    assert "left 7" not in after(watch, 30)


def test_questions_become_rare_and_come_again_when_there_is_news(net: Net) -> None:
    watch = watching()
    after(watch, 2)
    early = len(net.sent)
    assert early >= 3
    net.sent.clear()
    after(watch, 600)
    assert len(net.sent) <= 20
    net.sent.clear()
    net.tell(records(7)[:1])
    after(watch, 2)
    assert len(net.sent) >= 3


def test_interfaces_come_and_go(net: Net) -> None:
    watch = watching()
    net.tell(records(7))
    assert after(watch) == ["appeared 7"]
    net.links = (ETH0, USB0)
    after(watch, 1)
    net.tell(records(8, "10.7.0.8"), USB0)
    assert after(watch) == ["appeared 8"]
    net.links = (ETH0,)
    assert after(watch, 1.5) == ["left 8"]


def test_an_interface_that_gets_another_address_keeps_its_boards(net: Net) -> None:
    watch = watching()
    net.tell(records(7))
    after(watch)
    net.links = (Link("eth0", 2, (*ETH0.own, ip_interface("2001:db8::1/64"))),)
    assert after(watch, 2) == []


def test_what_stands_in_the_way_is_told_and_waited_for(net: Net) -> None:
    watch = watching(interfaces=("usb0",))
    assert after(watch) == []
    assert "no network interface 'usb0'" in watch.warnings[0]
    net.links, net.usable = (ETH0, USB0), False
    assert after(watch, 2) == []
    assert watch.warnings == ("Multicast DNS cannot be used on this machine.",)
    net.usable = True
    after(watch, 1)
    assert watch.warnings == ()
    net.tell(records(7), ETH0)
    net.tell(records(8, "10.7.0.8"), USB0)
    watch_links = [link.name for link in watch._links]
    assert watch_links == ["usb0"]


def test_who_calls_itself_something_else_is_told_and_no_board(net: Net) -> None:
    watch = watching()
    evil = [Record(KIND, PTR, name(f"localhost.{KIND}"), 4500)]
    evil += [
        Record(f"localhost.{KIND}", TXT, b"\x05mblos"),
        Record(f"localhost.{KIND}", SRV, bytes(4) + b"\0\x16" + name("localhost.local.")),
    ]
    evil += records(7)[3:]
    net.tell([*evil, Record("localhost.local.", A, bytes([10, 0, 0, 9]))])
    assert after(watch) == []
    assert any("localhost" in text for text in watch.warnings)


def test_only_a_question_with_plans_behind_it_makes_sure_of_a_name() -> None:
    assert probed_names(probe(7)) == [f"mbed-linux-os-7.{KIND}"]
    without_plans = bytearray(probe(7))
    without_plans[9] = 0
    assert probed_names(bytes(without_plans)) == []
    response = bytearray(probe(7))
    response[2] = 0x84
    assert probed_names(bytes(response)) == []
    assert probed_names(message(records(7))) == []


@given(st.binary(max_size=80), st.integers(0, 100), st.binary(max_size=8))
def test_no_datagram_at_all_is_too_strange(data: bytes, at: int, scratch: bytes) -> None:
    probed_names(data)
    scratched = probe(7)[:at] + scratch + probe(7)[at + len(scratch) :]
    assert all(isinstance(each, str) for each in probed_names(scratched))
