# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step of a run that decides for all boards: what it hands on, what it keeps, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cloud_access import held, store_at
from paper_fleet import UPDATE, WISHES, PaperFleet, host_key

from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.answers import Answer, Unasked
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.deciding import Decided, decide_for, require_one_team
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.host_keys import HostKeys
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.member import Member
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import Remembered, read_fleet, remember
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.readiness import Terms
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reservations import Reservations
from ansible_collections.pelion.mbl.plugins.plugin_utils.reasons import Reason
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store

FLEET = PaperFleet(4, 1)
HOLDER, RENAMED, NEWCOMER, LOST = FLEET.names
"""The first two hold what they should; the second was called LOST when it was provisioned."""


@pytest.fixture
def team(tmp_path: Path) -> Store:
    """With the credentials, and what the team remembers of two boards."""
    team = store_at(tmp_path / "team")
    FLEET.keep_in(team)
    known = FLEET.remembered()
    remember(team, {HOLDER: known[HOLDER], LOST: known[RENAMED]})
    return team


def told(member: Member, **team: Any) -> dict[str, Any]:
    return Answer(member.wishes, team, member.board, member.host_keys).to_json()


def asked() -> dict[str, Mapping[str, Any]]:
    holder, renamed = FLEET.proven()[:2]
    return {HOLDER: told(holder), RENAMED: told(renamed), NEWCOMER: told(FLEET.fresh()[2])}


def decided(team: Store, answers: Mapping[str, Mapping[str, Any]], **options: Any) -> tuple[Decided, list[str]]:
    """The decision, and the warnings."""
    warned: list[str] = []
    given = {"api": FLEET.api(), "there": [HOLDER, RENAMED, NEWCOMER], "dry_run": False, **options}
    found = decide_for(
        answers,
        team,
        given.pop("api"),
        pytest.fail,
        given.pop("there"),
        given.pop("terms_at", lambda ahead: Terms(datetime.now(timezone.utc), ahead)),
        warned.append,
        **given,
    )
    return found, warned


def test_the_next_steps_get_what_they_need(team: Store) -> None:
    blind = replace(FLEET.fresh()[3], board=replace(FLEET.fresh()[3].board, has_utility=False))
    found, _warned = decided(team, {**asked(), LOST: told(blind)}, there=FLEET.names)
    result = found.result
    assert {name: part.get("dev_cert") for name, part in result.pop("parts").items()} == {
        NEWCOMER: "bench-01",
        LOST: None,
    }
    assert {name: ready["answer"] for name, ready in result.pop("takes_updates").items()} == {
        HOLDER: "no",  # nobody has the update key
        RENAMED: "no",
    }
    assert result == {
        "to_work_on": [NEWCOMER],
        "dev_certs": [],
        "update_resources": [],
        "only_look": False,
        "gets": {},
        "absent": [],
    }


def test_what_is_to_be_made_first_is_told_with_its_recipe(tmp_path: Path) -> None:
    wishes = replace(WISHES, update=replace(WISHES.update, vendor_domain="example.com", device_class="board"))
    [fresh] = FLEET.fresh(wishes)[:1]
    found, _warned = decided(store_at(tmp_path / "new"), {HOLDER: told(fresh)}, api=FLEET.api(in_use=False))
    assert found.result["dev_certs"] == ["bench-01"]
    recipe = {"name": UPDATE, "vendor_domain": "example.com", "device_class": "board"}
    assert found.result["update_resources"] == [recipe]


def test_places_and_boards_in_order_are_noted(team: Store) -> None:
    found, _warned = decided(team, asked())
    assert held(Reservations(team).noted()) == {NEWCOMER: ["bench-01"]}
    known = read_fleet(team)
    assert (list(found.former), known.keys()) == ([LOST], {HOLDER, RENAMED})
    assert (known[RENAMED].certificate, known[RENAMED].host_keys) == ("bench-01", (host_key(1),))
    assert known[HOLDER].seen > FLEET.remembered()[HOLDER].seen
    sited = {name: {**answer, "wishes": {**answer["wishes"], "site": "north"}} for name, answer in asked().items()}
    decided(team, sited)
    assert {board.site for board in read_fleet(team).values()} == {"north"}


@pytest.mark.parametrize("option", ["dry_run", "only_look"])
def test_who_only_looks_leaves_no_note(team: Store, option: str) -> None:
    before = read_fleet(team)
    found, _warned = decided(team, asked(), **{option: True})
    assert (read_fleet(team), Reservations(team).noted(), list(found.former)) == (before, {}, [])
    looks = option == "only_look"
    assert found.result["only_look"] is looks
    assert found.result["to_work_on"] == ([] if looks else [NEWCOMER])
    assert list(found.result["gets"]) == ([NEWCOMER] if looks else [])


