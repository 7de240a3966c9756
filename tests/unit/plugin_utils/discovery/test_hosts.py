# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import asdict, replace
from ipaddress import ip_interface
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery import by_hand
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.fairness import in_turn
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.hosts import Announcement, Rules, Selection, select
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.links import Link, chosen
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.roster import Roster
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError

# The machine may be busy.

LO = Link("lo", 1, (ip_interface("127.0.0.1/8"), ip_interface("::1/128")))
ETH0 = Link("eth0", 2, (ip_interface("10.0.0.1/16"), ip_interface("fe80::1/64"), ip_interface("2001:db8::1/64")))
ETH1 = Link("eth1", 3, (ip_interface("10.1.0.1/31"), ip_interface("fe80::1:1/64")))
LINKS = (LO, ETH0, ETH1)

BOARD = Announcement(
    instance="mbed-linux-os-7",
    hostname="mbed-linux-os-7.local",
    port=22,
    txt={"mblos": None},
    addresses=("10.0.0.7", "fe80::7"),
    interface="eth0",
    sender="10.0.0.7",
    last_seen="2026-01-01T00:00:00+00:00",
)


def selected(*announcements: Announcement, rules: Rules = Rules()) -> Selection:  # noqa: B008
    return select(announcements, rules, LINKS)


def test_a_board_has_its_addresses_in_the_order_of_preference() -> None:
    assert selected(BOARD).boards[0].addresses == ("fe80::7%eth0", "10.0.0.7")
    assert selected(BOARD, rules=Rules(versions=(4, 6))).boards[0].addresses == ("10.0.0.7", "fe80::7%eth0")
    assert selected(BOARD, rules=Rules(versions=(4,))).boards[0].addresses == ("10.0.0.7",)


NO_BOARDS = {
    "127.0.0.1": "loopback",
    "0.0.0.0": "no address",
    "0.1.2.3": "reserved",
    "224.0.0.1": "multicast",
    "255.255.255.255": "reserved",
    "10.0.255.255": "whole network",
    "10.0.0.0": "whole network",
    "10.0.0.1": "this machine",
    "240.0.0.1": "reserved",
    "10.1.0.0": "not on a network of eth0",
    "8.8.8.8": "not on a network of eth0",
    "::": "no address",
    "::1": "loopback",
    "ff02::1": "multicast",
    "fe80::1": "this machine",
    "fe80:0:0:1::": "not on a network of eth0",
    "2001:db8::1": "this machine",
    "2001:db9::1": "not on a network of eth0",
    "::ffff:10.0.0.7": "IPv4 address in IPv6",
    "2002:a00:7::1": "IPv4 address in IPv6",
}


@pytest.mark.parametrize("address", NO_BOARDS)
def test_an_address_that_cannot_be_a_boards_is_refused_and_told(address: str) -> None:
    found = selected(replace(BOARD, addresses=(address,)))
    assert not found.boards
    assert any("mbed-linux-os-7" in warning and NO_BOARDS[address] in warning for warning in found.warnings)


@pytest.mark.parametrize("address", ["10.0.0.7", "fe80::7", "2001:db8::7"])
def test_an_address_of_the_link_is_used(address: str) -> None:
    assert selected(replace(BOARD, addresses=(address,))).boards


def test_a_network_of_two_addresses_has_none_for_all() -> None:
    assert selected(replace(BOARD, addresses=("10.1.0.0",), interface="eth1")).boards


@given(st.ip_addresses().map(str))
def test_whatever_is_announced_is_on_the_link(address: str) -> None:
    for board in selected(replace(BOARD, addresses=(address,))).boards:
        plain = ip_interface(board.addresses[0].partition("%")[0]).ip
        assert any(plain in own.network for own in ETH0.own if own.version == plain.version)


def test_routed_addresses_can_be_allowed() -> None:
    routed = replace(BOARD, addresses=("8.8.8.8", "127.0.0.1"))
    assert selected(routed, rules=Rules(allow_routed=True)).boards[0].addresses == ("8.8.8.8",)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    assert not selected(replace(BOARD, port=port)).boards


@pytest.mark.parametrize(
    ("mark", "is_found"), [("mblos", True), ("MBLOS", True), ("mblos=", False), ("mblos=1", False), ("other", False)]
)
def test_the_mark_of_a_board(mark: str, is_found: bool) -> None:
    assert bool(selected(BOARD, rules=Rules(txt=mark)).boards) is is_found


def test_a_mark_with_a_value() -> None:
    told = replace(BOARD, txt={"kind": "cam"})
    assert selected(told, rules=Rules(txt="kind=cam")).boards
    assert not selected(told, rules=Rules(txt="kind=Cam")).boards


def test_a_name_of_another_form_needs_the_roster_or_a_pattern() -> None:
    other = replace(BOARD, instance="other")
    found = selected(other)
    assert not found.boards
    assert "other" in found.warnings[0]
    assert selected(other, rules=Rules(roster=Roster.parse(["Other"]))).boards
    assert selected(other, rules=Rules(name_pattern="o.*")).boards
    assert not selected(replace(BOARD, instance="mbed-linux-os-7x")).boards


def test_the_roster_knows_names_of_the_inventory() -> None:
    rules = Rules(name_template="left-{name}", roster=Roster.parse(["left-cam"]))
    assert selected(replace(BOARD, instance="cam"), rules=rules).boards[0].name == "left-cam"


