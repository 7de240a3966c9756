# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that tests call in the place of Ansible's: what differs is the time that they take."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from processes import parent, start_of
from warm import COMMANDS, commands

REAL = Path(sys.executable).parent
SHOW = "ansible.builtin.debug", "msg={{ lookup('pipe', 'pwd; umask; echo $OWN $HOME; ls -l /proc/self/ns/net') }}"


def both(name: str, *arguments: str, **options: Any) -> list[tuple[int, str, str]]:
    ended = [
        subprocess.run([place / name, *arguments], capture_output=True, text=True, check=False, **options)
        for place in (REAL, commands())
    ]
    return [(each.returncode, each.stdout, each.stderr) for each in ended]


@pytest.mark.parametrize("name", COMMANDS)
def test_they_are_what_they_stand_for(name: str) -> None:
    ours, own = both(name, "--version")
    assert ours == own and ours[0] == 0
    ours, own = both(name, "--no-such-option")
    assert ours == own and ours[0] == 2


def test_they_have_their_callers_place(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "OWN": "of this call"}
    ours, own = both("ansible", "localhost", "-m", SHOW[0], "-a", SHOW[1], cwd=tmp_path, env=environment, umask=0o27)
    assert ours == own and ours[0] == 0
    assert all(text in ours[1] for text in (str(tmp_path), "0027", "of this call"))


# Where nothing is open, the connection to the server would take that number, and outlive the command.
@pytest.mark.parametrize("input_", ["</dev/null", "<&-"])
def test_what_nobody_waits_for_ends(tmp_path: Path, input_: str) -> None:
    script = f"echo $$ >{tmp_path}/process; exec sleep 600"
    command = [commands() / "ansible", "localhost", "-c", "local", "-m", "raw", "-a", script]
    running = subprocess.Popen(["sh", "-c", f'exec "$0" "$@" {input_}', *command])
    process = tmp_path / "process"
    patience = iter(range(600))
    while not (process.exists() and process.read_text()) and next(patience, -1) >= 0:
        time.sleep(0.1)
    asleep = int(process.read_text())
    play = parent(parent(asleep))  # between them, the task's process, which Ansible makes a session of its own
    began = start_of(play)
    assert began
    running.kill()
    running.wait()
    while start_of(play) == began and next(patience, -1) >= 0:
        time.sleep(0.1)
    assert start_of(play) != began, Path(f"/proc/{play}/cmdline").read_text()
    os.kill(asleep, signal.SIGKILL)
