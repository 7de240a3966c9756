# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.retries import Retries

FIRST, LONGEST, PATIENCE = 10.0, 100.0, 500.0


def retries() -> Retries:
    return Retries(FIRST, LONGEST, PATIENCE)


def test_what_is_in_order_is_not_tried_again() -> None:
    tries = retries()
    tries.asked("1", ["a", "b"], 0)
    tries.answered("1", {"a", "b"}, 20)
    assert tries.due(1e9) == []


def test_what_failed_is_due_after_a_pause_that_doubles_up_to_the_longest() -> None:
    tries, now, pauses = retries(), 0.0, []
    for run in range(6):
        tries.asked(str(run), ["a"], now)
        assert tries.due(now + PATIENCE - 1) == []
        now += 7
        tries.answered(str(run), set(), now)
        pause = next(pause for pause in range(1, 1000) if tries.due(now + pause))
        pauses.append(pause)
        now += pause
    assert pauses == [10, 20, 40, 80, 100, 100]
    assert tries.failures("a") == 6


def test_only_what_failed_is_tried_again() -> None:
    tries = retries()
    tries.asked("1", ["c", "b", "a"], 0)
    tries.answered("1", {"b"}, 5)
    assert tries.due(5 + FIRST) == ["a", "c"]
    assert (tries.failures("a"), tries.failures("b"), tries.failures("new")) == (1, 0, 0)


def test_a_run_that_never_answers_counts_as_failed() -> None:
    tries = retries()
    tries.asked("1", ["a"], 0)
    assert tries.due(PATIENCE - 1) == []
    assert tries.due(PATIENCE) == ["a"]
    tries.asked("2", ["a"], PATIENCE)
    assert tries.failures("a") == 1


def test_a_board_that_begins_anew_has_no_failures_and_the_answer_of_the_run_before_is_not_for_it() -> None:
    tries = retries()
    tries.asked("1", ["a"], 0)
    tries.answered("1", set(), 1)
    tries.asked("2", ["a"], 11)
    tries.forget(["a"])
    tries.asked("3", ["a"], 12)
    tries.answered("2", set(), 13)
    assert tries.failures("a") == 0
    tries.answered("3", {"a"}, 14)
    assert tries.due(1e9) == []


def test_a_board_that_left_is_left_alone() -> None:
    tries = retries()
    tries.asked("1", ["a"], 0)
    tries.forget(["a", "never heard of"])
    tries.answered("1", set(), 1)
    assert tries.due(1e9) == []


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["asked", "good", "bad", "forget"]), st.sampled_from("abc"), st.floats(0.1, 1000)),
    max_size=60,
)


@given(ACTIONS)
def test_each_board_that_is_not_in_order_is_due_some_time_and_no_other_is(actions: list[tuple[Any, ...]]) -> None:
    """A model that keeps only what matters: whose last attempt was not a success."""
    tries, now, open_boards, last_run = retries(), 0.0, set(), {}
    for number, (what, board, pause) in enumerate(actions):
        now += pause
        if what == "asked":
            tries.asked(str(number), [board], now)
            open_boards.add(board)
            last_run[board] = str(number)
        elif what == "forget":
            tries.forget([board])
            open_boards.discard(board)
            last_run.pop(board, None)
        elif board in last_run:
            tries.answered(last_run.pop(board), {board} if what == "good" else set(), now)
            if what == "good":
                open_boards.discard(board)
        assert set(tries.due(now + max(LONGEST, PATIENCE))) == open_boards
        assert set(tries.due(now)) <= open_boards


def test_no_number_of_failures_makes_a_pause_that_is_too_long() -> None:
    tries = retries()
    for number in range(2000):
        tries.asked(str(number), ["a"], 0)
        tries.answered(str(number), set(), 0)
    assert tries.due(LONGEST) == ["a"]
