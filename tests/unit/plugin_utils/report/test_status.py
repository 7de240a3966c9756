# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a board is judged from its answer, the Device Directory and the fleet's memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_answers import Device
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import Remembered
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.readiness import Terms
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.entries import BoardReport, Report, TakesUpdates
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.files import as_csv
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.merging import merge
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.page import page
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.status import Fleet, read_answer, status_report
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.summary import summary, table
from ansible_collections.pelion.mbl.plugins.plugin_utils.task.reporting import answers_of
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.signers import Signer, Signers
from ansible_collections.pelion.mbl.plugins.plugin_utils.times import time_text

NOW = datetime(2026, 11, 25, tzinfo=timezone.utc)
ID = "0" * 31 + "1"
ALL_ITEMS = [name.partition("_")[2] for name in kcm.FACTORY_ITEMS]
KEY = "SHA256:" + "k" * 43
VENDOR, CLASS = "a" * 32, "b" * 32


def certificate(days: int) -> dict[str, Any]:
    return {"fingerprint": "f" * 64, "common_name": "cn", "not_after": time_text(NOW + timedelta(days=days))}


def answer(**different: Any) -> dict[str, Any]:
    """Of a board that is in order, as mbl_pelion_status gives it."""
    return {
        "configured": True,
        "registered": True,
        "interrupted": False,
        "device_id": ID,
        "developer_certificate": certificate(3000),
        "update_certificate": certificate(3000),
        "missing_items": [],
        "client_error": None,
        **different,
    }


def device(**different: Any) -> Device:
    return Device.from_answer({"id": ID, "state": "registered", "device_execution_mode": 1, **different})


def judged(board: dict[str, Any], devices: list[Device] | None, **fleet: Any) -> BoardReport:
    there = Fleet({"b": read_answer(board)}, devices=devices, **fleet)
    report = status_report(there, Terms(NOW), playbook="status")
    return report.boards[0]


@pytest.mark.parametrize(
    ("board", "devices", "outcome", "reason"),
    [
        (answer(), [device()], "ok", ""),
        (answer(), None, "ok", ""),
        (answer(registered=None), None, "ok", ""),
        ({"unreachable": True, "msg": "No route to host"}, [], "unreachable", "No route to host"),
        ({"failed": True, "msg": "no MBL board"}, [], "failed", "no MBL board"),
        ({}, [], "failed", "not asked"),
        (answer(configured=False, missing_items=["mbed.UpdateAuthCert"]), [], "attention", "mbed.UpdateAuthCert"),
        (
            answer(configured=False, missing_items=ALL_ITEMS),
            [],
            "attention",
            "provisioned: it holds none of the credentials.",
        ),
        (answer(interrupted=True), [device()], "attention", "cut off"),
        (answer(device_id=None), [device()], "attention", "device ID is not known"),
        (answer(), [], "attention", "does not have its device"),
        (answer(), [device(state="deregistered")], "attention", "as deregistered"),
        (answer(), [device(operator_suspended=True)], "attention", "suspended"),
        (answer(registered=False, client_error="ConnectFailed"), None, "attention", "ConnectFailed"),
        (answer(update_certificate=certificate(12)), [device()], "attention", "(days left: 12)"),
        (answer(developer_certificate=certificate(-1)), [device()], "attention", "developer certificate has ended"),
    ],
)
def test_a_board_is_judged(board: dict[str, Any], devices: list[Device] | None, outcome: str, reason: str) -> None:
    got = judged(board, devices)
    assert (got.outcome, bool(got.reason)) == (outcome, bool(reason))
    assert reason in got.reason
    assert bool(got.next_step) == (outcome != "ok")


@pytest.mark.parametrize("result", [{"configured": "yes"}, {"configured": True, "device_id": 3}, [], None, "no"])
def test_what_is_not_a_status_is_refused_by_its_board(result: Any) -> None:
    with pytest.raises(PelionError, match=r"for b-1 is not a result of pelion\.mbl\.mbl_pelion_status: it has "):
        answers_of({"b-1": result})


