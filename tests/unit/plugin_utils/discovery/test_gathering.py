# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.gathering import Gathering
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.hosts import Host
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.watch import Change, What


def change(name: str, what: What = What.APPEARED) -> Change:
    return Change(what, Host(name, name, "", ("10.0.0.7",), 22, "eth0", {}, None))


def names(changes: list[Change]) -> list[str]:
    return [each.board.name for each in changes]


def test_changes_are_told_together_when_it_has_become_quiet() -> None:
    gathering = Gathering(1.0)
    gathering.add(change("b"), 10.0)
    gathering.add(change("a"), 10.9)
    assert gathering.take(11.8) == []
    assert names(gathering.take(11.9)) == ["a", "b"]
    assert gathering.take(100.0) == []


def test_what_never_becomes_quiet_is_told_all_the_same() -> None:
    gathering = Gathering(1.0)
    for tenth in range(50):
        assert gathering.take(tenth / 10) == []
        gathering.add(change(f"board-{tenth % 7}"), tenth / 10)
    assert len(gathering.take(5.01)) == 7


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ("appeared left", []),
        ("appeared again", ["appeared"]),
        ("appeared left appeared", ["appeared"]),
        ("left appeared", ["again"]),
        ("left appeared left", ["left"]),
        ("again left", ["left"]),
        ("again again", ["again"]),
        ("again left appeared", ["again"]),
    ],
)
def test_of_several_changes_what_they_come_to_is_told(changes: str, told: list[str]) -> None:
    gathering = Gathering(1.0)
    for what in changes.split():
        gathering.add(change("a", What(what)), 0)
    assert [each.what.value for each in gathering.take(1)] == told


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3)), max_size=40))
def test_each_change_is_told_once_and_in_time(steps: list[tuple[str, float]]) -> None:
    gathering, now, waiting = Gathering(1.0), 0.0, {}
    for name, pause in steps:
        now += pause
        told = names(gathering.take(now))
        assert set(told) in (set(), set(waiting))
        if told:
            waiting.clear()
        assert all(now - since < 5 for since in waiting.values())
        gathering.add(change(name, What.AGAIN), now)
        waiting.setdefault(name, now)
    assert set(names(gathering.take(now + 1.01))) == set(waiting)
