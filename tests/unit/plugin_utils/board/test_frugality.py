# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process costs a board milliseconds, and a fleet's rerun asks all of them: what a look and a restart start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from board_box import BoardBox
from board_samples import FIRST, SECOND, inject

A_LOOK = 30
"""Processes, at most, for a look at a board that needs nothing."""
AN_INJECTION = 80
"""Likewise, for an injection."""


@pytest.fixture
def provisioned(box: BoardBox) -> BoardBox:
    inject(box.board(), FIRST, "not-yet")
    box.board().inspect(may_change=True)  # the device ID is remembered, so that nothing is to be done
    return box


@pytest.mark.parametrize("may_change", [True, False])
def test_a_look_at_an_unchanged_board(provisioned: BoardBox, may_change: bool, tmp_path: Path) -> None:
    with provisioned.traced(tmp_path / "trace"):
        provisioned.board().inspect(may_change=may_change)
    assert 0 < processes(tmp_path / "trace") <= A_LOOK


def test_an_injection(provisioned: BoardBox, tmp_path: Path) -> None:
    found = provisioned.board().inspect(may_change=True)
    provisioned.client("exit")
    with provisioned.traced(tmp_path / "trace"):
        board = provisioned.board()
        board.inject(SECOND, found_digest=found.kcm_digest, bootstrap="as-is", registration_timeout=0)
    assert 0 < processes(tmp_path / "trace") <= AN_INJECTION


def processes(trace: Path) -> int:
    """How many the board's shell and what it started have started."""
    calls = trace.read_text()
    calls = calls[calls.index('execve("/bin/sh"') :]
    return len(re.findall(r"(?:fork|clone3?)(?:\(| resumed).*= \d+$", calls, re.MULTILINE))
