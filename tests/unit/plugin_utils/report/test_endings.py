# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificates are said to end soon."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.description import BoardStatus
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.endings import (
    Ending,
    ending_text,
    endings,
    unchecked_text,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.failure import Failure
from ansible_collections.pelion.mbl.plugins.plugin_utils.times import time_text

NOW = datetime(2026, 11, 25, tzinfo=timezone.utc)


@dataclass
class InCloud:
    """As much of a DeveloperCertificate as matters here."""

    name: str
    not_after: datetime
    active: bool = True
    fingerprint: str = "c" * 64


def status(**certificates: Any) -> BoardStatus:
    answer = BoardStatus.from_json({"configured": True, **certificates})
    assert answer
    return answer


def held(days: int) -> dict[str, Any]:
    return {"fingerprint": "f" * 64, "common_name": "cn", "not_after": text(days)}


def text(days: int) -> str:
    return time_text(NOW + timedelta(days=days))


@pytest.mark.parametrize(("days", "ends"), [(-1, True), (0, True), (29, True), (30, False), (4000, False)])
def test_within_the_days_and_not_on_the_last(days: int, ends: bool) -> None:
    for places in (
        {"boards": {"b": status(developer_certificate=held(days), update_certificate=None)}},
        {"boards": {"b": status(developer_certificate=None, update_certificate=held(days))}},
        {"stored": [{"kind": "update-resources", "name": "u", "not_after": text(days)}]},
        {"stored": [{"kind": "developer-credentials", "name": "d", "not_after": text(days)}]},
        {"in_cloud": [InCloud("d", NOW + timedelta(days=days))]},
    ):
        found = endings(NOW, 30, **{"boards": {}, "stored": [], "in_cloud": [], **places})
        assert [ending.days for ending in found] == ([days] if ends else [])


def test_the_first_to_end_is_told_first_and_what_nothing_depends_on_not_at_all() -> None:
    found = endings(
        NOW,
        30,
        boards={"a": status(update_certificate=held(3))},
        stored=[{"kind": "api-key", "name": "api-key"}, {"kind": "update-resources", "name": "damaged"}],
        in_cloud=[InCloud("old", NOW, active=False), InCloud("d", NOW - timedelta(days=2))],
    )
    assert [(ending.place, ending.kind) for ending in found] == [("cloud", "developer"), ("board a", "update")]
    assert "has ended" in ending_text(found, 30)[1]
    assert "ends in 3 days" in ending_text(found, 30)[2]


def test_what_boards_hold_is_told_by_the_names_that_people_gave() -> None:
    boards = {
        "a": status(developer_certificate=held(1)),
        "b": status(update_certificate={**held(1), "fingerprint": "u" * 64}),
    }
    stored = [{"kind": "update-resources", "name": "bench-update", "fingerprint": "u" * 64, "not_after": text(1)}]
    found = endings(NOW, 30, boards=boards, stored=stored, in_cloud=[InCloud("bench", NOW, fingerprint="f" * 64)])
    assert {ending.place: ending.name for ending in found} == {
        "board a": "bench",
        "board b": "bench-update",
        "cloud": "bench",
        "team store": "bench-update",
    }


def test_the_boards_of_one_certificate_are_told_together() -> None:
    boards = {f"b{number}": status(developer_certificate=held(1)) for number in range(300)}
    (one,) = endings(NOW, 30, boards=boards, stored=[], in_cloud=[])
    assert one.place == "300 boards (b0, b1, b2, b3, b4, …)"


def test_a_certificate_in_several_places_is_one_sentence() -> None:
    found = [Ending(text(1), 1, place, "update", "up") for place in ("2 boards (a, b)", "team store")]
    assert ending_text(found, 30) == [
        "1 certificate ends within 30 days.",
        f"The update certificate 'up' ends in 1 day ({text(1)}): 2 boards (a, b), team store.",
        "Run pelion.mbl.rotate for the fleet to get new ones.",
    ]
    many = [Ending(text(-1), -1, "cloud", "developer", f"d{number}") for number in range(30)]
    said = ending_text(many, 30)
    assert said[0] == "30 certificates end within 30 days." and "'d0' has ended" in said[1]
    assert (len(said), said[-2]) == (13, "And 20 more.")
    assert ending_text([], 30) == []


def test_boards_that_did_not_answer_are_named_with_why_once() -> None:
    failures = {
        "a": Failure("ssh: fe80::1: Connection refused", unreachable=True),
        "b": Failure("ssh: fe80::2: Connection refused", unreachable=True),
        "c": Failure("No room."),
        "d": None,
    }
    assert unchecked_text(failures) == [
        "c did not answer, so its certificates were not checked: No room.",
        "d did not answer, so its certificates were not checked: It was not asked.",
        "a, b did not answer, so their certificates were not checked: They are on the network, but take no ssh "
        "connections.",
    ]
    assert "fe80::1: Connection refused." in unchecked_text({"a": failures["a"]})[0]
