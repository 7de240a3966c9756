# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A decision for twice as many boards takes twice the work. Work is counted in the interpreter's instructions, which a
loaded machine does not change; tests/bench/decision.py measures the time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
from paper_fleet import WISHES, PaperFleet

from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.assignment import assign
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.roster import concerning

FEW, MANY = 100, 400
PLACES = 2
"""Of a certificate: few, so that there are certificates in proportion to the boards as well."""
MORE_THAN_LINEAR = 1.15


def instructions(act: Callable[[], Any]) -> int:
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


def first_run(boards: int) -> Callable[[], Any]:
    fleet = PaperFleet(boards, boards, PLACES)
    members = fleet.fresh()
    return lambda: fleet.decide(members, in_use=False)


def rerun(boards: int) -> Callable[[], Any]:
    fleet = PaperFleet(boards, boards, PLACES)
    members = fleet.proven()
    return lambda: fleet.decide(members, in_use=True)


def rerun_without_the_cloud(boards: int) -> Callable[[], Any]:
    fleet = PaperFleet(boards, boards, PLACES)
    members = fleet.proven()
    return lambda: fleet.decide(members, in_use=True, verify=False)


def no_places(boards: int) -> Callable[[], Any]:
    fleet = PaperFleet(boards, boards // 4, PLACES)
    members = fleet.fresh()
    return lambda: fleet.decide(members, in_use=False)


def a_roster(boards: int) -> Callable[[], Any]:
    """As the boards' tasks hand it on."""
    fleet = PaperFleet(boards, boards, PLACES)
    members = [
        replace(member, wishes=replace(WISHES, roster=concerning(member.name, keys.fingerprints, fleet.names)))
        for member in fleet.fresh()
        for keys in (member.host_keys,)
    ]
    return lambda: fleet.decide(members, in_use=False)


@pytest.mark.parametrize("case", [first_run, rerun, rerun_without_the_cloud, no_places, a_roster])
def test_the_work_grows_as_the_fleet(case: Callable[[int], Callable[[], Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{assign.__module__}.DEVICES_PER_CERTIFICATE", PLACES)
    few, many = (instructions(case(boards)) for boards in (FEW, MANY))
    assert few > 10 * FEW, "something was counted"
    assert many <= MORE_THAN_LINEAR * few * MANY / FEW


def test_more_than_linear_work_is_noticed() -> None:
    def squared(boards: int) -> int:
        return instructions(lambda: [one for one in range(boards) for _other in range(boards)])

    assert squared(MANY) > MORE_THAN_LINEAR * squared(FEW) * MANY / FEW
