# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever breaks off the work on a board, and wherever: the board holds one whole set, and the next run ends well.

The power fails before each command that changes anything, in turn: all processes, mounts and what is in memory are
gone, and the board boots. How many of these points are tried is told by CUTS (default 3 a case; `all`); the moments
around the two renames are among them always.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from board_box import BoardBox, item_set
from board_samples import FIRST, SECOND, holds, inject

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import Board
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import Items

CUTS = os.environ.get("CUTS", "3")
THIRD = item_set(3)

CASES = {
    "first injection": (None, "not-yet"),
    "exchange": (FIRST, "as-is"),
    "keep identity": (FIRST, "keep-identity"),
    "new identity": (FIRST, "new-identity"),
}


@dataclass
class Origin:
    """A board, off, from which the same work starts again and again."""

    box: BoardBox
    place: Path

    @classmethod
    def of(cls, place: Path, held: Items | None) -> Origin:
        box = BoardBox(place / "origin").boot()
        if held:
            inject(box.board(), held, "not-yet")
        box.power_off()
        return cls(box, place)

    def copy(self) -> BoardBox:
        path = self.place / "copy"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.box.root, path, symlinks=True)
        return self.box.elsewhere(path)

    def cut(self, number: int, work: Callable[[Board, Inspection], object]) -> tuple[BoardBox, list[str]]:
        """A copy that lost its power before command ``number`` of ``work``, and the commands that were begun."""
        box = self.copy()
        box.cut_before(0)
        box.boot()
        found = box.board().inspect(may_change=False)
        box.cut_next(number)
        with suppress(BoardError):  # none when it had said that all is done
            work(box.board(), found)
        box.power_off()
        box.no_shims()
        return box, box.commands()


def points(commands: list[str], seed: str) -> list[int]:
    every = range(1, len(commands) + 1)
    if CUTS == "all":
        return list(every)
    renames = [number for number in every if commands[number - 1].startswith("mv ") and "/pal" in commands[number - 1]]
    assert renames
    around = {number + step for number in renames for step in (0, 1)} & set(every)
    return sorted({*around, *random.Random(seed).sample(every, int(CUTS))})


@pytest.mark.parametrize("case", CASES)
def test_power_cuts_leave_one_whole_set(case: str, tmp_path: Path) -> None:
    former, bootstrap = CASES[case]
    origin = Origin.of(tmp_path, former)

    def work(board: Board, found: Inspection) -> object:
        return _inject(board, found, bootstrap)

    before = origin.box.content()
    _box, commands = origin.cut(0, work)
    assert len(commands) > 15
    for number in points(commands, case):
        where = f"{case}, cut before command {number} of {len(commands)}, {commands[number - 1]}"
        box, _how = origin.cut(number, work)
        # Before the swap the old set is in its place; in the middle of it, the new one is whole beside it.
        held, beside = box.content(), box.content("pal.new")
        assert held == before or is_whole(held) or (not held and is_whole(beside)), where

        box.boot()
        foreseen = box.board().inspect(may_change=False)
        assert holds(foreseen, SECOND) or _is_as_before(foreseen, former), where
        box.reboot()
        board = box.board().inspect(may_change=True)
        if not holds(board, SECOND):
            assert _is_as_before(board, former), where
            assert box.content() == before, where
        assert not {name for name in box.files() if name.startswith("pal.")}, where
        assert "scratch" not in box.run("cat /proc/mounts; ls /scratch"), where
        assert not box.board().inspect(may_change=True).recovered, where
        assert inject(box.board(), THIRD).registered, where
        assert holds(box.board().inspect(may_change=True), THIRD), where
        box.power_off()


def _inject(board: Board, found: Inspection, bootstrap: str = "as-is") -> object:
    return board.inject(SECOND, found_digest=found.kcm_digest, bootstrap=bootstrap, registration_timeout=20)


def _is_as_before(board: Inspection, former: Items | None) -> bool:
    return holds(board, former) if former else not board.configured and not board.certificates


def is_whole(content: dict[str, bytes]) -> bool:
    """Whether each item is there, in two copies that are the same."""
    items = {name.partition("/")[2] for name in content}
    return len(items) == 15 and all(content.get(f"WORKING/{name}") == content.get(f"BACKUP/{name}") for name in items)


def test_a_cut_in_the_recovery_of_a_cut_does_no_harm(tmp_path: Path) -> None:
    origin = Origin.of(tmp_path, FIRST)
    number, swapping = 0, None
    while not swapping:
        number += 1
        box, begun = origin.cut(number, _inject)
        assert len(begun) == number, "the moment between the renames was not met"
        if not (box.root / "config/user/pal").exists():
            swapping = Origin(box.moved(tmp_path / "between"), tmp_path)
    number = 0
    while True:
        number += 1
        box, begun = swapping.cut(number, lambda board, _found: board.inspect(may_change=True))
        if len(begun) < number:
            break
        box.boot()
        assert holds(box.board().inspect(may_change=True), SECOND), f"cut before command {number} of the recovery"
        assert not {name for name in box.files() if name.startswith("pal.")}
        box.power_off()
    assert number > 5
