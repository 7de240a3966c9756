# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.assignment import (
    DEVICES_PER_CERTIFICATE,
    CertificatePlan,
    PlannedBoard,
    PlannedCertificate,
    plan_certificates,
)


def new_boards(count: int) -> list[PlannedBoard]:
    return [PlannedBoard(f"board-{number}") for number in range(count)]


def certificate(name: str, devices: int = 0, usable: bool = True) -> PlannedCertificate:
    return PlannedCertificate(name, f"fingerprint of {name}", devices, usable)


def plan(
    boards: list[PlannedBoard], *certificates: PlannedCertificate, spread: bool = True, left: int = 50
) -> CertificatePlan:
    return plan_certificates("bench", boards, certificates, spread=spread, certificates_left=left)


def test_one_certificate_for_a_small_fleet() -> None:
    assert plan(new_boards(3), spread=False).create == ["bench"]
    result = plan(new_boards(100), certificate("bench"), certificate("bench-01"), certificate("other"), spread=False)
    assert result.certificates == ["bench"]
    assert result.create == []


def test_one_certificate_has_no_room_for_more() -> None:
    with pytest.raises(PelionError, match=r"no room for 1 boards .*bench has 98 of 100 devices.*Spread the fleet"):
        plan(new_boards(3), certificate("bench", 98), spread=False)
    with pytest.raises(PelionError, match="no room for 1 boards"):
        plan(new_boards(101), spread=False)


def test_a_large_fleet_is_spread_in_natural_order() -> None:
    result = plan(new_boards(250))
    assert result.create == result.certificates == ["bench-01", "bench-02", "bench-03"]
    assert Counter(result.assignments.values()) == {"bench-01": 100, "bench-02": 100, "bench-03": 50}
    assert result.assignments["board-99"] == "bench-01"
    assert result.assignments["board-100"] == "bench-02"


def test_gaps_are_filled_before_anything_is_made() -> None:
    result = plan(new_boards(12), certificate("bench-01", 95), certificate("bench-03", 96))
    assert Counter(result.assignments.values()) == {"bench-01": 5, "bench-03": 4, "bench-02": 3}
    assert result.create == ["bench-02"]


def test_names_of_other_patterns_are_not_ours() -> None:
    others = [certificate(name) for name in ("bench-1", "bench-01-old", "abench-01", "bench_01", "Bench-01")]
    assert plan(new_boards(1), *others).create == ["bench-01"]


def test_numbers_go_on_past_99() -> None:
    full = [certificate(f"bench-{number:02}", 100) for number in range(1, 100)]
    assert plan(new_boards(1), *full).create == ["bench-100"]


def test_a_board_keeps_its_own() -> None:
    own = PlannedBoard("a", "fingerprint of bench-02", counted=True)
    result = plan([own, *new_boards(1)], certificate("bench-01", 0), certificate("bench-02", 100))
    assert result.assignments == {"a": "bench-02", "board-0": "bench-01"}


def test_boards_of_the_time_before_the_spread_keep_the_plain_certificate() -> None:
    own = PlannedBoard("a", "fingerprint of bench", counted=True)
    result = plan([own, *new_boards(1)], certificate("bench", 7))
    assert result.assignments == {"a": "bench", "board-0": "bench-01"}


def test_a_certificate_of_another_family_is_given_up() -> None:
    stranger = PlannedBoard("a", "fingerprint of other", counted=True)
    assert plan([stranger], certificate("other"), certificate("bench-01")).assignments == {"a": "bench-01"}


def test_a_board_that_never_bootstrapped_moves_on_when_its_certificate_is_full_or_unusable() -> None:
    for its in (certificate("bench-01", 100), certificate("bench-01", 5, usable=False)):
        board = PlannedBoard("a", "fingerprint of bench-01")
        assert plan([board], its).assignments == {"a": "bench-02"}
        with pytest.raises(PelionError, match="bench-01 has"):
            plan([board], its, left=0)


def test_a_board_that_is_registered_keeps_an_unusable_certificate() -> None:
    board = PlannedBoard("a", "fingerprint of bench-01", counted=True)
    assert plan([board], certificate("bench-01", 5, usable=False)).create == []


def test_an_account_without_room_is_told() -> None:
    with pytest.raises(PelionError, match=r"no room for 50 boards .*the account may have 2 more"):
        plan(new_boards(250), left=2)
    with pytest.raises(PelionError, match=r"none yet.*the account may have 0 more"):
        plan(new_boards(1), spread=False, left=0)


@given(
    spread=st.booleans(),
    devices=st.lists(st.integers(0, 105), max_size=6),
    unusable=st.sets(st.integers(0, 5)),
    held=st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=40),
    newcomers=st.integers(0, 320),
    left=st.integers(0, 5),
)
def test_every_plan_has_room_and_lasts(
    spread: bool,
    devices: list[int],
    unusable: set[int],
    held: list[tuple[int, bool]],
    newcomers: int,
    left: int,
) -> None:
    names = ["bench", *(f"bench-{number:02}" for number in range(1, 6))]
    certificates = [
        certificate(name, count, index not in unusable)
        for index, (name, count) in enumerate(zip(names, devices, strict=False))
    ]
    boards = new_boards(newcomers) + [
        # a board can be counted only by a certificate that exists
        PlannedBoard(
            f"old-{number}", f"fingerprint of {names[its]}" if its < 6 else None, counted and its < len(certificates)
        )
        for number, (its, counted) in enumerate(held)
    ]
    try:
        result = plan(boards, *certificates, spread=spread, left=left)
    except PelionError:
        return
    assert set(result.assignments) == {board.name for board in boards}
    assert len(result.create) <= left
    assert not set(result.create) & {one.name for one in certificates}

    existing = {one.name: one for one in certificates}
    taken = Counter(result.assignments[board.name] for board in boards if not board.counted)
    kept = {
        board.name
        for board in boards
        if board.counted and board.fingerprint == f"fingerprint of {result.assignments[board.name]}"
    }
    taken += Counter(result.assignments[board.name] for board in boards if board.counted and board.name not in kept)
    for name, count in taken.items():
        assert name in existing or name in result.create
        if name in existing:
            assert existing[name].usable
            assert existing[name].devices + count <= DEVICES_PER_CERTIFICATE
        else:
            assert count <= DEVICES_PER_CERTIFICATE

    # After the boards got their certificates and bootstrapped, the same run plans the same.
    later = [PlannedBoard(board.name, f"fingerprint of {result.assignments[board.name]}", True) for board in boards]
    now = [
        certificate(name, (existing[name].devices if name in existing else 0) + taken[name])
        for name in {*existing, *result.create}
    ]
    again = plan(later, *now, spread=spread, left=left - len(result.create))
    assert again.assignments == result.assignments
    assert again.create == []