def test_a_board_that_the_inventory_lacks_is_told_unless_not_all_were_asked(team: Store) -> None:
    gone = {name: Remembered((host_key(7),), None, "bench-01", "2026-11-25T00:00:00Z") for name in ("y", "x", "z")}
    elsewhere = replace(gone["x"], site="south")
    remember(team, {**gone, "elsewhere": elsewhere})
    assert decided(team, asked())[0].result["absent"] == ["elsewhere", "x", "y", "z"]
    sited = {name: {**answer, "wishes": {**answer["wishes"], "site": "north"}} for name, answer in asked().items()}
    assert decided(team, sited)[0].result["absent"] == ["x", "y", "z"]
    assert decided(team, asked(), limited=True)[0].result["absent"] == []


def test_without_the_cloud_nothing_is_reserved(team: Store) -> None:
    found, _warned = decided(team, asked(), api=None)
    assert (found.result["to_work_on"], Reservations(team).noted()) == ([NEWCOMER], {})


def test_one_board_s_odd_answer_is_its_own_affair(team: Store) -> None:
    answers = {**asked(), "odd": {**told(FLEET.fresh()[0]), "wishes": {}}}
    answers |= {"misled": Unasked(Reason("no-names")).to_json(), "silent": {"unreachable": True, "msg": "no route"}}
    parts = decided(team, answers)[0].result["parts"]
    assert {name: part["refused"]["code"] for name, part in parts.items() if "refused" in part} == {
        "odd": "bad-answer",
        "misled": "no-names",
    }


def test_a_machine_that_answers_oddly_under_the_former_name_makes_no_copy(team: Store) -> None:
    odd = {"failed": True, "host_keys": [host_key(3)]}
    found, _warned = decided(team, {**asked(), LOST: odd}, there=FLEET.names)
    assert (found.result["to_work_on"], list(found.former)) == ([NEWCOMER], [LOST])


def test_what_all_boards_are_refused_for_is_the_run_s_failure(team: Store) -> None:
    blind = replace(FLEET.fresh()[0].board, has_utility=False)
    answers = {member.name: told(replace(member, board=blind)) for member in FLEET.fresh()[:2]}
    with pytest.raises(PelionError, match=r"^All 2 boards: ") as raised:
        decided(team, answers)
    assert raised.value.facts["reason"] == "no-utility"


def test_stores_and_cloud_are_the_same_for_all_boards() -> None:
    one, other = FLEET.fresh()[:2]
    same = {"a": 1, "b": 2}
    require_one_team({})
    require_one_team(
        {
            one.name: Answer(one.wishes, same, one.board),
            other.name: Answer(other.wishes, dict(reversed(same.items())), other.board),
        }
    )
    with pytest.raises(PelionError, match="different stores or accounts"):
        decide_for(
            {one.name: told(one, team_store="a"), other.name: told(other, team_store="b")},
            *[None] * 2,  # type: ignore[arg-type]
            pytest.fail,
            [],
            Terms,
            pytest.fail,
            dry_run=False,
        )


def test_times_are_judged_by_the_cloud_s_clock(team: Store) -> None:
    aheads = []

    def terms_at(ahead: timedelta) -> Terms:
        aheads.append(ahead)
        return Terms(datetime.now(timezone.utc) + timedelta(days=365 * 20), ahead)

    _found, warned = decided(team, asked(), api=FLEET.api(ahead=timedelta(seconds=7)), terms_at=terms_at)
    assert [text for text in warned if f"The update certificate of {UPDATE!r} ends on" in text]
    decided(team, asked(), api=None, terms_at=terms_at)
    assert aheads == [timedelta(seconds=7), timedelta(0)]


def test_what_ends_soon_is_warned_of(team: Store) -> None:
    assert not [text for text in decided(team, asked())[1] if "ends" in text]
    assert [text for text in decided(team, asked(), warn_days=10_000)[1] if "ends" in text]


def test_a_memory_that_cannot_be_written_is_warned_of(team: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The renamed board keeps its former name in it, so that nothing may tell that it has another one."""

    def full(store: Store) -> None:
        raise StoreError("No space is left.")

    monkeypatch.setattr(Store, "locked", full)
    found, warned = decided(team, {name: answer for name, answer in asked().items() if name != NEWCOMER})
    assert (list(found.former), warned[-1]) == ([], "No space is left.")


def test_whose_host_key_changed_is_told(team: Store) -> None:
    changed = replace(FLEET.proven()[0], host_keys=HostKeys((host_key(9),)))
    _found, warned = decided(team, {**asked(), HOLDER: told(changed)})
    assert [text for text in warned if "host keys have changed" in text and HOLDER in text]
