# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole search on a wire that the test holds: what it finds in a flood of names, and when it ends."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from ipaddress import ip_interface
from typing import Any

import pytest
from mdns.frames import PTR, SRV, TXT, A, Record, message, name

from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery import discover as module
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.discover import Found, discover
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.hosts import Rules
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.links import Link
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.roster import Roster
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.wire import Datagram

LINK = Link("eth0", 2, (ip_interface("10.0.0.1/16"),))
KIND = "_ssh._tcp.local."
FLOODER = "10.0.66.66"
TIMEOUT = 1.0


def board(number: int) -> Datagram:
    """What mbed-linux-os-NUMBER announces."""
    instance, host, address = f"mbed-linux-os-{number}.{KIND}", f"mbed-linux-os-{number}.local.", (10, 0, 0, number)
    told = [
        Record(KIND, PTR, name(instance)),
        Record(instance, TXT, b"\x05mblos"),
        Record(instance, SRV, bytes(4) + (22).to_bytes(2, "big") + name(host)),
        Record(host, A, bytes(address)),
    ]
    return Datagram(LINK, ".".join(map(str, address)), message(told))


def flood(datagrams: int, names: int = 100) -> list[Datagram]:
    """Pointers to ``names`` boards in each; none of these tells more."""
    return [
        Datagram(
            LINK,
            FLOODER,
            message([Record(KIND, PTR, name(f"mbed-linux-os-{first + n}.{KIND}")) for n in range(names)]),
        )
        for first in range(1_000_000, 1_000_000 + datagrams * names, names)
    ]


class Wire:
    """In place of wire.Wire: all datagrams wait in the kernel's buffer when the search begins."""

    links = (LINK,)
    dropped = 0

    def __init__(self, datagrams: Iterable[Datagram]) -> None:
        self._datagrams = list(datagrams)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def send(self, _link: Link, packets: Iterable[bytes], *, one_shot: bool) -> None:
        list(packets)

    def receive(self, seconds: float) -> Iterator[Datagram]:
        coming, self._datagrams = self._datagrams, []
        yield from coming
        time.sleep(seconds)


def search(monkeypatch: pytest.MonkeyPatch, wire: Wire, **rules: Any) -> Found:
    monkeypatch.setattr(module, "Wire", lambda _links, _versions: wire)
    return discover(Rules(**rules), (LINK,), (LINK,), timeout=TIMEOUT, quiet=0.1)


def test_a_search_ends_in_time_in_a_flood_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire([board(7), *flood(1500)])
    began, worked = time.monotonic(), time.process_time()
    found = search(monkeypatch, wire)
    # A busy machine delays it; what it works itself counts as well.
    assert min(time.monotonic() - began, time.process_time() - worked) < 2 * TIMEOUT
    assert [heard.instance for heard in found.announcements] == ["mbed-linux-os-7"]
    assert max(len(warning) for warning in found.warnings) < 1000, "a warning names some of them"


def test_the_boards_of_the_roster_outlast_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire([board(7), board(8), *flood(4), board(9)])
    found = search(monkeypatch, wire, max_hosts=5, roster=Roster.parse(["mbed-linux-os-8"]))
    assert {heard.instance for heard in found.announcements} == {f"mbed-linux-os-{number}" for number in (7, 8, 9)}
