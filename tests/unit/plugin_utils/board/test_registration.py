# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proves that a board is registered: what its client wrote since its start, wherever that lies by now."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from board_box import DEVICE_ID, LOCKING, LOG, REGISTERS, BoardBox, item_set
from board_samples import FIRST, SECOND, holds, inject

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError

OTHER_ID = DEVICE_ID[:-1] + "2"
TAKES_LOCK = f"""{LOCKING}
cd /run/pelion-mbl
until [ "$(readlink lock.* | tail -n 1)" = free ]; do usleep 10000; done
ln -s "$(identity 1)" lock.99
"""


@pytest.fixture
def registered(box: BoardBox) -> BoardBox:
    assert inject(box.board(), FIRST, "not-yet").registered
    return box


def test_what_was_said_before_the_restart_does_not_count(registered: BoardBox) -> None:
    registered.client("")
    done = inject(registered.board(), SECOND, timeout=1)
    assert (done.registered, done.device_id) == (None, None)
    board = registered.board().inspect(may_change=True)
    assert (board.registered, board.device_id) == (None, None), "remembered with another KCM"


def test_a_device_that_cannot_be_noted_leaves_nothing(registered: BoardBox) -> None:
    registered.run("rm /config/user/pelion-mbl.device")
    script = '#!/bin/sh\ncase "$*" in *pelion-mbl.device*) exit 1 ;; esac\nexec /bin/busybox mv "$@"\n'
    registered.replaced("mv", script)
    assert registered.board().inspect(may_change=True).device_id == DEVICE_ID
    assert registered.files() == ["pal", "pelion-mbl.record"]


def test_nothing_is_waited_for_without_a_timeout(box: BoardBox) -> None:
    box.client(f"sleep 1\n{REGISTERS}")
    assert inject(box.board(), FIRST, "not-yet", timeout=0).registered is None


def test_a_full_log_proves_nothing(box: BoardBox) -> None:
    said = ["Client registered", f"Device Id: {OTHER_ID}"]
    text = "".join(f"2026-11-24T00:00:00+0000 [INFO][mbl ]: {message}\n" for message in said).rjust(4096, "\n")
    box.run(f"mount -t tmpfs -o size=16k tmpfs /var/log; printf '%s' '{text}' >/{LOG}; cat /dev/zero >/var/log/filler")
    done = inject(box.board(), FIRST, "not-yet", timeout=1)
    assert (done.registered, done.device_id) == (None, None)
    board = box.board().inspect(may_change=True)
    assert (board.registered, board.device_id) == (None, None)
    assert any("/var/log is full" in warning for warning in board.warnings)


ROTATIONS = {
    "by renaming": "mv $log $log.1",
    "by renaming twice": "mv $log $log.2; echo more >$log.1",
    "by copying and truncating": "cp $log $log.1; : >$log",
    "by copying and truncating twice": "cp $log $log.2; echo more >$log.1; : >$log",
}


@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize("moment", ["after the start", "after the registration"])
def test_the_proof_survives_rotation(registered: BoardBox, rotation: str, moment: str) -> None:
    rotate = f"log=/{LOG}; {ROTATIONS[rotation]}"
    if moment == "after the start":
        registered.client(f"say 'Starting'\n{rotate}\n{REGISTERS.replace(DEVICE_ID, OTHER_ID)}")
    else:
        registered.client(f"{REGISTERS.replace(DEVICE_ID, OTHER_ID)}\n{rotate}\nsay 'Still here'")
    done = inject(registered.board(), SECOND)
    assert (done.registered, done.device_id) == (True, OTHER_ID)
    board = registered.board().inspect(may_change=True)
    assert (board.registered, board.device_id) == (True, OTHER_ID)


def test_a_rotation_just_after_the_proof_was_read_takes_nothing_away(registered: BoardBox) -> None:
    registered.client(REGISTERS.replace(DEVICE_ID, OTHER_ID))
    registered.power_off()
    registered.once_read(f"Device Id: {OTHER_ID}", "rm -f /var/log/*")
    registered.boot()
    done = inject(registered.board(), SECOND)
    assert (done.registered, done.device_id) == (True, OTHER_ID)
    assert registered.board().inspect(may_change=True).device_id == OTHER_ID


def test_a_healthy_board_whose_log_is_gone_is_left_alone(registered: BoardBox) -> None:
    registered.run("rm /var/log/*")
    before = registered.run("cd /config/user && find . -type f | xargs stat -c '%n %i %Y'")
    board = registered.board().inspect(may_change=True)
    assert (board.registered, board.device_id) == (None, DEVICE_ID)
    assert registered.run("cd /config/user && find . -type f | xargs stat -c '%n %i %Y'") == before


def test_the_proof_survives_a_reboot(registered: BoardBox) -> None:
    registered.reboot()
    board = registered.board().inspect(may_change=True)
    assert (board.registered, board.device_id) == (True, DEVICE_ID)


