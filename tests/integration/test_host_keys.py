# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host keys of the lab's boards, by the inventory plugin's arguments for ssh."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fleet import Fleet


def ping(fleet: Fleet, home: Path, options: str) -> str:
    """Run `true` on the first board with an inventory of its own; what was printed."""
    source = home / "mbl_mdns.yml"
    source.write_text(f"plugin: pelion.mbl.mbl_mdns\n{options}\n")
    arguments = ["-i", source, fleet.boards[0], "-m", "ansible.builtin.raw", "-a", "echo $((40 + 2))"]
    # Each time with a connection of its own.
    environment = {"HOME": str(home), "ANSIBLE_SSH_ARGS": "-o ControlMaster=no"}
    ended = fleet.run("ansible", *arguments, environment=environment)
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("path", ["known_hosts", "not there/100% %h/known hosts"])
def test_a_host_key_is_noted_under_the_boards_name(fleet: Fleet, home: Path, path: str) -> None:
    place = home / path
    printed = ping(fleet, home, f"known_hosts: {place}")
    assert "42" in printed, printed
    assert place.read_text().startswith(f"{fleet.boards[0]} ")


def test_a_pinned_host_key_is_compared_before_anything_is_sent(fleet: Fleet, home: Path) -> None:
    board, place = fleet.boards[0], home / "known_hosts"
    printed = ping(fleet, home, f"known_hosts: {place}")
    assert "42" in printed, printed
    shown = subprocess.run(["ssh-keygen", "-lf", place], capture_output=True, text=True, check=True).stdout
    right, wrong = next(word for word in shown.split() if word.startswith("SHA256:")), "SHA256:" + "A" * 43
    for pins, is_let_in in ((right, True), (f"{wrong} {right}", True), (wrong, False)):
        # That the key was noted before does not count.
        printed = ping(fleet, home, f"known_hosts: {place}\nroster: [{board} {pins}]")
        assert ("42" in printed) is is_let_in, printed
        assert ("verification failed" in printed) is not is_let_in, printed
