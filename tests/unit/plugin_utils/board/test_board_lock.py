# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time on a board."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from board_box import LOCKING, BoardBox
from board_samples import FIRST, holds, inject

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError

HOLDERS = {
    "a process that was killed": "sleep 100 & holder=$(identity $!); kill -9 $!; wait",
    "a process whose number went to another one": "holder=$(identity 1); holder=${holder%:*}:77",
    "a process of an earlier boot": "holder=00000000-0000-0000-0000-000000000000:1:$(start 1)",
    "nobody any more": "holder=free",
    "rubbish": "holder='of:no one:'",
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_dead_holder_is_not_waited_for(box: BoardBox, holder: str) -> None:
    box.run(f'{LOCKING}{HOLDERS[holder]}\nln -s "$holder" /run/pelion-mbl/lock.41\n')
    box.board(lock_timeout=0).inspect(may_change=True)
    assert box.run("cd /run/pelion-mbl && echo lock.*; readlink lock.*").split() == ["lock.43", "free"]


def test_a_living_holder_is_named(box: BoardBox) -> None:
    box.run(f"{LOCKING}ln -s $(identity 1) /run/pelion-mbl/lock.7")
    for work in (
        lambda: box.board(lock_timeout=1).inspect(may_change=False),
        lambda: inject(box.board(lock_timeout=0), FIRST, "not-yet"),
    ):
        with pytest.raises(BoardError, match=r"at work on this board \(process 1\)") as raised:
            work()
        assert raised.value.facts["reason"] == "locked"


def test_takers_exclude_each_other(box: BoardBox) -> None:
    """Each asks for the utility's help, which notes its begin and its end: never two begins in a row."""
    box.utility("exit 1", "echo begin >>/tmp/trace; usleep 30000; echo end >>/tmp/trace; exit 0")
    asked = 0

    def ask(_number: int) -> bool:
        try:
            return box.board(lock_timeout=0).inspect(may_change=True).has_utility
        except BoardError as error:
            assert error.facts["reason"] == "locked"
            return False

    with ThreadPoolExecutor(8) as pool:
        asked = sum(pool.map(ask, range(40)))
    trace = (box.root / "tmp/trace").read_text().split()
    assert trace == ["begin", "end"] * asked
    assert asked


def test_the_lock_is_given_back_while_the_client_is_on_its_way(box: BoardBox) -> None:
    with ThreadPoolExecutor() as pool:
        box.client("touch /tmp/started; while [ ! -e /tmp/go ]; do usleep 50000; done; say 'Client registered'")
        injection = pool.submit(inject, box.board(), FIRST, "not-yet", timeout=60)
        while not (box.root / "tmp/started").exists():
            assert not injection.done() or injection.result()
        assert holds(box.board(lock_timeout=10).inspect(may_change=True), FIRST)
        box.run("touch /tmp/go; killall -9 mbl-cloud-client")
        assert injection.result().registered is False, "the client was killed, and no longer waited for"


def test_another_tools_utility_is_waited_for_and_left_alone(box: BoardBox) -> None:
    inject(box.board(), FIRST, "not-yet")
    box.utility("while :; do usleep 50000; done")
    with ThreadPoolExecutor() as pool:
        foreign = pool.submit(box.run, "/opt/arm/pelion-provisioning-util --provision >/tmp/out; echo $?")
        while "pelion-provisio" not in box.processes():
            assert not foreign.done()
        with pytest.raises(BoardError, match="Another tool is provisioning this board") as raised:
            inject(box.board(lock_timeout=1), FIRST)
        assert raised.value.facts["reason"] == "foreign-utility"
        assert not foreign.done()
        box.run("for p in /proc/[0-9]*; do read c <$p/comm; [ $c != pelion-provisio ] || kill ${p#/proc/}; done")
        assert foreign.result() == "143\n"
    box.mend_utility()
    assert holds(box.board().inspect(may_change=True), FIRST)


def test_what_a_killed_run_left_running_is_ended(box: BoardBox) -> None:
    inject(box.board(), FIRST, "not-yet")
    before = box.content()
    box.utility("$genuine --provision; kill -9 $PPID; while :; do usleep 50000; done")
    with pytest.raises(BoardError) as raised:
        inject(box.board(), FIRST)
    assert raised.value.facts["reason"] == "cut-off"
    assert "pelion-provisio" in box.processes()
    box.mend_utility()
    board = box.board(lock_timeout=0).inspect(may_change=True)
    assert board.recovered
    assert holds(board, FIRST)
    assert board.client_runs
    assert box.content() == before
    assert "pelion-provisio" not in box.processes()