@pytest.mark.parametrize(
    ("board", "devices", "code", "facts"),
    [
        (answer(interrupted=True), [device()], "interrupted", {}),
        (answer(configured=False, missing_items=ALL_ITEMS), [], "holds-no-credentials", {}),
        (answer(configured=False, missing_items=["a", "b"]), [], "lacks-credentials", {"items": "a, b"}),
        (answer(damaged_items=["a (BACKUP)", "b (WORKING)"]), [], "damaged", {"items": "a (BACKUP), b (WORKING)"}),
        (answer(configured=False, damaged_items=["a (WORKING)"]), [], "damaged", {"items": "a (WORKING)"}),
        (answer(configured=False), [], "not-provisioned", {}),
        (answer(device_id=None), [device()], "device-id-unknown", {}),
        (answer(), [], "device-gone", {}),
        (answer(), [device(state="deregistered")], "device-not-registered", {"state": "deregistered"}),
        (answer(client_error="Odd"), [], "device-gone", {"client_error": "Odd"}),
        (answer(client_error="Odd"), [device(operator_suspended=True)], "device-suspended", {}),
        (answer(registered=False), None, "client-not-registered", {}),
        ({}, [], "not-asked", {}),
        ({"failed": True, "msg": "Full.", "reason": "no-space"}, [], "no-space", {}),
        ({"unreachable": True, "msg": "No route to host"}, [], "no-route", {}),
        ({"failure": {"unreachable": True, "msg": "No route to host"}}, [], "no-route", {}),
        (answer(), [device()], "", {}),
    ],
)
def test_why_is_a_code(board: dict[str, Any], devices: list[Device] | None, code: str, facts: dict[str, Any]) -> None:
    got = judged(board, devices)
    assert (got.code, dict(got.facts)) == (code, facts)


def test_a_certificate_that_ends_is_reported_with_its_days() -> None:
    for days, code in ((12, "certificate-ends"), (-1, "certificate-ended")):
        held = certificate(days)
        got = judged(answer(update_certificate=held), [device()])
        assert (got.code, dict(got.facts)) == (
            code,
            {"title": "update", "days": days, "not_after": held["not_after"]},
        )


def test_a_silent_board_is_told_as_it_was_remembered() -> None:
    known = Remembered((KEY,), ID, "bench", "2026-11-01T00:00:00Z")
    got = judged({"unreachable": True, "msg": "timed out"}, [device()], remembered={"b": known})
    assert (got.device_id, got.last_seen, got.state) == (ID, "2026-11-01T00:00:00Z", None)


def test_two_boards_that_say_they_are_one_device_both_need_attention() -> None:
    report = status_report(
        Fleet({"a": read_answer(answer()), "b": read_answer(answer())}, devices=[device()]),
        Terms(NOW),
        playbook="status",
    )
    assert [(board.outcome, board.code) for board in report.boards] == [("attention", "copied")] * 2
    assert "as b:" in report.boards[0].reason
    assert not (set(report.boards[0].next_step.split()) & {"pelion.mbl.remove_gone"})


def test_a_copy_of_a_board_that_a_limit_leaves_out_is_told() -> None:
    fleet = Fleet(
        {"a": read_answer(answer())},
        inventory=["a", "b"],
        remembered={"b": Remembered((KEY,), ID, "bench", "2026-11-01T00:00:00Z")},
        devices=[device()],
    )
    assert status_report(fleet, Terms(NOW), playbook="status").boards[0].code == "copied"


def test_a_renamed_board_is_neither_missing_nor_to_be_removed() -> None:
    fleet = Fleet(
        {"today": read_answer(answer())},
        inventory=["today"],
        roster=["before"],
        remembered={"before": Remembered((KEY,), ID, "bench", "2026-11-01T00:00:00Z")},
        devices=[device()],
    )
    report = status_report(fleet, Terms(NOW), playbook="status")
    assert [(board.name, board.outcome, board.code) for board in report.boards] == [("today", "attention", "renamed")]
    assert "before" in report.boards[0].reason
    assert "remove_gone" not in report.boards[0].next_step
    assert report.success
    after = replace(fleet, remembered={"today": fleet.remembered["before"]}, roster=[])
    assert [board.outcome for board in status_report(after, Terms(NOW), playbook="status").boards] == ["ok"]


