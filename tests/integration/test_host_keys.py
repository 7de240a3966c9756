# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host keys of the lab's boards, by the inventory plugin's arguments for ssh."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fleet import ROOT, Fleet

PLAYBOOKS = ROOT / "playbooks"
NO_CHECK = "-o ControlMaster=auto -o ControlPersist=60s -o StrictHostKeyChecking=no"


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


@pytest.mark.parametrize("off", [{"ANSIBLE_HOST_KEY_CHECKING": "False"}, {"ANSIBLE_SSH_ARGS": NO_CHECK}])
def test_a_connection_without_a_check_does_not_serve_where_there_is_one(
    fleet: Fleet, home: Path, off: dict[str, str]
) -> None:
    board, known = fleet.boards[0], home / "known_hosts"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", home / "other"], check=True)
    known.write_text(f"{board} {(home / 'other.pub').read_text()}")
    (home / "mbl_mdns.yml").write_text(f"plugin: pelion.mbl.mbl_mdns\nknown_hosts: {known}\n")
    asked = ["-i", home / "mbl_mdns.yml", board, "-m", "ansible.builtin.raw", "-a", "echo $((40 + 2))"]
    for environment, answers in ((off, True), ({}, False)):
        ended = fleet.run("ansible", *asked, environment={"HOME": str(home), **environment})
        assert ("42" in ended.stdout) == answers, ended.output


ANNOUNCEMENT = """<?xml version="1.0"?><!DOCTYPE service-group SYSTEM "avahi-service.dtd">
<service-group><name>{name}</name>
<service><type>_ssh._tcp</type><port>22</port><txt-record>mblos</txt-record></service></service-group>
"""


def to_avahi(fleet: Fleet, board: str, signal: str) -> None:
    """Send ``signal`` to a board's avahi-daemon."""
    named = 'for comm in /proc/[0-9]*/comm; do [ "$(cat $comm)" != avahi-daemon ] || echo $comm; done'
    fleet.on(board, f"{named} | cut -d / -f 3 | xargs kill -{signal}")


@contextmanager
def impostor(fleet: Fleet, victim: str, other: str) -> Iterator[None]:
    """``victim`` is gone, and ``other`` announces its name beside its own, both at its own address."""
    place = "/etc/avahi/services/another.service"
    to_avahi(fleet, victim, "STOP")
    fleet.on(other, f"cat >{place} <<'END'\n{ANNOUNCEMENT.format(name=victim)}END")
    to_avahi(fleet, other, "HUP")
    try:
        yield
    finally:
        fleet.on(other, f"rm {place}")
        to_avahi(fleet, other, "HUP")
        to_avahi(fleet, victim, "CONT")


@pytest.mark.parametrize("before", ["nothing", "status"])
def test_no_connection_is_shared_between_names(fleet: Fleet, home: Path, before: str) -> None:
    """Ansible tells shared connections apart by address, port and user. One that was opened, and whose host key was
    accepted, under the impostor's own name must not serve for the name that it took."""
    victim, other = fleet.boards[:2]
    known = home / "known_hosts"
    assert "42" in ping(fleet, home, f"known_hosts: {known}")
    shown = subprocess.run(["ssh-keygen", "-lf", known], capture_output=True, text=True, check=True).stdout
    key = next(word for word in shown.split() if word.startswith("SHA256:"))
    for pins in ("", f"roster: ['{victim} {key}', {other}]"):
        (home / "mbl_mdns.yml").write_text(f"plugin: pelion.mbl.mbl_mdns\nknown_hosts: {known}\n{pins}\n")
        inventory, environment = ["-i", home / "mbl_mdns.yml"], {"HOME": str(home)}
        with impostor(fleet, victim, other):
            if before == "status":
                fleet.run("ansible-playbook", *inventory, PLAYBOOKS / "status.yml", environment=environment)
            for _run in range(2):
                # With one fork, one of the two finds the other one's connection open.
                asked = ["-f", "1", f"{other},{victim}", "-m", "ansible.builtin.raw", "-a", "echo $((40 + 2))"]
                ended = fleet.run("ansible", *inventory, *asked, environment=environment)
                by_board = dict(re.findall(r"^(\S+) \| (\w+)", ended.stdout, re.MULTILINE))
                assert by_board == {victim: "UNREACHABLE", other: "CHANGED"}, ended.output
