# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No living board loses its device because another one leaves."""

from __future__ import annotations

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.leaving import leaving
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import Remembered

ONE, TWO = "1" * 32, "2" * 32
MEMORY = {
    "board-1": Remembered((), ONE, "bench", "2026-11-01T00:00:00Z"),
    "board-2": Remembered((), TWO, "bench", "2026-11-01T00:00:00Z"),
    "copy-of-2": Remembered((), TWO, "bench", "2026-11-01T00:00:00Z"),
}


def test_what_the_team_has_proven_leaves() -> None:
    assert leaving(["board-1"], MEMORY, {"board-1": ONE}).devices == {"board-1": ONE}
    assert leaving(["board-1"], MEMORY, {}).notes == ()


def test_a_line_in_a_board_s_log_costs_no_other_board_its_device() -> None:
    told = leaving(["board-1"], MEMORY, {"board-1": TWO})
    assert told.devices == {"board-1": ONE}
    assert f"says that it is device {TWO}, though the team knows it as {ONE}. It is that of board-2" in told.notes[0]
    stranger = leaving(["stranger"], MEMORY, {"stranger": "3" * 32}, ["stranger"])
    assert stranger.devices == {}
    assert "The team has not proven that" in stranger.notes[0]
    assert f"-m pelion.mbl.pelion_device -a 'ids={'3' * 32} state=absent'" in stranger.notes[0]


def test_a_copy_leaves_without_the_device() -> None:
    told = leaving(["copy-of-2"], MEMORY, {})
    assert told.devices == {}
    assert "stays, since it is that of board-2 as well" in told.notes[0]
    both = leaving(["copy-of-2", "board-2"], MEMORY, {})
    assert set(both.devices.values()) == {TWO}


def test_a_renamed_board_keeps_its_device() -> None:
    with pytest.raises(PelionError, match=r"today says that it is its device.*provision"):
        leaving(["board-1"], MEMORY, {"today": ONE}, ["today"])
    assert leaving(["board-1"], MEMORY, {"other": TWO}, ["other"]).devices == {"board-1": ONE}
    known = {"board-1": Remembered(("SHA256:k",), ONE, "bench", "2026-11-01T00:00:00Z")}
    for told in (None, ONE):
        with pytest.raises(PelionError, match="today has its ssh host key"):
            leaving(["board-1"], known, {"today": told}, ["today"], {"today": ["SHA256:k"]})
    assert leaving(["board-1"], known, {}, ["other"], {"other": ["SHA256:k", "SHA256:o"], "silent": []}).devices


def test_boards_that_may_be_the_leaving_one_are_named() -> None:
    says = {"board-1": None, "off-line": None, "shown": None, "told": TWO}
    told = leaving(["board-1"], MEMORY, says, list(says), {"shown": ["SHA256:s"]})
    assert [note.partition("boards: ")[2] for note in told.notes] == ["off-line."]
    assert leaving(["board-1"], MEMORY, {"board-1": None, "told": TWO}, ["told"]).notes == ()


def test_a_board_with_another_ones_name_stays() -> None:
    known = {"board-1": Remembered(("SHA256:1",), ONE), "board-2": Remembered(("SHA256:2",), TWO)}
    with pytest.raises(PelionError, match="board-1 shows the ssh host key by which the team knows board-2"):
        leaving(["board-1"], known, {}, ["board-1"], {"board-1": ["SHA256:2"]})
    for shown in (["SHA256:1"], ["SHA256:of a board flashed anew"], []):
        assert leaving(["board-1"], known, {}, ["board-1"], {"board-1": shown}).devices == {"board-1": ONE}
    copied = {**known, "board-1": Remembered((), ONE)}
    assert leaving(["board-1"], copied, {}, ["board-1"], {"board-1": ["SHA256:2"]}).devices == {"board-1": ONE}
    swapped = {"board-1": ["SHA256:2"], "board-2": ["SHA256:1"]}
    assert leaving(list(known), known, {}, list(known), swapped).devices == {"board-1": ONE, "board-2": TWO}


def test_a_misspelt_name_is_an_error_that_suggests_no_living_board() -> None:
    with pytest.raises(PelionError, match="board-11") as caught:
        leaving(["board-11"], MEMORY, {}, ["board-1"])
    assert "board-1?" not in str(caught.value)
    with pytest.raises(PelionError, match=r"Did you mean board-1\?"):
        leaving(["board-11"], MEMORY, {}, ["board-2"])
    with pytest.raises(PelionError) as caught:
        leaving(["sen-1"], MEMORY, {}, ["board-2"], seen=["seen-1"])
    assert "Did you mean" not in str(caught.value), "it may be a former name of a board that is there"
    assert leaving(["seen-1"], MEMORY, {}, ["board-2"], seen=["seen-1"]).devices == {}
