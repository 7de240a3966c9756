# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the boards of a run, whatever way it ends."""

from __future__ import annotations

from datetime import datetime, timezone

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.page import page
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.report import Report, summary
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.run import Run

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
    run.failed("c", "No room for it.", {})
    run.unreachable("d", "No route to host")
    report = run.report(NOW)
    assert outcomes(report) == {"a": "ok", "b": "changed", "c": "failed", "d": "unreachable"}
    assert report.boards[1].device_id == "1" * 32
    assert (report.boards[2].reason, report.success) == ("No room for it.", False)


def test_boards_of_batches_that_never_came_are_not_reached() -> None:
    run = Run("rotate")
    run.begin_batch(["a", "b"])
    run.succeeded("a", {"changed": False})
    run.failed("a", "It failed.", {})
    assert outcomes(run.report(NOW)) == {"a": "failed", "b": "not_reached"}


def test_a_failure_for_all_leaves_earlier_batches_as_they_were() -> None:
    run = Run("rotate")
    run.begin_batch(["a", "b", "c"])
    run.succeeded("a", {"changed": True})
    run.begin_batch(["a", "b", "c"])
    run.succeeded("b", {"changed": False})
    run.stopped("The API key is not accepted.")
    report = run.report(NOW)
    assert outcomes(report) == {"a": "changed", "b": "failed", "c": "not_reached"}
    assert report.problems == ("The API key is not accepted.",)


def test_a_play_that_only_decides_is_about_no_board() -> None:
    run = Run("deprovision")
    run.begin_batch(["a", "b"])
    run.decided("assert", {"changed": False})
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
    run.decided("pelion_fleet_decide", {"parts": {"a": {"dev_cert": "bench", "update_resources": "up"}}})
    held = {"fingerprint": "f" * 64, "common_name": "cn", "not_after": "2036-01-01T00:00:00Z"}
    run.succeeded("a", {"changed": True, "after": {"developer_certificate": held, "update_certificate": held}})
    board = run.report(NOW).boards[0]
    assert (board.developer_certificate.name, board.update_certificate.name) == ("bench", "up")


def test_boards_that_the_team_remembers_and_that_are_not_there_are_named_but_are_no_failure() -> None:
    run = Run("provision")
    run.begin_batch(["a"])
    run.succeeded("a", {"changed": False})
    run.decided("pelion_fleet_decide", {"absent": ["c", "b"], "parts": {}})
    report = run.report(NOW)
    assert (outcomes(report), report.absent, report.success) == ({"a": "ok"}, ["b", "c"], True)
    assert summary(report) == [
        "1 board: 1 in order",
        "Not in the inventory, though the team has provisioned them: b, c. pelion.mbl.status tells more.",
    ]
    assert Report.from_json(report.to_json()).absent == ["b", "c"]


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
    run.failed("localhost", "no", {})
    assert run.report(NOW).boards == []