def test_a_board_is_known_by_its_host_key_whatever_its_client_says() -> None:
    """Its client does not run, so it says no device ID."""
    fleet = Fleet(
        {"today": read_answer(answer(device_id=None, host_keys=[KEY]))},
        inventory=["today"],
        remembered={"before": Remembered((KEY,), ID, "bench", "2026-11-01T00:00:00Z")},
        devices=[device()],
    )
    report = status_report(fleet, Terms(NOW), playbook="status")
    assert [(board.name, board.code, board.device_id) for board in report.boards] == [("today", "renamed", ID)]
    assert "the same ssh host key" in report.boards[0].reason


def test_boards_that_swapped_names_are_told_as_renamed() -> None:
    other = KEY.replace("k", "o")
    fleet = Fleet(
        {
            "a": read_answer(answer(device_id="2" * 32, host_keys=[other])),
            "b": read_answer(answer(host_keys=[KEY])),
        },
        remembered={
            "a": Remembered((KEY,), ID, "bench", "2026-11-01T00:00:00Z"),
            "b": Remembered((other,), "2" * 32, "bench", "2026-11-01T00:00:00Z"),
        },
        devices=[device(), device(id="2" * 32)],
    )
    report = status_report(fleet, Terms(NOW), playbook="status")
    told = {board.name: (board.code, board.facts) for board in report.boards}
    assert told == {
        "a": ("renamed", {"former": "b", "shared": "ssh host key"}),
        "b": ("renamed", {"former": "a", "shared": "ssh host key"}),
    }


def test_a_renamed_board_is_told_as_such_beside_a_machine_that_answers_oddly_under_its_former_name() -> None:
    odd = {"failure": {"msg": "It answers oddly.", "reason": "bad-answer", "host_keys": [KEY.replace("k", "o")]}}
    fleet = Fleet(
        {"today": read_answer(answer(host_keys=[KEY])), "before": read_answer(odd)},
        inventory=["before", "today"],
        remembered={"before": Remembered((KEY,), ID, "bench", "2026-11-01T00:00:00Z")},
        devices=[device()],
    )
    report = status_report(fleet, Terms(NOW), playbook="status")
    assert {board.name: board.code for board in report.boards} == {"before": "bad-answer", "today": "renamed"}


@pytest.mark.parametrize(
    "under_its_name",
    [
        {"configured": False, "missing_items": ALL_ITEMS, "device_id": None, "host_keys": [KEY.replace("k", "o")]},
        {"failure": {"msg": "It answers oddly.", "reason": "bad-answer", "host_keys": [KEY.replace("k", "o")]}},
    ],
)
def test_a_board_is_no_copy_of_what_has_a_name_by_which_no_key_was_proven(under_its_name: dict[str, Any]) -> None:
    fleet = Fleet(
        {"today": read_answer(answer(host_keys=[KEY])), "before": read_answer(under_its_name)},
        inventory=["before", "today"],
        remembered={"before": Remembered((), ID, "bench", "2026-11-01T00:00:00Z")},
        devices=[device()],
    )
    report = status_report(fleet, Terms(NOW), playbook="status")
    assert {board.name: board.outcome for board in report.boards}["today"] == "ok"


def test_devices_of_no_board_that_take_places_are_told() -> None:
    """As one that another run registered while its board was taken out of service."""
    ours, others = (SimpleNamespace(id=f"c{n}", name=n, fingerprint="f", status="ACTIVE", not_after=NOW) for n in "ab")
    devices = [device(ca_id="ca"), device(id="2" * 32, ca_id="ca"), device(id="3" * 32, ca_id="cb")]
    fleet = Fleet(
        {"b": read_answer(answer())},
        remembered={"b": Remembered((KEY,), ID, "a", "2026-11-01T00:00:00Z")},
        devices=devices,
        certificates=[ours, others],  # type: ignore[list-item]
    )
    (told,) = status_report(fleet, Terms(NOW), playbook="status").warnings
    assert f"the certificate a that are of no board which the team knows, and that take places: {'2' * 32}." in told
    known = replace(fleet, remembered={**fleet.remembered, "c": Remembered((), "2" * 32, "a", "2026-11-01T00:00:00Z")})
    assert status_report(known, Terms(NOW), playbook="status").warnings == ()


