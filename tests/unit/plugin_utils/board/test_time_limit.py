# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board that comes to no end ends all the same: it tells so, undoes what it began, and gives the lock back."""

from __future__ import annotations

import pytest
from board_box import BoardBox
from board_samples import FIRST, SECOND, holds, inject

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import Board
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError

HANGS = "#!/bin/sh\nexec sleep 1000\n"


@pytest.fixture
def provisioned(box: BoardBox) -> BoardBox:
    inject(box.board(), FIRST, "not-yet")
    return box


@pytest.mark.parametrize("command", ["df", "od", "sha256sum"])
def test_a_look_that_hangs_is_ended(provisioned: BoardBox, command: str) -> None:
    provisioned.replaced(command, HANGS)
    with pytest.raises(BoardError, match="did not finish within 2 seconds") as raised:
        provisioned.board(board_timeout=2).inspect(may_change=True)
    assert (raised.value.facts["reason"], raised.value.facts["changed"]) == ("too-slow", False)
    provisioned.in_place(command)
    assert holds(provisioned.board(lock_timeout=0).inspect(may_change=True), FIRST)
    assert provisioned.processes().count("sleep") <= 2, "what hung is gone; box and client sleep"


@pytest.mark.parametrize("command", ["cp", "mount", "systemctl"])
def test_an_injection_that_hangs_is_undone(provisioned: BoardBox, command: str) -> None:
    before = provisioned.content()
    found = provisioned.board().inspect(may_change=True)
    # Once; then it can be undone.
    again = f"/usr/bin/{command}" if command == "systemctl" else f"/bin/busybox {command}"
    provisioned.replaced(command, f'#!/bin/sh\n[ -e /hung ] && exec {again} "$@"\n: >/hung\nexec sleep 1000\n')
    with pytest.raises(BoardError, match="did not finish within 2 seconds") as raised:
        provisioned.board(board_timeout=2).inject(
            SECOND, found_digest=found.kcm_digest, bootstrap="as-is", registration_timeout=0
        )
    assert (raised.value.facts["reason"], raised.value.facts["changed"]) == ("too-slow", False)
    assert provisioned.content() == before
    assert provisioned.files() == ["pal", "pelion-mbl.device", "pelion-mbl.record"]
    provisioned.in_place(command)
    again_found = provisioned.board(lock_timeout=0).inspect(may_change=True)
    assert (holds(again_found, FIRST), again_found.client_runs, again_found.recovered) == (True, True, False)


def test_what_cannot_even_be_undone_is_killed_and_gives_the_lock_back(
    provisioned: BoardBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{Board.__module__}.LAST_RESPITE", 2)
    found = provisioned.board().inspect(may_change=True)
    provisioned.replaced("sync", HANGS)
    with pytest.raises(BoardError) as raised:
        provisioned.board(board_timeout=2).inject(
            SECOND, found_digest=found.kcm_digest, bootstrap="as-is", registration_timeout=0
        )
    assert raised.value.facts["reason"] == "too-slow"
    provisioned.in_place("sync")
    board = provisioned.board(lock_timeout=0).inspect(may_change=True)
    assert (holds(board, FIRST), board.client_runs) == (True, True)
    assert inject(provisioned.board(), SECOND).registered


def test_what_waits_for_a_registration_has_that_time_as_well(provisioned: BoardBox) -> None:
    found = provisioned.board().inspect(may_change=True)
    provisioned.client("sleep 4; say 'Client registered'; say 'Device Id: 0161dbbcdd660a580a010c3403c00001'")
    done = provisioned.board(board_timeout=3).inject(
        SECOND, found_digest=found.kcm_digest, bootstrap="as-is", registration_timeout=30
    )
    assert done.registered


def test_nothing_of_it_is_left_when_it_was_quick(provisioned: BoardBox) -> None:
    provisioned.board().inspect(may_change=True)
    assert "sleep 60" not in provisioned.run("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done")
