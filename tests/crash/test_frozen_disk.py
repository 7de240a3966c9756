# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that no longer answers: who writes to it waits in the kernel, and cannot be killed."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from board_on_disk import BoardOnDisk
from power_cut import requires_disks
from test_board import FIRST, OTHER_UPDATE

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import Board
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError

pytestmark = requires_disks()


def board_at(board: BoardOnDisk, board_timeout: int) -> Board:
    return Board(lambda program, _seconds: board.run(program), lock_timeout=0, board_timeout=board_timeout)


@contextlib.contextmanager
def frozen(place: Path) -> Iterator[None]:
    subprocess.run(["fsfreeze", "--freeze", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", place], check=True)


def test_its_lock_is_free_and_it_holds_what_it_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{Board.__module__}.LAST_RESPITE", 2)
    board = BoardOnDisk(tmp_path)
    with board.booted():
        found = board_at(board, 60).inspect(may_change=True)
        board_at(board, 60).inject(FIRST, found_digest=found.kcm_digest, bootstrap="not-yet", registration_timeout=20)
        found = board_at(board, 60).inspect(may_change=True)
        with frozen(board.disk.mount):
            with pytest.raises(BoardError) as raised:
                board_at(board, 2).inject(
                    OTHER_UPDATE, found_digest=found.kcm_digest, bootstrap="as-is", registration_timeout=0
                )
            assert raised.value.facts["changed"] is False
            # No lock is in the way of the next one. Even asked for the status, the utility waits for the disk.
            with pytest.raises(
                BoardError, match="killed when the 2 seconds for the whole exchange were over"
            ) as raised:
                board_at(board, 2).inspect(may_change=False)
            assert raised.value.facts["reason"] == "utility-ended"
        after = board_at(board, 60).inspect(may_change=True)
        assert (after.kcm_digest, after.provisioned_by, after.client_runs) == (found.kcm_digest, "pelion.mbl", True)