def test_a_board_with_another_host_key_is_not_the_remembered_one() -> None:
    fleet = Fleet(
        {"a": read_answer(answer(device_id=None, host_keys=[KEY.replace("k", "o")]))},
        remembered={"a": Remembered((KEY,), ID, "bench", "2026-11-01T00:00:00Z")},
        devices=[device()],
    )
    report = status_report(fleet, Terms(NOW), playbook="status")
    assert (report.boards[0].code, report.boards[0].device_id) == ("device-id-unknown", None)
    [warning] = report.warnings
    assert "host keys have changed" in warning and ": a." in warning


def test_expected_boards_that_the_inventory_lacks_are_missing_by_name() -> None:
    fleet = Fleet(
        {name: read_answer(answer(device_id=None)) for name in ("b-10", "b-9")},
        inventory=["b-9", "b-10", "limited-out"],
        roster=["b-9", f"on-roster {KEY}", KEY],
        remembered={"limited-out": Remembered(), "gone": Remembered((), ID, "bench", "2026-11-01T00:00:00Z")},
        devices=[device(state="deregistered")],
    )
    report = status_report(fleet, Terms(NOW), playbook="status")
    assert [board.name for board in report.boards] == ["b-9", "b-10", "gone", "on-roster"]
    assert [board.code for board in report.boards[2:]] == ["missing", "missing-from-roster"]
    gone = report.boards[2]
    assert (gone.outcome, gone.device_id, gone.state) == ("missing", ID, "deregistered")
    assert gone.last_seen == "2026-11-01T00:00:00Z"
    assert not report.success


def test_a_site_expects_its_own_boards() -> None:
    remembered = {
        name: Remembered((), device_id * 32, "bench", "2026-11-01T00:00:00Z", name)
        for name, device_id in (("north", "2"), ("south", "3"), ("", "4"))
    }
    fleet = Fleet({"here": read_answer(answer())}, remembered=remembered, devices=[device()], site="north")
    told = {
        board.name: (board.outcome, board.site) for board in status_report(fleet, Terms(NOW), playbook="status").boards
    }
    assert told == {"here": ("ok", "north"), "north": ("missing", "north"), "": ("missing", "north")}
    told = status_report(replace(fleet, site=""), Terms(NOW), playbook="status").boards
    assert {board.name: board.site for board in told} == {"here": None, "north": "north", "south": "south", "": None}


def test_boards_that_need_attention_are_no_failed_run_but_problems_of_the_fleet_are() -> None:
    boards = [BoardReport("a", "attention"), BoardReport("b", "ok"), BoardReport("c", "changed")]
    assert Report("status", "", boards).success
    assert not Report("status", "", boards, problems=["18 boards were found, but 20 are expected."]).success
    for outcome in ("failed", "unreachable", "missing", "not_reached"):
        assert not Report("status", "", [*boards, BoardReport("d", outcome)]).success


def test_certificates_without_a_signing_key_that_boards_hold_are_told() -> None:
    held = certificate(400)
    keyless = {
        fingerprint: Signer(name, fingerprint, VENDOR, CLASS, NOW + timedelta(days=400))
        for fingerprint, name in {held["fingerprint"]: "bench-update", "e" * 64: "of nobody"}.items()
    }
    fleet = Fleet(
        {name: read_answer(answer(update_certificate=held)) for name in ("a", "b")} | {"off": None},
        signers=Signers(keyless),
    )
    report = status_report(fleet, Terms(NOW), playbook="status")
    [warning] = report.warnings
    assert "'bench-update'" in warning and "for 2 boards." in warning
    assert f"Note: {warning}" in summary(report)
    assert "bench-update" in page(report)
    assert Report.from_json(report.to_json()).warnings == [warning]
    assert merge({"north": report}, NOW, {}).warnings == [f"north: {warning}"]


OURS = Signer("bench-update", "f" * 64, VENDOR, CLASS, NOW + timedelta(days=3000), signs=True)


def told(board: dict[str, Any], **fleet: Any) -> TakesUpdates:
    ready = {"registered_since_injection": True, **board} if board.get("configured") else board
    devices = [device(vendor_id=VENDOR, device_class=CLASS)]
    takes = judged(ready, **{"devices": devices, "signers": Signers({OURS.fingerprint: OURS}), **fleet}).takes_updates
    assert takes
    return takes


