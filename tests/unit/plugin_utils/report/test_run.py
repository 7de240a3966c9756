# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the boards of a run, whatever way it ends."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.description import BoardStatus
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.entries import BoardReport, HeldCertificate, Report
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.page import page
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.run import Run
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.summary import summary
from ansible_collections.pelion.mbl.plugins.plugin_utils.task.reporting import result_of

NOW = datetime(2026, 11, 25, tzinfo=timezone.utc)


def outcomes(report: Report) -> dict[str, str]:
    return {board.name: board.outcome for board in report.boards}


def test_each_board_has_its_own_outcome() -> None:
    run = Run("provision")
    run.begin_batch(["a", "b", "c", "d"])
    for board in "abc":
        run.succeeded(board, {"changed": False})
    run.succeeded("b", {"changed": True, "device_id": "1" * 32})
    run.succeeded("b", {"changed": False})
    run.failed("c", {"msg": "No room for it."})
    run.failed("d", {"msg": "No route to host", "unreachable": True})
    report = run.report(NOW)
    assert outcomes(report) == {"a": "ok", "b": "changed", "c": "failed", "d": "unreachable"}
    assert report.boards[1].device_id == "1" * 32
    assert (report.boards[2].reason, report.success) == ("No room for it.", False)


def test_a_failure_that_a_task_returns_is_one() -> None:
    run = Run("check_certificates")
    run.begin_batch(["a", "b"])
    run.succeeded("a", {"changed": False})
    run.succeeded("b", {"changed": False, "failure": {"msg": "ssh: Connection refused", "unreachable": True}})
    report = run.report(NOW)
    assert [(board.outcome, board.code) for board in report.boards] == [
        ("ok", ""),
        ("unreachable", "connection-refused"),
    ]


def test_each_board_that_is_not_in_order_has_a_code() -> None:
    run = Run("provision")
    run.begin_batch(["a", "b", "c", "d", "e"])
    run.failed("a", {"msg": "Full.", "reason": "no-space", "reason_facts": {"detail": "/scratch"}})
    run.failed("b", {"msg": "MODULE FAILURE"})
    run.failed("c", {"msg": "ssh: Connection refused", "unreachable": True})
    run.succeeded("d", {"changed": False})
    run.stopped({"msg": "The API key is not accepted.", "reason": "cloud"})
    report = run.report(NOW)
    assert [(board.code, dict(board.facts)) for board in report.boards] == [
        ("no-space", {"detail": "/scratch"}),
        ("failed", {}),
        ("connection-refused", {}),
        ("cloud", {}),
        ("not-reached", {}),
    ]
    assert all(board.next_step for board in report.boards)
    assert report.boards[3].reason == "The API key is not accepted."
    run.stopped({"msg": "Without a code."})
    assert run.report(NOW).boards[3].code == "cloud"


def test_a_failure_for_all_without_a_code_has_that_of_such_failures() -> None:
    run = Run("provision")
    run.begin_batch(["a"])
    run.succeeded("a", {"changed": False})
    run.stopped({"msg": "No."})
    assert [board.code for board in run.report(NOW).boards] == ["fleet-failed"]


def test_boards_that_were_only_looked_at_are_not_in_order_before_their_batch() -> None:
    """As pelion.mbl.rotate does, also when the look says at its end what came of each board."""
    run = Run("rotate")
    run.begin_batch(["a", "b"])
    run.decided({"boards": {name: {"changed": False, "wishes": {}} for name in "ab"}, "one_by_one": []})
    run.decided({"parts": {}, "absent": [], "only_look": True})
    run.decided({"boards": {name: {"changed": False} for name in "ab"}, "tell": ["a", "b"]})
    for name in "ab":
        run.succeeded(name, {"changed": False})
    run.begin_batch(["a", "b"])
    run.decided({"boards": {"a": {"changed": False, "wishes": {}}}, "one_by_one": []})
    run.decided({"parts": {}, "absent": []})
    assert outcomes(run.report(NOW)) == {"a": "ok", "b": "not_reached"}


