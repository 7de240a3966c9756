# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a run after its decision, where what was decided on is not what is there any more."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cloud_access import store_at
from paper_fleet import PaperFleet, host_key

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import Items
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.answers import Answer, odd_answers
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.carrying_out import carry_out
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.concluding import conclude
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.decision import Fleet
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.member import Member
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import Remembered, read_fleet, remember
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.part import Part
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.proof import Claim
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.readiness import Terms

FLEET = PaperFleet(2, 1)
NO_API: Any = None


def terms(ahead: timedelta) -> Terms:
    return Terms(datetime.now(timezone.utc), ahead)


def asked(name: str, member: Member) -> dict[str, dict[str, Any]]:
    return {name: Answer(member.wishes, {}, member.board, member.host_keys).to_json()}


def test_boards_that_swapped_names_are_no_copies_when_one_of_them_is_proven(tmp_path: Path) -> None:
    team = store_at(tmp_path / "team")
    one, other = FLEET.proven()
    known = [Remembered.now(member.host_keys.fingerprints, member.board.device_id, "bench") for member in (one, other)]
    remember(team, dict(zip((one.name, other.name), known, strict=True)))
    claim = Claim(
        one.name, str(other.board.device_id), "bench", update_resources="up", host_keys=other.host_keys.fingerprints
    )
    # As long as nobody has met the board that has its name now: it may be the one that is remembered.
    alone = conclude({one.name: claim}, asked(one.name, other), team, NO_API, {one.name, other.name}, terms, print)
    assert alone.unproven[one.name].code == "copied"
    answers = asked(one.name, other) | asked(other.name, one)
    concluded = conclude({one.name: claim}, answers, team, NO_API, {one.name, other.name}, terms, print)
    assert (concluded.unproven, list(concluded.ready)) == ({}, [one.name])


def test_a_renamed_board_is_no_copy_of_the_machine_that_answers_oddly_under_its_former_name(tmp_path: Path) -> None:
    team = store_at(tmp_path / "team")
    one, other = FLEET.proven()
    keys = one.host_keys.fingerprints
    remember(team, {other.name: Remembered.now(keys, one.board.device_id, "bench")})
    odd = {"failed": True, "reason": "bad-answer", "host_keys": list(other.host_keys.fingerprints)}
    answers = {**asked(one.name, one), other.name: odd}
    claim = Claim(one.name, str(one.board.device_id), "bench", update_resources="up", host_keys=keys)
    concluded = conclude({one.name: claim}, answers, team, NO_API, {one.name, other.name}, terms, print)
    assert (concluded.unproven, concluded.former) == ({}, [other.name])
    fleet = Fleet([one], read_fleet(team), there=[one.name, other.name], odd=odd_answers(answers, read_fleet(team)))
    assert fleet.refused == {}


def test_what_ssh_refuses_for_another_key_is_not_the_remembered_board() -> None:
    """Which key that is, is not proven, so it is taken for nobody's."""
    shown, known = host_key(1), host_key(2)
    refused = {"unreachable": True, "msg": f"REMOTE HOST IDENTIFICATION HAS CHANGED!\nIt sent {shown}."}
    assert odd_answers({"b": refused}, {"b": Remembered((known,))}) == {"b": ()}
    assert odd_answers({"b": refused}, {"b": Remembered((shown,))}) == {}
    assert odd_answers({"b": {"unreachable": True, "msg": "Connection refused"}}, {"b": Remembered((known,))}) == {}


def dry(board: Inspection, part: Part, items: Items) -> dict[str, Any]:
    """What a run with --check tells of a board; the store has ``items``."""
    entry = SimpleNamespace(values=items.values, check=list)
    store: Any = SimpleNamespace(read=lambda kind, name: entry)
    nobody: Any = None
    return carry_out("b", nobody, board, part, store, lambda: [host_key(1)], print, dry_run=True)


def test_check_mode_foresees_what_credentials_that_are_to_be_made_change() -> None:
    member = FLEET.proven()[0]
    items = Items({**next(iter(FLEET._developer.values())).values, **FLEET._update.values})
    part = Part(dev_cert="bench-01", update_resources="update")
    assert not dry(member.board, part, items)["changed"]
    told = dry(member.board, Part(dev_cert="bench-01", update_resources="update", to_be_made=True), items)
    assert (told["changed"], told["reason_codes"]) == (True, ["not-in-store"])


def test_check_mode_foresees_that_a_cut_off_run_is_put_in_order() -> None:
    member = FLEET.proven()[0]
    items = Items({**next(iter(FLEET._developer.values())).values, **FLEET._update.values})
    cut_off = Inspection.from_json({**member.board.to_json(), "interrupted": True})
    assert dry(cut_off, Part(dev_cert="bench-01", update_resources="update"), items)["changed"]
