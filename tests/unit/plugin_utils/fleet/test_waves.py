# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet in waves, as counts, percentages, groups and files say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.waves import (
    DEFAULT_WAVES,
    Wave,
    divide,
    names_in,
    plan,
)

BOARDS = [f"b{number}" for number in range(10)]
NAMED = {**{board: [board] for board in BOARDS}, "far": ["b1", "b7", "elsewhere"], "elsewhere": ["elsewhere"]}
FILES = {"waves.txt": [["b3", "b2"], ["far"]]}


def sizes(count: int, *wanted: str) -> list[int]:
    return [len(wave) for wave in divide([f"b{number}" for number in range(count)], wanted, {})]


@pytest.mark.parametrize(
    ("count", "wanted", "expected"),
    [
        (100, DEFAULT_WAVES, [1, 20, 79]),
        (3, DEFAULT_WAVES, [1, 1, 1]),
        (1, DEFAULT_WAVES, [1]),
        (0, DEFAULT_WAVES, []),
        (10, ("2",), [2, 2, 2, 2, 2]),
        (10, ("1", "4"), [1, 4, 4, 1]),
        (10, ("30 %",), [3, 3, 3, 1]),
        (10, (), [10]),
        (200, ("150",), [150, 50]),
        (1000, ("50%",), [500, 500]),
    ],
)
def test_counts_and_percentages(count: int, wanted: tuple[str, ...], expected: list[int]) -> None:
    assert sizes(count, *wanted) == expected


def test_groups_boards_and_files() -> None:
    assert divide(BOARDS, ["b5", "far"], NAMED) == [["b5"], ["b1", "b7"], ["b0", "b2", "b3", "b4", "b6", "b8", "b9"]]
    assert divide(BOARDS, ["waves.txt", "50%"], NAMED, FILES.get) == [
        ["b2", "b3"],
        ["b1", "b7"],
        ["b0", "b4", "b5", "b6", "b8"],
        ["b9"],
    ]
    # A limit leaves a group without boards.
    assert divide(BOARDS[2:4], ["far", "1"], NAMED) == [["b2"], ["b3"]]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("0", "has 0: a wave has 1 board"),
        ("-1", "has -1: a wave has 1 board"),
        ("101%", "has 101%: a wave has 1 board"),
        ("fare", r"'fare', which is neither .* Did you mean far\?$"),
        ("something", r"'something', which is neither .* nor a file\.$"),
        ("odd.txt", r"odd.txt names boards that the inventory does not have: b66, b77\. Did you mean b6\?$"),
        ("strange.txt", r"strange.txt names boards that the inventory does not have: something\.$"),
    ],
)
def test_what_is_no_wave(wanted: str, said: str) -> None:
    with pytest.raises(PelionError, match=said):
        files = {"odd.txt": [["b1"], ["b77", "b66"]], "strange.txt": [["something"]]}
        divide(BOARDS, [wanted], NAMED, files.get)


WANTED = st.lists(
    st.integers(1, 30).map(str)
    | st.integers(1, 100).map(lambda share: f"{share}%")
    | st.sampled_from(["far", "b3", "waves.txt", "elsewhere"])
)


@given(boards=st.lists(st.sampled_from(BOARDS), unique=True), wanted=WANTED)
def test_each_board_is_in_one_wave_and_each_wave_has_a_board(boards: list[str], wanted: list[str]) -> None:
    waves = divide(boards, wanted, NAMED, FILES.get)
    assert sorted(board for wave in waves for board in wave) == sorted(boards)
    assert all(waves)
    for wave in waves:
        assert wave == sorted(wave, key=boards.index)


@given(boards=st.lists(st.sampled_from(BOARDS), unique=True, min_size=1), wanted=WANTED)
def test_the_first_wave_has_no_more_boards_than_it_was_told(boards: list[str], wanted: list[str]) -> None:
    first = divide(boards, ["1", *wanted], NAMED, FILES.get)[0]
    assert first == boards[:1]


def test_a_file_of_names() -> None:
    text = "# the canary\nb3\n\n\nb1  # near the window\n  b2\n# far away\nfar\n  \nb4\n\n# nobody\n"
    assert names_in(text) == [["b3"], ["b1", "b2", "far"], ["b4"]]
    assert names_in("") == []


def test_a_plan_tells_what_each_gets_and_what_is_done() -> None:
    gets = {"a": "a new update certificate", "c": "a new update certificate", "d": "it registers anew"}
    assert plan([Wave(["b"], gets), Wave(["a", "c", "d"], gets)]) == [
        "Wave 1 of 2, 1 board. Done: b",
        "Wave 2 of 2, 3 boards. A new update certificate: a, c",
        "  It registers anew: d",
    ]
    assert Wave(["b", "d", "a"], gets).to_do == ["d", "a"]