def test_what_was_judged_of_a_board_counts_until_it_is_changed_or_fails() -> None:
    run = Run("provision")
    run.begin_batch(["good", "changed", "proven", "bad", "never"])
    for board in ("good", "changed", "proven", "bad"):
        run.succeeded(board, {"changed": False})
    yes = {"answer": "yes", "reason": None, "rotate_by": "2027-01-01T00:00:00Z"}
    no = {"answer": "no", "reason": {"code": "version-ahead", "facts": {"version": "v", "timestamp": 1}}}
    run.decided({"takes_updates": dict.fromkeys(("good", "changed", "proven", "bad", "a stranger"), yes)})
    for board in ("changed", "proven"):
        run.succeeded(board, {"changed": True})
    run.decided({"takes_updates": {"proven": no}})
    run.succeeded("proven", {"changed": True})  # told once more, at the end
    run.failed("bad", {"msg": "Full.", "reason": "no-space", "reason_facts": {"detail": "/scratch"}})
    told = {board.name: board.takes_updates for board in run.report(NOW).boards}
    assert {name: takes and (takes.answer, takes.code) for name, takes in told.items()} == {
        "good": ("yes", ""),
        "changed": None,
        "proven": ("no", "version-ahead"),
        "bad": ("not_known", "no-space"),
        "never": ("not_known", "not-reached"),
    }
    lines = summary(run.report(NOW))
    assert "Takes updates: 1 yes, 1 no, 2 not known" in lines
    assert [line for line in lines if "updates (" in line] == [
        line for line in lines if line.startswith("proven: takes no updates (version-ahead)")
    ]


@pytest.mark.parametrize("told", [{"a": {}}, {"a": {"answer": "perhaps"}}, [], {"a": {"answer": "no", "reason": 3}}])
def test_what_says_nothing_of_updates_is_passed_over(told: Any) -> None:
    run = Run("provision")
    run.begin_batch(["a"])
    run.succeeded("a", {})
    run.decided({"takes_updates": told})
    assert run.report(NOW).boards[0].takes_updates is None


def test_a_failure_keeps_what_is_known_of_the_board() -> None:
    run = Run("provision")
    run.begin_batch(["a"])
    held = {"fingerprint": "f" * 64, "common_name": "cn", "not_after": None}
    run.failed("a", {"msg": "Not in time.", "device_id": "1" * 32, "after": {"developer_certificate": held}})
    board = run.report(NOW).boards[0]
    assert (board.device_id, board.developer_certificate) == ("1" * 32, HeldCertificate("f" * 64, "cn"))


@pytest.mark.parametrize(
    "result",
    [result_of(Report("status", "2026-11-25T00:00:00Z", [BoardReport("a", "ok")]), None)],
)
def test_a_task_that_reports_is_known_by_its_result(result: dict[str, Any]) -> None:
    run = Run("status")
    run.decided(result)
    assert run.reported
    assert run.reported.lines(80) == [*run.reported.table, "", "1 board: 1 in order"]


@pytest.mark.parametrize(
    "result",
    [
        {"report": "yes", "table": [], "summary": [], "files": []},
        {"report": {"format": 1}},
        {"parts": {"a": "no part"}, "absent": []},
        {"parts": {"a": {"dev_cert": 3}}, "absent": []},
        {"parts": {}, "absent": "a"},
        {"parts": {}},
    ],
)
def test_results_of_other_tasks_say_nothing_of_the_fleet(result: dict[str, Any]) -> None:
    run = Run("provision")
    run.decided(result)
    assert not run.reported
    assert not run.report(NOW).absent


@pytest.mark.parametrize("result", [{"found": {}}, {"device_id": 3}, {"after": "now"}, {"developer_certificate": {}}])
def test_results_of_other_tasks_say_nothing_of_a_board(result: dict[str, Any]) -> None:
    run = Run("provision")
    run.begin_batch(["a"])
    run.succeeded("a", {"changed": True, **result})
    board = run.report(NOW).boards[0]
    assert (board.outcome, board.device_id, board.developer_certificate) == ("changed", None, None)


