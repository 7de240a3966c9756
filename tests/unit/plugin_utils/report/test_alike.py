# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards of which the same is to be said are in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.reasons import Kind, Reason
from ansible_collections.pelion.mbl.plugins.plugin_utils.report import alike as module
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.alike import alike
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.entries import GOOD, OUTCOMES, BoardReport, Report
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.failure import Failure
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.reasons import KINDS, REPORT_REASONS
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.summary import summary

STRANGER = {
    "stranger": Kind(
        "The board {board} is not in the roster of {team}.", "Add it to the roster.", "Not in the roster of {team}."
    )
}


def strangers(count: int, team: str = "bench") -> list[BoardReport]:
    reasons = {f"b-{n}": Reason("stranger", {"board": f"b-{n}", "team": team}) for n in range(count)}
    return [
        BoardReport(name, "failed", why.text(STRANGER), why.next_step(STRANGER), why.code, why.facts)
        for name, why in reasons.items()
    ]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KINDS", {**KINDS, **STRANGER})


@pytest.mark.usefixtures("known")
def test_200_boards_outside_the_roster_are_one_line() -> None:
    lines = summary(Report("provision", "2026-11-25T00:00:00Z", strangers(200)))
    assert len(lines) == 2
    assert lines[1].endswith(": failed (stranger) | Not in the roster of bench. | Add it to the roster.")


def test_several_boards_with_the_same_words_are_not_called_one() -> None:
    why = Reason("update-unknown", {"fingerprint": "ab" * 32, "team_store": "/srv/team"})
    (step,) = alike(BoardReport.because(name, "failed", why) for name in "ab")
    assert step.reason.startswith("These boards hold") and step.names == ["a", "b"]
    (step,) = alike([BoardReport.because("a", "failed", why)])
    assert step.reason.startswith("This board holds")


def test_boards_that_are_to_be_let_in_by_their_keys_are_named_with_them() -> None:
    facts = {name: {"board": name, "host_keys": f"SHA256:{name * 43}"} for name in "ab"}
    boards = [BoardReport.because(name, "failed", Reason("not-in-roster", facts[name])) for name in "ab"]
    (step,) = alike(boards)
    assert step.names == [f"{name} (SHA256:{name * 43})" for name in "ab"]
    assert alike(boards[:1])[0].names == ["a"], "its own text has the key"


@pytest.mark.usefixtures("known")
def test_one_board_is_reported_in_its_own_words() -> None:
    (one,) = alike(strangers(1))
    assert (one.code, one.reason) == ("stranger", "The board b-0 is not in the roster of bench.")


@pytest.mark.usefixtures("known")
def test_facts_that_the_common_text_names_keep_boards_apart() -> None:
    assert [step.reason for step in alike([*strangers(2), *strangers(2, "other")])] == [
        "Not in the roster of bench.",
        "Not in the roster of other.",
    ]


def test_an_unknown_code_is_reported_with_each_text() -> None:
    assert len(alike(strangers(3))) == 3


def test_boards_that_ssh_did_not_reach_for_one_reason_are_in_one_line() -> None:
    boards = [Failure(f"192.0.2.{n}: Connection timed out", unreachable=True).report(f"b-{n}") for n in range(30)]
    (step,) = alike(boards)
    assert (step.reason, len(step.names)) == ("ssh got no answer in time.", 30)


def test_a_command_of_the_next_step_names_all_boards() -> None:
    said = "IDENTIFICATION HAS CHANGED SHA256:"
    boards = [Failure(said + letter * 43, unreachable=True).report(letter) for letter in "ab"]
    assert "forget_host -e boards=a,b," in alike(boards)[0].next_step
    many = [Failure(said + "k" * 43, unreachable=True).report(f"b-{number}") for number in range(30)]
    assert "b-19,…, then" in alike(many)[0].next_step


def test_outcomes_keep_boards_apart_whatever_the_code() -> None:
    boards = [BoardReport.because("a", "failed", Reason("not-reached")), BoardReport("b", "ok")]
    boards.append(BoardReport.because("c", "not_reached", Reason("not-reached")))
    assert [(step.outcome, list(step.names)) for step in alike(boards)] == [("failed", ["a"]), ("not_reached", ["c"])]


facts = st.dictionaries(st.sampled_from(["board", "items", "fingerprint", "site"]), st.just("x") | st.integers())
entries = st.builds(
    BoardReport,
    st.sampled_from("abcdef"),
    st.sampled_from(list(OUTCOMES)),
    st.sampled_from(["one", "two"]),
    code=st.sampled_from(["", "from-elsewhere", *REPORT_REASONS]),
    facts=facts,
)


@given(st.lists(entries, max_size=6))
def test_every_board_that_is_not_in_order_is_named_once_whatever_it_came_with(boards: list[BoardReport]) -> None:
    told = [(step.outcome, step.code, name) for step in alike(boards) for name in step.names]
    assert sorted(told) == sorted((b.outcome, b.code, b.name) for b in boards if b.outcome not in GOOD)


def test_certificates_that_end_on_different_days_are_one_line() -> None:
    facts = [{"title": "update", "days": n, "not_after": f"2026-12-{n:02}"} for n in (3, 5)]
    boards = [BoardReport.because(f"b-{n}", "attention", Reason("certificate-ends", f)) for n, f in enumerate(facts)]
    (step,) = alike(boards)
    assert step.reason == "Their update certificates end soon."
