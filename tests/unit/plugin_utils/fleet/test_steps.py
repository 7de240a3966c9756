# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a run after its decision, where what was decided on is not what is there any more."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cloud_access import store_at
from paper_fleet import UPDATE, PaperFleet, host_key

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.answers import Restart
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.client_log import ClientLog
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import Items
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.developer_credentials import DeveloperCredentials
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.rules import sha256_hex
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet import concluding
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.answers import Answer, odd_answers
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.carrying_out import carry_out
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.concluding import Conclusion, claims_of, conclude
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.decision import Fleet
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.host_keys import HostKeys
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.member import Member
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import Remembered, read_fleet, remember
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.part import Part
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.proof import Claim, prove
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.readiness import Terms
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.update_proof import UpdateProof
from ansible_collections.pelion.mbl.plugins.plugin_utils.reasons import Reason
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store

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


def test_a_board_that_has_not_bootstrapped_takes_no_device_by_its_name_alone(tmp_path: Path) -> None:
    """Names were swapped while somebody provisioned who checks no host keys, so that a board was remembered by the name
    that another one has now."""
    team = store_at(tmp_path / "team")
    empty, board = FLEET.fresh()[0], FLEET.proven()[1]
    remember(team, {empty.name: Remembered.now((), board.board.device_id, "bench-01")})
    there = [empty.name, board.name]
    assert Fleet([empty, board], read_fleet(team), there=there).refused == {}
    silent = replace(empty, board=replace(board.board, log=ClientLog()))
    assert Fleet([silent, board], read_fleet(team), there=there).refused.keys() == set(there), "it may be the device"
    odd = {empty.name: empty.host_keys.fingerprints}
    assert Fleet([board], read_fleet(team), there=there, odd=odd).refused == {}
    proven = Remembered.now(empty.host_keys.fingerprints, board.board.device_id, "bench-01")
    remember(team, {empty.name: proven})
    assert Fleet([empty, board], read_fleet(team), there=there).refused.keys() == {board.name}


def test_what_ssh_refuses_for_another_key_is_not_the_remembered_board() -> None:
    """Which key that is, is not proven, so it is taken for nobody's."""
    shown, known = host_key(1), host_key(2)
    refused = {"unreachable": True, "msg": f"REMOTE HOST IDENTIFICATION HAS CHANGED!\nIt sent {shown}."}
    assert odd_answers({"b": refused}, {"b": Remembered((known,))}) == {"b": ()}
    assert odd_answers({"b": refused}, {"b": Remembered((shown,))}) == {}
    assert odd_answers({"b": refused}, {}) == {}, "nobody knows which key it should have"
    for said in ({"msg": "Connection refused"}, {}):
        assert odd_answers({"b": {"unreachable": True, **said}}, {"b": Remembered((known,))}) == {}
    failed = {"failed": True, "msg": refused["msg"]}
    assert odd_answers({"b": failed}, {"b": Remembered((known,))}) == {}, "it is the text of something else"


def test_a_machine_that_answers_oddly_is_known_by_the_keys_that_ssh_has_proven() -> None:
    assert odd_answers({"b": {"failed": True, "host_keys": (host_key(1),)}}, {}) == {"b": (host_key(1),)}
    assert odd_answers({"b": {"host_keys": [host_key(1)]}}, {}) == {}, "it did not fail"


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


def test_check_mode_foresees_that_a_board_holds_what_is_fetched_from_the_cloud() -> None:
    board, nothing = FLEET.proven()[0].board, Items({})
    part = Part(dev_cert="bench-01", update_resources="update", to_be_made=True, holds=True)
    assert not dry(board, part, nothing)["changed"]
    assert dry(replace(board, interrupted=True), part, nothing)["changed"]
    silent = dry(replace(board, client_runs=False), part, nothing)
    assert (silent["changed"], silent["injected"], silent["reconnected"]) == (True, False, True)