def test_boards_of_batches_that_never_came_are_not_reached() -> None:
    run = Run("rotate")
    run.begin_batch(["a", "b"])
    run.succeeded("a", {"changed": False})
    run.failed("a", {"msg": "It failed."})
    assert outcomes(run.report(NOW)) == {"a": "failed", "b": "not_reached"}


def test_boards_that_were_only_looked_at_are_not_reached() -> None:
    run = Run("rotate")
    run.begin_batch(["a", "b"])
    for name in ("a", "b"):
        run.succeeded(name, {"changed": False, "wishes": {}})
    run.decided({"parts": {}, "absent": [], "only_look": True})
    run.begin_batch(["a", "b"])
    run.succeeded("a", {"changed": False, "wishes": {}})
    run.decided({"parts": {}, "absent": [], "only_look": False})
    assert outcomes(run.report(NOW)) == {"a": "ok", "b": "not_reached"}


def test_a_board_that_has_a_part_is_in_order_when_that_is_done() -> None:
    """Another board may end the run before."""
    run = Run("rotate")
    run.begin_batch(["a", "b"])
    for name in ("a", "b"):
        run.succeeded(name, {"changed": False, "wishes": {}})
    assert outcomes(run.report(NOW)) == {"a": "not_reached", "b": "not_reached"}
    run.decided({"parts": {"a": {}}, "absent": []})
    assert outcomes(run.report(NOW)) == {"a": "not_reached", "b": "ok"}
    run.succeeded("a", {"changed": True})
    assert outcomes(run.report(NOW)) == {"a": "changed", "b": "ok"}


def test_a_failure_for_all_leaves_earlier_batches_as_they_were() -> None:
    run = Run("rotate")
    run.begin_batch(["a", "b", "c"])
    run.succeeded("a", {"changed": True})
    run.begin_batch(["a", "b", "c"])
    run.succeeded("b", {"changed": False})
    run.stopped({"msg": "The API key is not accepted."})
    report = run.report(NOW)
    assert outcomes(report) == {"a": "changed", "b": "failed", "c": "not_reached"}
    assert report.problems == ("The API key is not accepted.",)


def test_boards_that_were_only_asked_are_not_in_order_when_the_look_at_them_did_not_end() -> None:
    """As pelion.mbl.status does without an API key."""
    run = Run("status")
    run.begin_batch(["a", "b", "c"])
    empty = BoardStatus(configured=False, missing_items=list(kcm.FACTORY_ITEMS))
    answers = {"a": BoardStatus(configured=True, registered=True, device_id="1" * 32), "b": empty}
    boards: dict[str, Any] = {name: {"changed": False, **answer.to_json()} for name, answer in answers.items()}
    boards["c"] = {"changed": False, "failure": {"msg": "ssh: Connection refused", "unreachable": True}}
    run.decided({"boards": boards, "one_by_one": []})
    assert outcomes(run.report(NOW))["a"] == "ok"
    run.begin_batch([])
    run.stopped({"msg": "No API key."})
    report = run.report(NOW)
    assert {board.name: (board.outcome, board.code) for board in report.boards} == {
        "a": ("not_reached", "not-judged"),
        "b": ("attention", "holds-no-credentials"),
        "c": ("unreachable", "connection-refused"),
    }
    assert report.boards[0].device_id == "1" * 32
    assert "3 boards: 1 no answer, 1 not reached, 1 needs attention" in summary(report)


def test_boards_that_a_check_did_look_at_are_as_they_answered() -> None:
    """Its failure is what it found."""
    run = Run("check_certificates")
    run.begin_batch(["a"])
    run.succeeded("a", {"changed": False, **BoardStatus(configured=True).to_json()})
    run.begin_batch([])
    run.stopped({"msg": "A certificate of the cloud ends in 3 days.", "ending": [{}], "unchecked": []})
    assert outcomes(run.report(NOW)) == {"a": "ok"}


