# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a search ends, and what it has found by then: in virtual time, with the loss that a seed brings."""

from __future__ import annotations

from collections.abc import Callable, Collection
from ipaddress import ip_interface
from types import SimpleNamespace
from typing import Any

import pytest
from mdns.street import board
from mdns.virtual import VirtualWire

from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery import knowledge as knowledge_module
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery import search as search_module
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.discover import concerns
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.hosts import Rules
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.knowledge import Knowledge
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.links import Link
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.search import Search, run
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.wire import Datagram

LINK = Link("eth0", 2, (ip_interface("10.0.0.1/16"), ip_interface("fe80::1/64")))
KINDS = ({}, {"waits": True}, {"how": "split"}, {"how": "pointer"})
SEEDS = range(12)


def mixed(count: int, **more: Any) -> list[dict[str, Any]]:
    return [board(number, **KINDS[number % 4], **more) for number in range(count)]


def street(boards: list[dict[str, Any]], seed: int = 0) -> VirtualWire:
    return VirtualWire(LINK, boards, lambda sender, data: Datagram(LINK, sender, data), seed)


def names(boards: list[dict[str, Any]]) -> set[str]:
    return {board["name"] for board in boards}


@pytest.fixture
def seek(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SimpleNamespace]:
    """What a search on a wire found: how many boards, how many of these with both addresses, in how many seconds.
    ``remembered``: the names of those that earlier runs found."""

    def seek(
        wire: VirtualWire, *, timeout: float = 10.0, quiet: float = 0.6, remembered: Collection[str] = ()
    ) -> SimpleNamespace:
        clock = SimpleNamespace(monotonic=lambda: wire.now, time=lambda: wire.now)
        monkeypatch.setattr(search_module, "time", clock)
        monkeypatch.setattr(knowledge_module, "time", clock)
        knowledge, rules, began = Knowledge(["_ssh._tcp.local."], (6, 4)), Rules(), wire.now

        def is_as_ever() -> bool:
            there = (service.instance for service in knowledge.present() if knowledge.is_complete(service))
            return bool(remembered) and set(remembered) <= set(there)

        search = Search(
            timeout,
            quiet,
            lambda service: concerns(service, rules),
            lambda service: service.instance in remembered,
            is_as_ever=is_as_ever,
        )
        run(search, wire, knowledge)
        found = [service for service in knowledge.present() if knowledge.is_complete(service)]
        whole = [service for service in found if len(knowledge.host(service).addresses) == 2]
        return SimpleNamespace(found=len(found), whole=len(whole), seconds=wire.now - began)

    return seek


@pytest.mark.parametrize("seed", range(3))
def test_where_nothing_is_lost_the_search_ends_within_a_second(seek: Callable[..., SimpleNamespace], seed: int) -> None:
    ended = seek(street(mixed(50), seed))
    assert ended.whole == 50
    assert ended.seconds < 1.0


@pytest.mark.parametrize("seed", range(3))
def test_where_all_are_remembered_the_search_ends_sooner(seek: Callable[..., SimpleNamespace], seed: int) -> None:
    boards = mixed(50)
    ended = seek(street(boards, seed), remembered=names(boards))
    assert ended.whole == 50
    assert ended.seconds <= seek(street(mixed(50), seed)).seconds - 0.25


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_new_board_is_found_beside_those_that_are_remembered(
    seek: Callable[..., SimpleNamespace], loss: float, seed: int
) -> None:
    boards = mixed(50, loss=loss)
    assert seek(street(boards, seed), remembered=names(boards[:-1])).whole == 50


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("loss", [0.05, 0.3])
@pytest.mark.parametrize("one_shot", [True, False], ids=["one-shot", "group-only"])
def test_all_are_found_though_questions_and_answers_get_lost(
    seek: Callable[..., SimpleNamespace], one_shot: bool, loss: float, seed: int
) -> None:
    assert seek(street(mixed(50, loss=loss, one_shot=one_shot), seed)).whole == 50


@pytest.mark.parametrize("seed", SEEDS)
def test_all_of_one_family_are_found_though_questions_and_answers_get_lost(
    seek: Callable[..., SimpleNamespace], seed: int
) -> None:
    assert seek(street(mixed(20, loss=0.2, ipv6=None), seed)).found == 20


@pytest.mark.parametrize("pause", [0.3, 0.6, 0.9, 1.1])
@pytest.mark.parametrize("one_shot", [True, False], ids=["one-shot", "group-only"])
def test_a_search_right_after_another_finds_all(
    seek: Callable[..., SimpleNamespace], one_shot: bool, pause: float
) -> None:
    wire = street(mixed(20, one_shot=one_shot))
    seek(wire)
    for _round in range(3):
        wire.now += pause
        assert seek(wire).whole == 20


def test_an_empty_street_is_left_before_the_time_is_over(seek: Callable[..., SimpleNamespace]) -> None:
    assert seek(street([board(0, how="silent")]), timeout=60).seconds < 5


def test_boards_that_have_addresses_of_a_silent_family_do_not_hold_the_search(
    seek: Callable[..., SimpleNamespace],
) -> None:
    """As avahi does where it uses IPv4 only and announces both."""
    boards = [board(number, ipv6=None, more=[f"fe80::{number + 7:x}"]) for number in range(20)]
    ended = seek(street(boards))
    assert ended.whole == 20
    assert ended.seconds < 1.5