def test_what_is_concluded_is_remembered(tmp_path: Path) -> None:
    """The proof that a board takes updates is of what it held before it was given something else."""
    team = store_at(tmp_path / "team")
    proof = UpdateProof("f", "v", "c", "2026-01-01T00:00:00Z")
    members = FLEET.proven()
    before = {
        member.name: replace(
            Remembered.now(member.host_keys.fingerprints, member.board.device_id, "former", "south"), update_proof=proof
        )
        for member in members
    }
    remember(team, before)
    one, other = (
        Claim(
            m.name,
            str(m.board.device_id),
            "bench",
            host_keys=m.host_keys.fingerprints,
            site="north",
            update_resources="up",
            injected=given,
        )
        for m, given in zip(members, (False, True), strict=True)
    )
    done = {"a": {"claim": {**one.to_json()}}, "b": {"changed": False}}
    assert claims_of(done) == {"a": replace(one, board="a")}
    assert conclude({}, {}, team, NO_API, {one.board}, terms, print) == Conclusion()
    claims = {claim.board: claim for claim in (one, other)}
    warned: list[str] = []
    concluded = conclude(claims, {}, team, NO_API, set(claims), terms, warned.append)
    assert list(concluded.ready) == list(claims) and warned == []
    after = read_fleet(team)
    assert [(after[name].certificate, after[name].site) for name in claims] == [("bench", "north")] * 2
    assert [after[name].update_proof for name in claims] == [proof, None]
    # One that is not proven has lost its proof as well.
    copied = {name: replace(claim, device_id=str(other.device_id), injected=True) for name, claim in claims.items()}
    doubted = conclude(copied, {}, team, NO_API, set(claims), terms, print)
    assert (list(doubted.unproven), list(doubted.ready)) == ([one.board], [other.board])
    assert [read_fleet(team)[name].update_proof for name in claims] == [None, None]
    (team.directory / "fleet.north.json").write_text("damaged")
    with pytest.raises(PelionError, match="damaged"):
        conclude(claims, {}, team, NO_API, set(claims), terms, print)


def claim_of(member: Member, **changes: Any) -> Claim:
    claim = Claim(
        member.name,
        str(member.board.device_id),
        "bench-01",
        host_keys=member.host_keys.fingerprints,
        update_resources=UPDATE,
        update_certificate=member.board.update_certificate["fingerprint"] if member.board.update_certificate else "",
    )
    return replace(claim, **changes)


def test_the_directory_is_asked_for_as_long_as_the_most_patient_board_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its word is taken for the times, too."""
    team = store_at(tmp_path / "team")
    FLEET.keep_in(team)
    proven: list[float] = []
    monkeypatch.setattr(
        concluding, "prove", lambda api, claims, timeout, whose: proven.append(timeout) or prove(api, claims, 0, whose)
    )
    aheads: list[timedelta] = []
    claims = {
        member.name: claim_of(member, timeout=timeout, device_id=device_id)
        for member, timeout, device_id in zip(FLEET.proven(), (3, 9), (FLEET.ids[0], "f" * 32), strict=True)
    }

    def terms_at(ahead: timedelta) -> Terms:
        aheads.append(ahead)
        return terms(ahead)

    one, other = claims
    api = FLEET.api(ahead=timedelta(seconds=7))
    concluded = conclude(claims, {}, team, api, set(claims), terms_at, pytest.fail)
    assert {name: reason.code for name, reason in concluded.unproven.items()} == {other: "not-in-directory"}
    assert list(concluded.ready) == list(read_fleet(team)) == [one]
    why = concluded.ready[one].reason
    assert why and why.code == "no-signing-key", "it is the team's certificate"
    conclude({one: claims[one]}, {}, team, NO_API, {one}, terms_at, pytest.fail)
    assert (proven, aheads) == ([9], [timedelta(seconds=7), timedelta(0)])


def test_a_store_that_fails_now_is_warned_of_and_takes_no_board_s_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = store_at(tmp_path / "team")
    FLEET.keep_in(team)
    one, other = FLEET.proven()
    remember(team, {"former": Remembered.now(one.host_keys.fingerprints, one.board.device_id, "bench-01")})
    claims = {member.name: claim_of(member) for member in (one, other)}

    def full(store: Store) -> None:
        raise StoreError("No space is left.")

    monkeypatch.setattr(Store, "locked", full)
    team.path(UpdateResources, UPDATE).write_text("damaged")
    warned: list[str] = []
    concluded = conclude(claims, {}, team, NO_API, set(claims), terms, warned.append)
    assert (concluded.unproven, concluded.former) == ({}, ()), "the former name is still remembered"
    assert {ready.reason and ready.reason.code for ready in concluded.ready.values()} == {"store-not-opened"}
    assert warned[0] == "No space is left." and f"{UPDATE}" in warned[1] and len(warned) == 2


def test_what_a_board_was_before_its_bootstrap_makes_no_copies(tmp_path: Path) -> None:
    """It had been flashed with another one's image, and has a device of its own by now."""
    team = store_at(tmp_path / "team")
    original, other = FLEET.proven()
    clone = replace(other, board=original.board)
    claims = {original.name: claim_of(original), clone.name: claim_of(clone, device_id="e" * 32)}
    answers = asked(original.name, original) | asked(clone.name, clone)
    assert conclude(claims, answers, team, NO_API, set(claims), terms, print).unproven == {}
    # Boards that claim nothing are told by the decision.
    bystander = replace(clone, name="bystander", host_keys=HostKeys((host_key(5),)))
    answers |= asked("bystander", bystander) | asked(original.name, original)
    only = {clone.name: claims[clone.name]}
    assert conclude(only, answers, team, NO_API, {*claims, "bystander"}, terms, print).unproven == {}


