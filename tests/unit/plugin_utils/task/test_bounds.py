# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's own ssh plugin, with a program in the place of ssh that is to it what an odd board would be."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError
from ansible_collections.pelion.mbl.plugins.plugin_utils.task.bounds import bounded

PROGRAM = b"what the board is to run\n" * 4000
BOARDS = {
    "it never answers": ("cat >/dev/null; exec sleep 1000", "hangs", "no answer within 1 seconds"),
    "it does not even read": ("exec sleep 1000", "hangs", "no answer within 1 seconds"),
    "it answers, and does not end": ("cat >/dev/null; echo mbl:done=yes; exec sleep 1000", "hangs", "within 1 seconds"),
    "its answer is endless": ("cat >/dev/null; exec cat /dev/zero", "endless", "longer than 64 kB"),
    "its complaints are endless": ("cat >/dev/null; exec cat /dev/zero >&2", "endless", "longer than 64 kB"),
    "it sends, and does not read": ("exec cat /dev/zero", "hangs", "no answer within 1 seconds"),
    # As ssh's master does, which lives on for the next connection.
    "what it started goes on": ("cat >/dev/null; cat /dev/zero & exec sleep 1000", "endless", "longer than 64 kB"),
}


def connection_to(board: str, place: Path, **options: Any) -> Any:
    program = place / "ssh"
    program.write_text(f"#!/bin/sh\n{board}\n")
    program.chmod(0o755)
    connection = connection_loader.get("ssh", PlayContext(), "/dev/null")
    direct = {"host": "board", "ssh_executable": str(program), "reconnection_retries": 0, **options}
    connection.set_options(direct=direct)
    return connection


def exchange(connection: Any, seconds: float = 1, most: int = 1 << 16) -> tuple[int, bytes, bytes]:
    with bounded(connection, seconds, most):
        answer: tuple[int, bytes, bytes] = connection.exec_command("/bin/sh", in_data=PROGRAM)
    return answer


@pytest.mark.parametrize("board", BOARDS)
def test_an_odd_board_is_given_up(board: str, tmp_path: Path) -> None:
    script, reason, text = BOARDS[board]
    connection = connection_to(script, tmp_path)
    with pytest.raises(BoardError, match=text) as raised:
        exchange(connection)
    assert (raised.value.facts["reason"], raised.value.facts["changed"]) == (reason, False)


def test_all_tries_together_have_the_time(tmp_path: Path) -> None:
    connection = connection_to("cat >/dev/null; sleep 0.7; exit 255", tmp_path, reconnection_retries=1000)
    with pytest.raises(BoardError) as raised:
        exchange(connection)
    assert raised.value.facts["reason"] == "hangs"


def test_a_good_board_is_let_be(tmp_path: Path) -> None:
    connection = connection_to("cat; echo complaint >&2; exit 3", tmp_path)
    for _exchange in range(2):
        assert exchange(connection, 60, 1 << 20) == (3, PROGRAM, b"complaint\n")
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_a_board_that_cannot_be_reached_is_unreachable(tmp_path: Path) -> None:
    connection = connection_to("cat >/dev/null; echo no route >&2; exit 255", tmp_path)
    with pytest.raises(AnsibleConnectionFailure, match="no route"):
        exchange(connection, 60)


def test_each_thread_has_its_own_bounds(tmp_path: Path) -> None:
    """As for a fleet that is asked by one process."""
    scripts = ["cat >/dev/null; exec sleep 1000", "cat >/dev/null; echo yes", "cat >/dev/null; exec cat /dev/zero"] * 4
    connections = []
    for number, script in enumerate(scripts):
        (tmp_path / str(number)).mkdir()
        connections.append(connection_to(script, tmp_path / str(number)))

    def outcome(connection: Any) -> Any:
        try:
            return exchange(connection, 3)[1]
        except BoardError as error:
            return error.facts["reason"]

    with ThreadPoolExecutor(len(scripts)) as pool:
        assert list(pool.map(outcome, connections)) == ["hangs", b"yes\n", "endless"] * 4


def test_other_plugins_are_used_as_they_are() -> None:
    with bounded(object(), 0):
        time.sleep(0)