@pytest.mark.parametrize("year", ["2001", "2099"], ids=["past", "future"])
def test_after_a_reboot_a_silent_client_proves_nothing(registered: BoardBox, year: str) -> None:
    """Whether its former self wrote in the past, or by a clock that was ahead."""
    registered.client("")
    log = registered.root / LOG
    log.write_text(re.sub(r"(?m)^\d{4}", year, log.read_text()))
    registered.reboot()
    board = registered.board().inspect(may_change=True)
    assert (board.registered, board.device_id) == (None, DEVICE_ID)


def test_a_client_that_died_without_a_word_is_seen(registered: BoardBox) -> None:
    registered.run("killall -PIPE mbl-cloud-client")
    board = registered.board().inspect(may_change=True)
    assert (board.registered, board.client_runs) == (False, False)
    registered.client(f"say 'Client registered'\nsay 'Device Id: {DEVICE_ID}'\nkill -PIPE $(cat /run/me)")
    registered.client("exit")
    done = inject(registered.board(), SECOND, timeout=60)
    assert (done.registered, done.client_runs) == (False, False)
    assert "without a message" in done.error


def test_an_error_that_was_overcome_is_none(registered: BoardBox) -> None:
    registered.client(
        f"{REGISTERS}say 'Error occurred : ConnectNetworkError'\nsay 'Error code : 261'\nsay 'Error details : x'\n"
        "touch /tmp/down; while [ ! -e /tmp/up ]; do usleep 50000; done; say 'M2MInterfaceImpl::registration_updated'"
    )
    inject(registered.board(), SECOND)
    _wait_for((registered.root / "tmp/down").exists)
    board = registered.board().inspect(may_change=True)
    assert (board.registered, board.log.error_code) == (False, 261)
    registered.run("touch /tmp/up")
    _wait_for(lambda: registered.board().inspect(may_change=True).registered)


def _wait_for(condition: Callable[[], object]) -> None:
    for _attempt in range(200):
        if condition():
            return
    raise AssertionError("it did not happen")


def test_many_updates_do_not_hide_the_device(registered: BoardBox) -> None:
    registered.client(f"{REGISTERS}for i in $(seq 100); do say 'M2MInterfaceImpl::registration_updated'; done")
    inject(registered.board(), SECOND)
    assert registered.board().inspect(may_change=True).device_id == DEVICE_ID


def test_a_strange_device_id_is_an_error_of_this_board(registered: BoardBox) -> None:
    registered.client(REGISTERS.replace(DEVICE_ID, "not-an-id"))
    done = inject(registered.board(), SECOND)
    assert (done.registered, done.device_id) == (False, None)
    assert "'not-an-id'" in done.error
    board = registered.board().inspect(may_change=True)
    assert (board.registered, board.device_id) == (False, None)
    assert DEVICE_ID in (registered.root / "config/user/pelion-mbl.device").read_text()


@pytest.mark.parametrize("another_run", ["", TAKES_LOCK])
def test_another_tool_that_provisions_meanwhile_is_told(registered: BoardBox, another_run: str) -> None:
    """Also where another run waits for it to end, and has the lock."""
    registered.client(f"{another_run}echo other >>/config/user/pal/BACKUP/YBGSQ1nq\n{REGISTERS}")
    with pytest.raises(BoardError, match="Another tool or run provisioned this board while") as raised:
        inject(registered.board(), SECOND)
    facts = {"undone": False, "recovered": False, "changed": True}
    assert raised.value.facts == {"reason": "overwritten", "reason_facts": {"detail": ""}, **facts}


def test_another_tool_that_provisioned_since_the_look_is_not_overwritten(registered: BoardBox) -> None:
    board = registered.board()
    found = board.inspect(may_change=True)
    inject(registered.board(), SECOND)
    with pytest.raises(BoardError, match="after it was asked") as raised:
        board.inject(item_set(3), found_digest=found.kcm_digest, bootstrap="as-is", registration_timeout=0)
    assert raised.value.facts["changed"] is False
    assert holds(board.inspect(may_change=True), SECOND)


def test_an_exchange_that_is_sent_twice_does_its_work_once(registered: BoardBox) -> None:
    board = registered.board()
    found = board.inspect(may_change=True)
    ways = [
        board.inject(SECOND, found_digest=found.kcm_digest, bootstrap="as-is", registration_timeout=20)
        for _time in range(2)
    ]
    assert [done.way for done in ways] == ["beside", "already"]
    assert [done.registered for done in ways] == [True, True]


def test_a_restart_alone_is_proven_likewise(registered: BoardBox) -> None:
    found = registered.board().inspect(may_change=True)
    done = registered.board().reconnect(found_digest=found.kcm_digest, registration_timeout=20)
    assert (done.registered, done.device_id, done.way) == (True, DEVICE_ID, None)


def test_what_was_put_there_since_is_not_taken_for_what_was_to_register(registered: BoardBox) -> None:
    found = registered.board().inspect(may_change=True)
    registered.board().inject(SECOND, found_digest=found.kcm_digest, bootstrap="as-is", registration_timeout=20)
    with pytest.raises(BoardError) as refused:
        registered.board().reconnect(found_digest=found.kcm_digest, registration_timeout=20)
    assert refused.value.facts["reason"] == "changed-since"