ITEMS_WANTED = Items({**next(iter(FLEET._developer.values())).values, **FLEET._update.values})
PART = Part(
    dev_cert="bench-01", update_resources="update", registration_timeout=7, site="north", bootstrapped_at="then"
)


class Told:
    """A board that does as it is told, keeps what that was, and registers."""

    def __init__(self, restart: Restart) -> None:
        self._restart = restart
        self.work: list[tuple[str, dict[str, Any]]] = []

    def inject(self, _items: Items, **options: Any) -> Restart:
        self.work.append(("inject", options))
        return self._restart

    def reconnect(self, **options: Any) -> Restart:
        self.work.append(("reconnect", options))
        return self._restart


REGISTERED = Restart(ClientLog(True, "d" * 32), client_runs=True, warnings=("its log is full",))


def carried_out(
    found: Inspection, part: Part = PART, restart: Restart = REGISTERED, **options: Any
) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]], list[str]]:
    """The result, what the board was told, and the warnings."""
    board: Any = Told(restart)
    warned: list[str] = []
    entry = SimpleNamespace(values=ITEMS_WANTED.values, check=lambda: ["it ends soon"])
    store: Any = SimpleNamespace(read=lambda kind, name: entry)
    keys = [host_key(1)]
    result = carry_out("b", board, found, part, store, lambda: keys, warned.append, dry_run=False, **options)
    return result, board.work, warned


def test_a_new_board_is_given_its_credentials_and_claims_what_it_got() -> None:
    found = replace(FLEET.fresh()[0].board, drift=-3)
    result, work, warned = carried_out(found, diff=True)
    told = {
        "found_digest": found.kcm_digest,
        "bootstrap": "not-yet",
        "registration_timeout": 7,
        "server": ITEMS_WANTED.server,
    }
    assert work == [("inject", told)]
    assert warned == ["it ends soon", "it ends soon", "its log is full"]
    assert result["claim"] == {
        "device_id": "d" * 32,
        "dev_cert": "bench-01",
        "bootstrapped": True,
        "developer_certificate": sha256_hex(ITEMS_WANTED.developer_certificate),
        "bootstrapped_at": "then",
        "timeout": 7,
        "host_keys": [host_key(1)],
        "site": "north",
        "update_resources": "update",
        "update_certificate": sha256_hex(ITEMS_WANTED.update_certificate),
        "drift": -3,
        "injected": True,
    }
    assert (result["changed"], result["injected"], result["reconnected"]) == (True, True, False)
    assert (result["registered"], result["device_id"]) == (True, "d" * 32)
    assert result["fingerprint"] == ITEMS_WANTED.fingerprint
    assert result["before"] == found.describe()
    after = {name: held and held["fingerprint"] for name, held in result["after"].items() if "certificate" in name}
    assert after == {
        "developer_certificate": sha256_hex(ITEMS_WANTED.developer_certificate),
        "update_certificate": sha256_hex(ITEMS_WANTED.update_certificate),
    }
    assert (result["after"]["provisioned_by"], result["after"]["missing_items"]) == ("pelion.mbl", [])
    assert result["diff"]["before"]["missing"] == "everything" and result["diff"]["after"]["missing"] == "none"


