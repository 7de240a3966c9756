# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet import assignment
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.assignment import (
    Assignment,
    Certificate,
    Seeker,
    assign,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reasons import FLEET_REASONS


def newcomers(count: int, wish: str = "bench", *, spread: bool = True, create: bool = True) -> list[Seeker]:
    return [Seeker(f"board-{number}", wish, spread=spread, create=create) for number in range(count)]


def holder(board: str, of: str, wish: str = "bench", *, spread: bool = True, counted: bool = False) -> Seeker:
    return Seeker(board, wish, spread=spread, holds=f"fingerprint of {of}", counted=counted)


def certificate(name: str, devices: int = 0, usable: bool = True) -> Certificate:
    return Certificate(name, f"fingerprint of {name}", devices, usable)


def places(seekers: list[Seeker], *certificates: Certificate, left: int = 50) -> Assignment:
    return assign(seekers, certificates, left)


def said(result: Assignment, board: str) -> str:
    return result.homeless[board].message(FLEET_REASONS)


def test_one_certificate_for_a_small_fleet() -> None:
    assert places(newcomers(3, spread=False)).create == ["bench"]
    result = places(newcomers(100, spread=False), certificate("bench"), certificate("bench-01"), certificate("other"))
    assert set(result.given.values()) == {"bench"}
    assert result.create == []


def test_one_certificate_has_no_room_for_more_and_only_those_are_told() -> None:
    result = places(newcomers(3, spread=False), certificate("bench", 98))
    assert result.given == {"board-0": "bench", "board-1": "bench"}
    assert result.homeless["board-2"].code == "no-room-spread"
    assert "(bench has 98 of 100 devices and 2 that this run is adding)" in said(result, "board-2")
    assert "provision_pelion_spread" in said(result, "board-2")
    assert result.create == []


def test_one_that_this_run_makes_has_no_more_room_than_another() -> None:
    result = places(newcomers(101, spread=False))
    assert {board: reason.code for board, reason in result.homeless.items()} == {"board-100": "no-room-spread"}
    assert "(bench has 0 of 100 devices and 100 that this run is adding)" in said(result, "board-100")


def test_a_large_fleet_is_spread_in_natural_order() -> None:
    result = places(newcomers(250))
    assert result.create == ["bench-01", "bench-02", "bench-03"]
    assert Counter(result.given.values()) == {"bench-01": 100, "bench-02": 100, "bench-03": 50}
    assert result.given["board-99"] == "bench-01"
    assert result.given["board-100"] == "bench-02"


def test_gaps_are_filled_before_anything_is_made() -> None:
    result = places(newcomers(12), certificate("bench-01", 95), certificate("bench-03", 96))
    assert Counter(result.given.values()) == {"bench-01": 5, "bench-03": 4, "bench-02": 3}
    assert result.create == ["bench-02"]


def test_who_holds_a_certificate_keeps_the_place_whatever_is_known_of_its_device() -> None:
    holders = [holder(f"old-{number}", "bench", spread=False) for number in range(60)]
    result = places(holders, certificate("bench", 60))
    assert set(result.given.values()) == {"bench"}
    spread = [holder(f"old-{number}", "bench-02") for number in range(60)]
    assert set(places(spread, certificate("bench-01"), certificate("bench-02", 60)).given.values()) == {"bench-02"}
    assert places([holder("old", "bench-01")], certificate("bench-01", 100)).given == {"old": "bench-01"}


def test_places_of_holders_are_not_given_away() -> None:
    seekers = [*newcomers(100), holder("old", "bench-01")]
    result = places(seekers, certificate("bench-01"))
    assert Counter(result.given.values()) == {"bench-01": 100, "bench-02": 1}
    assert result.given["old"] == "bench-01"
    counted = [*newcomers(99), holder("old", "bench-01", counted=True)]
    assert places(counted, certificate("bench-01", 1)).create == []


def reserving(*names: str) -> Seeker:
    return Seeker("a", "bench", spread=True, reserved=names)


def test_a_place_that_another_run_gives_is_kept_as_long_as_there_is_one() -> None:
    free = (certificate("bench-01"), certificate("bench-02", 99))
    assert places([reserving("bench-02")], *free).given == {"a": "bench-02"}
    assert places([reserving("bench-02")], free[0], certificate("bench-02", 100)).given == {"a": "bench-01"}
    for elsewhere in ("other", "bench-03"):
        assert places([reserving(elsewhere)], *free, certificate("other")).given == {"a": "bench-01"}
        assert places([reserving("bench-02", elsewhere)], *free, certificate("other")).given == {"a": "bench-02"}
    assert places([reserving("bench-02", "bench-01")], *free).given == {"a": "bench-01"}, "the last one"


def test_the_last_place_is_kept_for_who_holds_it_and_not_for_who_is_given_it_as_well() -> None:
    """The device of the one was deleted, so that the cloud does not count it."""
    last = (certificate("bench-01"), certificate("bench-02", 99))
    assert places([reserving("bench-02"), holder("b", "bench-02")], *last).given == {"a": "bench-01", "b": "bench-02"}


def test_a_place_that_another_run_gives_is_taken_by_who_is_counted_elsewhere() -> None:
    moving = replace(reserving("bench-02"), holds="fingerprint of other", counted=True)
    free = (certificate("bench-01"), certificate("bench-02", 99), certificate("other", 1))
    assert places([moving, replace(moving, board="b")], *free).given == {"a": "bench-02", "b": "bench-01"}


def test_who_has_yet_to_bootstrap_leaves_a_full_certificate_and_no_other() -> None:
    full, free = certificate("bench-01", 100), certificate("bench-02")
    waiting = replace(holder("a", "bench-01"), unused=True)
    assert places([waiting], full, free).given == {"a": "bench-02"}
    assert places([waiting], certificate("bench-01", 99), free).given == {"a": "bench-01"}
    assert places([replace(waiting, counted=True)], full, free).given == {"a": "bench-01"}
    assert places([replace(waiting, spread=False, wish="bench-01")], full, free).given == {"a": "bench-01"}


def test_the_name_itself_from_before_the_fleet_was_spread_is_kept_and_given_to_nobody_else() -> None:
    result = places([holder("old", "bench"), *newcomers(1)], certificate("bench", 1))
    assert result.given == {"old": "bench", "board-0": "bench-01"}


def test_each_board_gets_what_it_wishes_for_itself() -> None:
    seekers = [
        Seeker("one", "a"),
        Seeker("two", "b"),
        Seeker("three", "c", spread=True),
        Seeker("four", "d", create=False),
    ]
    result = places(seekers, certificate("b"))
    assert result.given == {"one": "a", "two": "b", "three": "c-01"}
    assert sorted(result.create) == ["a", "c-01"]
    assert "provision_pelion_create" in said(result, "four")
    assert result.homeless["four"].code == "no-certificate"


def test_what_is_made_for_one_serves_another_that_may_not_have_one_made() -> None:
    result = places([Seeker("a", "bench", create=False), Seeker("b", "bench")])
    assert result.given == {"a": "bench", "b": "bench"}


def test_what_is_made_for_one_wish_serves_others_that_can_mean_it() -> None:
    wishes = [("a", True), ("b", False), ("c", True)]
    seekers = [Seeker(board, "bench" if spread else "bench-01", spread=spread) for board, spread in wishes]
    result = places(seekers, certificate("bench-02", 99))
    assert result.given == {"a": "bench-02", "b": "bench-01", "c": "bench-01"}
    assert result.create == ["bench-01"]


def test_the_account_has_an_end() -> None:
    result = places(newcomers(250), left=2)
    assert len(result.create) == 2
    assert len(result.homeless) == 50
    assert "the account may not have more" in said(result, "board-249")
    assert result.homeless["board-249"].code == "no-room-account"
    for spread in (True, False):
        nothing = places(newcomers(1, spread=spread), left=0).homeless["board-0"]
        assert (nothing.code, nothing.facts) == ("no-room-account", {"certificates": "none yet"})


def test_where_none_may_be_made_a_full_certificate_is_no_place() -> None:
    result = places(newcomers(1, create=False), certificate("bench-10", 100), certificate("bench-09", 100))
    assert result.homeless["board-0"].code == "no-room-create"
    assert "(bench-09 has 100 of 100 devices; bench-10 has" in said(result, "board-0")
    before = places(newcomers(1, create=False), certificate("bench")).homeless["board-0"]
    assert (before.code, before.facts) == ("no-room-create", {"certificates": "bench has 0 of 100 devices"})


def test_names_are_in_the_order_of_their_numbers() -> None:
    two = (certificate("bench-100"), certificate("bench-99"))
    assert places(newcomers(1), *two).given == {"board-0": "bench-99"}
    assert places(newcomers(1), certificate("bench-00"), certificate("bench-1")).given == {"board-0": "bench-01"}


@pytest.mark.parametrize("usable", [True, False])
def test_an_inactive_certificate_takes_nobody_new_and_loses_nobody(usable: bool) -> None:
    result = places([holder("old", "bench-01"), *newcomers(1)], certificate("bench-01", 1, usable))
    assert result.given["old"] == "bench-01"
    assert result.given["board-0"] == ("bench-01" if usable else "bench-02")
    if not usable:
        one = places(
            [holder("old", "bench", spread=False), *newcomers(1, spread=False)], certificate("bench", 1, usable)
        )
        assert "(bench has 1 of 100 devices and is inactive or expired)" in said(one, "board-0")


NAMES = ("bench", "bench-00", "bench-01", "bench-02", "bench-1", "x")
seekers_of_a_few_wishes = st.lists(
    st.builds(
        Seeker,
        board=st.uuids().map(str),
        wish=st.sampled_from(["bench", "bench-01", "x"]),
        spread=st.booleans(),
        create=st.booleans(),
        holds=st.sampled_from([None, *(f"fingerprint of {name}" for name in NAMES)]),
        counted=st.booleans(),
    ),
    max_size=30,
    unique_by=lambda seeker: seeker.board,
)


def serves(seeker: Seeker, name: str) -> bool:
    """Whether newcomers with that wish get places there."""
    return bool(re.fullmatch(f"{seeker.wish}-0[1-9]", name)) if seeker.spread else name == seeker.wish


@given(seekers_of_a_few_wishes, st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3)), st.integers(0, 4))
def test_every_board_has_a_place_or_a_reason_and_no_certificate_is_overfilled(
    seekers: list[Seeker], devices: dict[str, int], left: int
) -> None:
    certificates = [certificate(name, count) for name, count in devices.items()]
    with patch.object(assignment, "DEVICES_PER_CERTIFICATE", 3):
        result = assign(seekers, certificates, left)
    assert {*result.given, *result.homeless} == {seeker.board for seeker in seekers}
    assert not set(result.given) & set(result.homeless)
    assert len(result.create) == len(set(result.create)) <= left
    assert set(result.create) <= set(result.given.values()) and not set(result.create) & set(devices)
    holders = {
        seeker.board: seeker
        for seeker in seekers
        for name in devices
        if seeker.holds == f"fingerprint of {name}"
        and (name == seeker.wish or (seeker.spread and serves(seeker, name)))
    }
    new: Counter[str] = Counter(seeker.holds[15:] for seeker in holders.values() if not seeker.counted)
    for seeker in seekers:
        name = result.given.get(seeker.board)
        if seeker.board in holders:
            assert f"fingerprint of {name}" == seeker.holds
        elif name:
            assert serves(seeker, name)
            new[name] += 1
            assert devices.get(name, 0) + new[name] <= 3
    for seeker in seekers:
        if seeker.board in result.homeless:
            free = [name for name in {*devices, *result.create} if devices.get(name, 0) + new[name] < 3]
            assert not any(serves(seeker, name) for name in free)
