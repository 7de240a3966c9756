# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.lifetimes import LONGEST, UNTOLD, Lifetimes


def test_it_is_asked_for_four_times_in_the_last_fifth_and_then_over() -> None:
    times = Lifetimes()
    times.told("a", 100, 1000)
    asked = [second for second in range(100) if times.to_ask(1000 + second)]
    assert asked == [80, 85, 90, 95]
    assert times.over(1099) == []
    assert times.over(1100) == ["a"]


def test_an_answer_renews_it() -> None:
    times = Lifetimes()
    times.told("a", 100, 0)
    assert times.to_ask(80) == ["a"]
    times.told("a", 100, 81)
    assert times.to_ask(100) == []
    assert times.over(180) == []
    assert times.to_ask(161) == ["a"]


def test_what_has_no_time_of_its_own_is_kept_for_a_while_and_hearing_of_it_again_does_not_lengthen_that() -> None:
    times = Lifetimes()
    times.heard_of("a", 0)
    times.heard_of("a", 100)
    assert times.over(UNTOLD) == ["a"]
    times.told("a", 1000, 100)
    times.heard_of("a", 200)
    assert times.over(1000) == []


def test_nobody_stays_for_ever() -> None:
    times = Lifetimes()
    times.told("a", 2**31, 0)
    assert times.over(LONGEST) == ["a"]


def test_what_is_forgotten_is_neither_asked_for_nor_over() -> None:
    times = Lifetimes()
    for key in "abc":
        times.told(key, 10, 0)
    times.forget("a")
    times.forget("never heard of")
    times.keep({"b"})
    assert len(times) == 1
    assert times.over(10) == ["b"]


@given(st.floats(0.1, LONGEST), st.lists(st.floats(0, LONGEST), max_size=50))
def test_it_is_never_asked_for_early_or_late_or_more_than_four_times(seconds: float, moments: list[float]) -> None:
    times = Lifetimes()
    times.told("a", seconds, 0)
    asked = [moment for moment in sorted(moments) if times.to_ask(moment)]
    assert len(asked) <= 4
    assert all(0.79 * seconds <= moment < seconds for moment in asked)