def test_a_board_that_is_to_register_anew_gets_nothing_else() -> None:
    found = FLEET.proven()[0].board
    result, work, _warned = carried_out(found, replace(PART, reconnect=Reason("no-device-id")))
    assert work == [("reconnect", {"found_digest": "d1", "registration_timeout": 7})]
    assert (result["reasons"], result["reason_codes"]) == (["its device ID is not known"], ["no-device-id"])
    assert (result["claim"]["injected"], result["claim"]["bootstrapped"]) == (False, False)
    damaged, work, _warned = carried_out(replace(found, status_code=1), replace(PART, reconnect=Reason("no-device-id")))
    assert [name for name, _options in work] == ["inject"], "which makes it register as well"
    assert "diff" not in damaged


def test_a_board_that_bootstrapped_is_asked_for_no_server_and_claims_no_bootstrap() -> None:
    damaged = replace(FLEET.proven()[0].board, status_code=1)
    result, [(name, options)], _warned = carried_out(damaged)
    assert (name, options["bootstrap"], options["server"]) == ("inject", "as-is", None)
    assert (result["claim"]["injected"], result["claim"]["bootstrapped"]) == (True, False)


def test_nothing_is_claimed_of_a_board_that_needs_nothing_or_is_not_waited_for() -> None:
    right = FLEET.proven()[0].board
    result, work, _warned = carried_out(right)
    assert work == [] and not result["changed"] and "claim" not in result
    assert (result["registered"], result["device_id"]) == (True, right.device_id), "as it was found"
    silent = Restart()
    result, [(_name, options)], _warned = carried_out(
        FLEET.fresh()[0].board, replace(PART, registration_timeout=0), silent
    )
    assert result["changed"] and "claim" not in result and options["server"] is None
    for client_runs, said in ((False, "has ended without a message"), (True, "nothing of it")):
        with pytest.raises(PelionError, match=said) as raised:
            carried_out(FLEET.fresh()[0].board, restart=replace(silent, client_runs=client_runs))
        assert (raised.value.facts["registered"], raised.value.facts["injected"]) == (False, True)


def test_what_the_store_lacks_is_made_by_an_earlier_step() -> None:
    store: Any = SimpleNamespace(read=lambda kind, name: None)
    nobody: Any = None
    arguments = ("b", nobody, FLEET.fresh()[0].board, PART, store, list[str], print)
    foreseen = carry_out(*arguments, dry_run=True, diff=True)
    assert foreseen["reason_codes"] == ["not-in-store"]
    assert foreseen["diff"]["after"]["update_certificate"] == "update, which would be made"
    with pytest.raises(PelionError, match=r"named 'bench-01'. Run pelion.mbl.pelion_dev_cert first"):
        carry_out(*arguments, dry_run=False)
    for there in (DeveloperCredentials, UpdateResources):
        entry = SimpleNamespace(values=ITEMS_WANTED.values, check=list)
        store.read = lambda kind, name, there=there, entry=entry: entry if kind is there else None
        assert carry_out(*arguments, dry_run=True)["reason_codes"] == ["not-in-store"]
    store.read = lambda kind, name: entry if kind is DeveloperCredentials else None
    with pytest.raises(PelionError, match=r"named 'update'. Run pelion.mbl.mbl_update_resources first"):
        carry_out(*arguments, dry_run=False)


def test_check_mode_foresees_that_a_cut_off_run_is_put_in_order() -> None:
    member = FLEET.proven()[0]
    items = Items({**next(iter(FLEET._developer.values())).values, **FLEET._update.values})
    cut_off = Inspection.from_json({**member.board.to_json(), "interrupted": True})
    assert dry(cut_off, Part(dev_cert="bench-01", update_resources="update"), items)["changed"]


def test_a_board_that_was_put_in_order_has_changed_though_it_needs_nothing() -> None:
    result, work, _warned = carried_out(replace(FLEET.proven()[0].board, recovered=True))
    assert (work, result["changed"], result["recovered"]) == ([], True, True)
