# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys on a board, between their arrival and the KCM; and what is asked before they are sent."""

from __future__ import annotations

import pytest
from board_box import BoardBox
from board_samples import FIRST, SECOND, holds, inject

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError


def test_they_lie_in_memory_and_no_core_is_written(box: BoardBox) -> None:
    box.utility("cd /scratch/provisioning-certs; { ulimit -c; stat -c %a .; df -kP . | tail -n 1; } >/tmp/seen; exit 1")
    with pytest.raises(BoardError):
        inject(box.board(), FIRST, "not-yet")
    core, mode, mounted = (box.root / "tmp/seen").read_text().splitlines()
    assert (core, mode) == ("0", "700")
    assert mounted.split()[-1] == "/scratch/provisioning-certs"


def test_a_process_that_sits_in_them_keeps_the_mount_but_not_the_keys(box: BoardBox) -> None:
    box.utility(
        "cd /scratch/provisioning-certs; sleep 1000 3<arm_uc_default_certificate.bin >/dev/null 2>&1 & cd /; "
        "exec $genuine --provision"
    )
    done = inject(box.board(), FIRST, "not-yet")
    assert done.registered
    assert [warning for warning in done.warnings if "was using /scratch/provisioning-certs" in warning]
    sleeper = "$(for p in /proc/[0-9]*; do read c <$p/comm; [ $c != sleep ] || [ ! -e $p/fd/3 ] || echo $p; done)"
    assert box.run(f"cat {sleeper}/cwd/*.bin {sleeper}/fd/3; readlink {sleeper}/cwd").strip().startswith("/")
    assert "scratch" not in box.run("cat /proc/mounts; ls /scratch")
    box.mend_utility()
    assert holds(box.board().inspect(may_change=True), FIRST)


@pytest.mark.parametrize("kind", ["bind", "ramfs"])
@pytest.mark.parametrize("theirs", ["", "cd /scratch; mkdir provisioning-certs; echo theirs >provisioning-certs/x"])
def test_where_nothing_can_be_mounted_nothing_is_changed(box: BoardBox, kind: str, theirs: str) -> None:
    """Neither are keys put on a disk, nor is the set changed that the board would start with after a cut."""
    inject(box.board(), FIRST, "not-yet")
    before = box.content()
    box.cannot_mount(kind)
    box.reboot()
    box.run(theirs)
    with pytest.raises(BoardError, match="could not mount") as raised:
        inject(box.board(), SECOND)
    assert (raised.value.facts["reason"], raised.value.facts["undone"]) == ("mount", True)
    assert "denied" in str(raised.value)
    assert box.content() == before
    assert box.files() == ["pal", "pelion-mbl.device", "pelion-mbl.record"]
    assert box.run("cd /scratch; find . -type f") == ("./provisioning-certs/x\n" if theirs else "")


@pytest.mark.parametrize("deed", ["echo theirs >arm_uc_class_id.bin", "rm -rf /scratch/provisioning-certs/*"])
def test_another_tool_in_the_same_directory_is_noticed(box: BoardBox, deed: str) -> None:
    """As mbl-cli's own sequence would be, which puts its files there and removes them."""
    inject(box.board(), FIRST, "not-yet")
    before = box.content()
    box.utility(f"(cd /scratch/provisioning-certs && {deed}); exec $genuine --provision")
    with pytest.raises(BoardError, match="Another tool used /scratch/provisioning-certs") as raised:
        inject(box.board(), SECOND)
    assert raised.value.facts["undone"] is True
    assert box.content() == before


OBSTACLES = {
    "a small storage": ("mount -t tmpfs -o size=200k tmpfs /config/user", "no-space", "/config/user has 200 kB free"),
    "a storage that is read-only": ("mount -t tmpfs -o ro tmpfs /config/user", "read-only", "/config/user cannot be"),
    "a full scratch": ("mount -t tmpfs -o size=8k tmpfs /scratch", "no-space", "/scratch has 8 kB free"),
    "no utility": ("rm /opt/arm/pelion-provisioning-util", "no-utility", "update the board's image"),
    "a utility of another machine": (
        "printf '\\177ELF\\002\\001\\001' >/opt/arm/pelion-provisioning-util",
        "utility-broken",
        "cannot be run",
    ),
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_what_stands_in_the_way_is_told_before_a_key_is_sent(box: BoardBox, obstacle: str) -> None:
    script, reason, text = OBSTACLES[obstacle]
    box.run(script)
    board = box.board().inspect(may_change=True)
    assert [found[0] for found in board.obstacles] == [reason]
    assert text in str(BoardError.of(*board.obstacles[0]))


def test_nothing_stands_in_the_way_of_a_good_board(box: BoardBox) -> None:
    board = box.board().inspect(may_change=True)
    assert (board.obstacles, board.warnings) == ([], [])
    assert set(board.space) == {"/config/user", "/scratch", "/var/log"}


def test_a_storage_that_fills_up_meanwhile_leaves_the_old_set(box: BoardBox) -> None:
    box.run("mount -t tmpfs -o size=700k tmpfs /config/user")
    inject(box.board(), FIRST, "not-yet")
    found = box.board().inspect(may_change=True)
    box.run("cat /dev/zero >/config/user/filler")
    with pytest.raises(BoardError, match="full") as raised:
        box.board().inject(SECOND, found_digest=found.kcm_digest, bootstrap="as-is", registration_timeout=0)
    assert raised.value.facts["changed"] is False
    box.run("rm /config/user/filler")
    board = box.board().inspect(may_change=True)
    assert holds(board, FIRST)
    assert not board.recovered
