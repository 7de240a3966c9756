# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed task's result says of its board."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.reasons import Reason
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.failure import Failure
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.reasons import KINDS

AGAIN = KINDS["failed"].next_step


@pytest.mark.parametrize(
    "result", [{}, {"reason": None}, {"reason": "Not Found"}, {"reason": ""}, {"reason": 404}, {"reason": ["a-code"]}]
)
def test_what_is_not_a_code_is_not_taken_for_one(result: dict[str, Any]) -> None:
    board = Failure.from_json({"msg": "No room for it.", **result}).report("b")
    assert (board.outcome, board.code, board.reason) == ("failed", "failed", "No room for it.")
    assert board.next_step == AGAIN


def test_a_code_comes_with_its_facts() -> None:
    failure = Failure.from_json({"msg": "Full.", "reason": "some-new-code", "reason_facts": {"free_kb": 3}})
    assert failure.reason == Reason("some-new-code", {"free_kb": 3})
    board = failure.report("b")
    assert (board.code, board.facts, board.next_step) == ("some-new-code", {"free_kb": 3}, AGAIN)


def test_facts_that_are_not_an_object_are_left_out() -> None:
    assert Failure.from_json({"msg": "m", "reason": "a-code", "reason_facts": [1]}).reason == Reason("a-code")


def test_a_next_step_of_the_message_is_not_said_twice() -> None:
    step = KINDS["device-suspended"].next_step
    board = Failure(f"It is suspended. {step} Nothing was changed.", Reason("device-suspended")).report("b")
    assert (board.reason, board.next_step) == ("It is suspended. Nothing was changed.", step)


def test_a_known_code_with_facts_of_another_version_is_reported_with_its_text() -> None:
    board = Failure("The site is silent.", Reason("site-silent", {"place": "north"})).report("b")
    assert (board.code, board.reason, board.next_step) == ("site-silent", "The site is silent.", AGAIN)


def test_a_result_without_a_word_says_so() -> None:
    assert Failure.from_json({"failed": True}).said == "It failed and did not say why."
    assert "no_log" in Failure.from_json({"censored": "hidden by no_log"}).said


def test_of_a_task_with_a_loop_the_items_that_failed_are_quoted() -> None:
    refused = {"failed": True, "msg": "The cloud refused it.", "reason": "cloud", "item": 2}
    loop = {"msg": "One or more items failed", "results": [{"changed": False, "item": 1}, refused, refused]}
    failure = Failure.from_json(loop)
    assert (failure.said, failure.reason) == ("The cloud refused it.", Reason("cloud"))
    many = {"msg": "All items failed", "results": [{"failed": True, "msg": f"Number {number}."} for number in range(5)]}
    assert Failure.from_json(many).said == "Number 0. Number 1. Number 2. And 2 more."