def test_one_name_on_two_links_is_two_boards_with_their_own_ports() -> None:
    second = replace(BOARD, interface="eth1", addresses=("fe80::8",), port=2222)
    real = replace(BOARD, instance="mbed-linux-os-7-eth1", addresses=("10.0.0.9",))
    found = selected(BOARD, second, real, rules=Rules(name_pattern=".*"))
    assert {board.name: board.port for board in found.boards} == {
        "mbed-linux-os-7-eth0": 22,
        "mbed-linux-os-7-eth1": 22,
        "mbed-linux-os-7-eth1-eth1": 2222,
    }


def test_a_name_that_only_ends_like_an_interface_is_no_case_of_two_links() -> None:
    found = selected(replace(BOARD, instance="mbed-linux-os-7-eth0"), rules=Rules(name_pattern=".*"))
    assert [board.name for board in found.boards] == ["mbed-linux-os-7-eth0"] and not found.warnings


def test_an_address_in_common_makes_one_board() -> None:
    assert len(selected(BOARD, replace(BOARD, interface="eth1", addresses=("fe80::7",))).boards) == 1


def test_the_interface_in_the_name_tells_boards_apart() -> None:
    second = replace(BOARD, interface="eth1", addresses=("fe80::8",))
    found = selected(BOARD, second, rules=Rules(name_template="{interface}.{name}"))
    assert [board.name for board in found.boards] == ["eth0.mbed-linux-os-7", "eth1.mbed-linux-os-7"]
    assert not found.warnings


def test_names_that_differ_in_case_only_are_one() -> None:
    assert len(selected(BOARD, replace(BOARD, instance="MBED-linux-os-7"), rules=Rules(name_pattern=".*")).boards) == 1


def test_a_flood_of_one_sender_stands_behind_everybody() -> None:
    flood = [replace(BOARD, instance=f"mbed-linux-os-{n}", sender="10.0.6.6") for n in range(100, 1100)]
    real = [replace(BOARD, instance=f"mbed-linux-os-{n}", sender=f"10.0.0.{n}") for n in range(20)]
    found = selected(*flood, *real, rules=Rules(max_hosts=30))
    assert {announced.instance for announced in real} <= {board.name for board in found.boards}
    assert len(found.boards) == 30
    assert found.is_capped
    assert len(" ".join(found.warnings)) < 1000


def test_known_boards_stand_before_everybody() -> None:
    many = [replace(BOARD, instance=f"mbed-linux-os-{n}") for n in range(10)]
    rules = Rules(max_hosts=2, roster=Roster.parse(["mbed-linux-os-9"]), seen_before=frozenset({"mbed-linux-os-8"}))
    assert [board.name for board in selected(*many, rules=rules).boards] == ["mbed-linux-os-8", "mbed-linux-os-9"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
def test_turns_lose_nobody(items: list[str]) -> None:
    ordered = in_turn(items, sender=lambda each: each[0], is_known=lambda each: each[1])
    assert sorted(ordered) == sorted(items)
    known = [each[1] for each in ordered]
    assert known == sorted(known, reverse=True)


def test_what_was_kept_is_what_it_was() -> None:
    plain = asdict(BOARD)
    assert Announcement.from_plain({**plain, "addresses": list(plain["addresses"])}) == BOARD


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from([*asdict(BOARD), "more"]), json_like), st.booleans())
def test_what_somebody_else_kept_is_refused_or_checked(damage: dict[str, Any], is_whole: bool) -> None:
    try:
        found = Announcement.from_plain({**asdict(BOARD), **damage} if is_whole else damage)
    except ValueError:
        return
    for board in selected(found).boards:
        assert board.name.startswith("mbed-linux-os-")
        assert all(isinstance(address, str) for address in board.addresses)


@pytest.mark.parametrize("value", [None, 7, [], "text"])
def test_what_is_no_entry_at_all_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=""):
        Announcement.from_plain(value)


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("192.0.2.7", "192.0.2.7", 22),
        ("192.0.2.7:2222", "192.0.2.7", 2222),
        ("fe80::7%eth1", "fe80::7%eth1", 22),
        ("[fe80::7%eth1]:2222", "fe80::7%eth1", 2222),
        ("board.example:23", "board.example", 23),
    ],
)
def test_boards_by_hand(text: str, address: str, port: int) -> None:
    (board,) = by_hand.boards({"cam": text})
    assert (board.name, board.addresses, board.port) == ("cam", (address,), port)


@pytest.mark.parametrize("text", ["", "-oProxyCommand=x", "a b", "192.0.2.7:0", "192.0.2.7:70000", "[::1", "a;b"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(PelionError):
        by_hand.boards({"cam": text})


PRINT = "SHA256:" + "b" * 43


def test_a_roster_has_names_fingerprints_and_both() -> None:
    roster = Roster.parse(["Cam", PRINT, f"mbed-linux-os-1 {PRINT} SHA256:{'c' * 43}"])
    assert roster.names == {"cam", "mbed-linux-os-1"}
    assert roster.fingerprints == {PRINT}
    assert roster.pinned("MBED-linux-os-1") == {PRINT, "SHA256:" + "c" * 43}
    assert roster.pinned("cam") == frozenset()


@pytest.mark.parametrize("entry", ["", "a b", "SHA256:short", "localhost", "10.0.0.1", "MD5:00:11", "a'b"])
def test_what_is_no_entry_of_a_roster_is_refused(entry: Any) -> None:
    with pytest.raises(PelionError, match="roster"):
        Roster.parse([entry])


def test_an_unknown_interface_is_named() -> None:
    with pytest.raises(PelionError, match="no network interface 'eth9'"):
        chosen(LINKS, ["eth9"])
    assert chosen(LINKS, ["eth1", "eth1"]) == (ETH1,)
    assert chosen(LINKS, []) == (ETH0, ETH1)