@pytest.mark.parametrize(
    ("board", "fleet", "said"),
    [
        (answer(), {}, ("yes", "")),
        (answer(), {"signers": Signers()}, ("no", "not-our-certificate")),
        (answer(), {"signers": None}, ("not_known", "store-not-opened")),
        (answer(), {"devices": None}, ("not_known", "cloud-not-asked")),
        (answer(), {"devices": []}, ("no", "device-gone")),
        (answer(), {"devices": [device(operator_suspended=True)]}, ("no", "device-suspended")),
        (answer(), {"devices": [device()]}, ("not_known", "ids-not-told")),
        (answer(registered=False), {"devices": None}, ("no", "client-not-registered")),
        (answer(clock_drift=3001 * 86400), {}, ("no", "ended-by-its-clock")),
        (answer(registered_since_injection=False), {}, ("not_known", "registration-older")),
        (answer(interrupted=True), {}, ("no", "interrupted")),
        (answer(configured=False, missing_items=ALL_ITEMS), {}, ("no", "holds-no-credentials")),
        ({"unreachable": True, "msg": "No route to host"}, {}, ("not_known", "no-route")),
        ({}, {}, ("not_known", "not-asked")),
    ],
)
def test_whether_a_board_takes_updates_is_told_with_the_reason(
    board: dict[str, Any], fleet: dict[str, Any], said: tuple[str, str]
) -> None:
    takes = told(board, **fleet)
    assert (takes.answer, takes.code) == said
    assert bool(takes.reason) == bool(takes.next_step) == (takes.answer != "yes")


def test_copies_and_missing_boards_are_not_known_to_take_updates() -> None:
    fleet = Fleet({name: read_answer(answer()) for name in "ab"}, roster=["c"], devices=[device()])
    report = status_report(fleet, Terms(NOW), playbook="status")
    takes = [board.takes_updates and (board.takes_updates.answer, board.takes_updates.code) for board in report.boards]
    assert takes == [("not_known", "copied"), ("not_known", "copied"), ("not_known", "missing-from-roster")]


def test_who_takes_updates_is_in_the_table_the_summary_and_the_page() -> None:
    fleet = Fleet(
        {
            "good": read_answer(answer(registered_since_injection=True)),
            "stale": read_answer(answer(device_id="2" * 32)),
            "off": read_answer({"unreachable": True, "msg": "No route to host"}),
        },
        devices=[device(vendor_id=VENDOR, device_class=CLASS), device(id="2" * 32)],
        signers=Signers({OURS.fingerprint: OURS}),
        proofs={"good": "2026-11-20T10:00:00Z"},
    )
    report = status_report(fleet, Terms(NOW), playbook="status")
    heading, *rows = (row.split("  ") for row in table(report))
    assert "takes updates" in "  ".join(heading)
    assert any("yes" in row for row in rows)
    lines = summary(report)
    assert "Takes updates: 1 yes, 2 not known" in lines
    [line] = [line for line in lines if line.startswith("stale: it is not known whether it takes updates")]
    assert "(ids-not-told) | The Device Directory does not say" in line and "Run pelion.mbl.provision" in line
    assert not any(line.startswith("off: it is not known") for line in lines), "that it does not answer says it"
    shown = page(report)
    assert "proven by itself on 2026-11-20" in shown and "<code>ids-not-told</code>" in shown
    assert Report.from_json(report.to_json()).boards == report.boards
    assert ",not_known,ids-not-told\n" in as_csv(report)


def test_a_rotation_is_asked_for_long_before_the_end() -> None:
    signer = replace(OURS, not_after=NOW + timedelta(days=100))
    held = certificate(100)
    fleet = Fleet({"b": read_answer(answer(update_certificate=held))}, signers=Signers({signer.fingerprint: signer}))
    report = status_report(fleet, Terms(NOW), playbook="status")
    [warning] = report.warnings
    assert "'bench-update' ends on 2027-03-05" in warning and "by 2026-12-05, in 10 days." in warning
    assert "rotate by 2026-12-05; 1 board" in page(report) and 'class="bar warn"' in page(report)
    assert report.boards[0].takes_updates and report.boards[0].takes_updates.rotate_by == "2026-12-05T00:00:00Z"
    calm = status_report(fleet, Terms(NOW, longest_absence_days=7), playbook="status")
    assert not calm.warnings and 'class="bar warn"' not in page(calm)