def test_what_was_done_on_boards_counts_though_they_were_asked_before() -> None:
    run = Run("deprovision")
    run.begin_batch(["a"])
    run.succeeded("a", {"changed": False, **BoardStatus(configured=True).to_json()})
    run.succeeded("a", {"changed": True})
    run.begin_batch([])
    run.stopped({"msg": "No."})
    assert outcomes(run.report(NOW)) == {"a": "changed"}


def test_a_play_that_only_decides_is_about_no_board() -> None:
    run = Run("deprovision")
    run.begin_batch(["a", "b"])
    run.decided({"changed": False})
    assert not run.report(NOW).boards
    run.begin_batch(["a"])
    run.succeeded("a", {"changed": True})
    assert outcomes(run.report(NOW)) == {"a": "changed"}


def test_a_board_is_told_with_the_site_of_its_variables() -> None:
    run = Run("provision")
    run.begin_batch(["a", "b"])
    found = Inspection(has_utility=True).to_json()
    run.succeeded("a", {"changed": False, "found": found, "wishes": {"site": "north"}})
    run.succeeded("b", {"changed": False, "found": found, "wishes": {"site": ""}})
    assert [board.site for board in run.report(NOW).boards] == ["north", None]


def test_names_are_those_of_the_decision() -> None:
    run = Run("provision")
    run.begin_batch(["a"])
    run.decided({"parts": {"a": {"dev_cert": "bench", "update_resources": "up"}}, "absent": []})
    held = {"fingerprint": "f" * 64, "common_name": "cn", "not_after": "2036-01-01T00:00:00Z"}
    run.succeeded("a", {"changed": True, "after": {"developer_certificate": held, "update_certificate": held}})
    board = run.report(NOW).boards[0]
    assert (board.developer_certificate.name, board.update_certificate.name) == ("bench", "up")


def test_boards_that_the_team_remembers_and_that_are_not_there_are_named_but_are_no_failure() -> None:
    run = Run("provision")
    run.begin_batch(["a"])
    run.succeeded("a", {"changed": False})
    run.decided({"absent": ["c", "b"], "parts": {}})
    report = run.report(NOW)
    assert (outcomes(report), report.absent, report.success) == ({"a": "ok"}, ["b", "c"], True)
    assert summary(report) == [
        "1 board: 1 in order",
        "Not in the inventory, though the team has provisioned them: b, c. pelion.mbl.status reports on them.",
    ]
    assert Report.from_json(report.to_json()).absent == ["b", "c"]


def test_a_board_has_its_address() -> None:
    run = Run("provision")
    run.begin_batch(["a", "b"])
    run.addresses["a"] = "192.0.2.1"
    run.succeeded("a", {"changed": False})
    assert [board.address for board in run.report(NOW).boards] == ["192.0.2.1", None]


def test_what_people_are_to_do_is_in_the_summary_whatever_task_said_it() -> None:
    run = Run("provision")
    run.begin_batch(["a"])
    run.decided({"changed": True, "results": [{"advice": ["Check the secret."]}, {"advice": ["Back it up."]}, 3]})
    run.succeeded("a", {"changed": True})
    run.stopped({"msg": "No.", "advice": ["Back it up."]})
    report = run.report(NOW)
    assert report.warnings == ("Check the secret.", "Back it up.")
    assert "Note: Check the secret." in summary(report)


def test_in_check_mode_boards_would_be_changed() -> None:
    run = Run("provision")
    run.check_mode = True
    run.begin_batch(["a"])
    run.succeeded("a", {"changed": True})
    assert summary(run.report(NOW)) == ["1 board: 1 would be changed"]
    assert "would be changed" in page(run.report(NOW))
    assert Report.from_json(run.report(NOW).to_json()).check_mode


def test_what_is_no_board_is_passed_over() -> None:
    run = Run("list")
    run.begin_batch([])
    run.succeeded("localhost", {"changed": True})
    run.failed("localhost", {"msg": "no"})
    assert run.report(NOW).boards == []
