# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket

import pytest
from zeroconf import ServiceInfo, Zeroconf
from zeroconf.asyncio import AsyncServiceInfo

from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.discovery import (
    SERVICE_TYPE,
    FoundBoard,
    discover,
    select,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError


def service(name: str, *addresses: str, properties: dict[str, None] | None = None, port: int = 22) -> ServiceInfo:
    return ServiceInfo(
        SERVICE_TYPE,
        f"{name}.{SERVICE_TYPE}",
        port=port,
        parsed_addresses=list(addresses),
        properties={"mblos": None} if properties is None else properties,
        server=f"{name.replace(' ', '-')}.local.",
    )


class Resolved(AsyncServiceInfo):
    """A resolved service with the given scoped addresses."""

    def __init__(self, name: str, *addresses: str, txt: str = "mblos", port: int = 22) -> None:
        super().__init__(SERVICE_TYPE, f"{name}.{SERVICE_TYPE}", port=port, properties={txt: None})
        self.scoped = list(addresses)

    def parsed_scoped_addresses(self, version=None):
        return self.scoped


def test_boards_are_found_on_the_wire_and_nothing_else():
    with_text = {name: service(name, "127.0.0.1") for name in ("mbed-linux-os-1", "mbed-linux-os-9999")}
    printer = service("printer", "127.0.0.1", properties={"model": None})
    server = Zeroconf(interfaces=["127.0.0.1"])
    try:
        for info in (*with_text.values(), printer):
            server.register_service(info, cooperating_responders=True)
        found = discover(5, ["lo"])
    finally:
        server.close()
    assert found.boards == (
        FoundBoard("mbed-linux-os-1", ("127.0.0.1",), 22, None),
        FoundBoard("mbed-linux-os-9999", ("127.0.0.1",), 22, None),
    )


def test_a_board_with_both_families_is_one_board_in_the_order_of_preference():
    lo = socket.if_nametoindex("lo")
    both = Resolved("mbed-linux-os-7", "192.0.2.7", f"fe80::7%{lo}")
    assert select([both]).boards == (FoundBoard("mbed-linux-os-7", ("fe80::7%lo", "192.0.2.7"), 22, "lo"),)
    assert select([both], prefer_ipv4=True).boards[0].addresses == ("192.0.2.7", "fe80::7%lo")


def test_one_name_on_two_interfaces_is_two_boards():
    found = select([Resolved("mbed-linux-os-7", "fe80::7%9901", "fe80::8%9902")])
    assert [(board.name, board.addresses) for board in found.boards] == [
        ("mbed-linux-os-7-9901", ("fe80::7%9901",)),
        ("mbed-linux-os-7-9902", ("fe80::8%9902",)),
    ]
    assert found.shared_names == ("mbed-linux-os-7",)


@pytest.mark.parametrize("name", ["{{ 1 + 1 }}", "a b", "-oProxyCommand=x", "..", "a'b", "-", "名"])
def test_what_is_no_host_name_is_refused(name):
    found = select([Resolved(name, "192.0.2.1")])
    assert not found.boards
    assert len(found.refused) == 1


@pytest.mark.parametrize("address", ["fe80::1", "0.0.0.0", "ff02::1"])
def test_an_address_that_reaches_nothing_is_not_used(address):
    found = select([Resolved("mbed-linux-os-1", address)])
    assert not found.boards
    assert "mbed-linux-os-1" in found.refused[0]


def test_other_ssh_servers_are_left_alone():
    assert select([Resolved("desktop", "192.0.2.1", txt="path")]) == select([])


def test_an_unknown_interface_is_named():
    with pytest.raises(PelionError, match="no network interface 'eth99'"):
        discover(1, ["eth99"])
