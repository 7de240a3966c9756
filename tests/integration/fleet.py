# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as integration tests use it: boards, the cloud, and Ansible at the controller's place."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cloud.remote import LabCloud
from pelion_lab import inside
from pelion_lab.record import Record
from pelion_lab.status import boards_of
from warm import commands

ROOT = Path(__file__).parents[2]
LAB = ROOT / "tests" / "simulator" / "lab"
ANSIBLE = os.environ.get("TEST_ANSIBLE")
"""Directory with the `ansible-*` commands to test with, instead of those of .venv (see tests/versions)."""
CONFIGURATION = Path(__file__).with_name("ansible.cfg")
OTHERS = {
    option: os.environ[name]
    for option, name in (("--util", "PELION_PROVISIONING_UTIL"), ("--client", "MBL_CLOUD_CLIENT"))
    if name in os.environ
}
"""Programs to put into the boards instead of the lab's stand-ins, such as Arm's own built for this machine."""
TIMEOUT = 180
"""Seconds after which a command is taken for hung."""


NEW_SSH_SERVER = (
    "sockets() { grep -h ':0016 .* 0A ' /proc/net/tcp /proc/net/tcp6; };"
    "former=$(sockets); killall -9 dropbear sshd 2>/dev/null;"
    # Both of IPv4's and IPv6's: one of them may be there before the other.
    'until now=$(sockets) && [ "$now" != "$former" ] && [ $(echo "$now" | wc -l) = $(echo "$former" | wc -l) ];'
    " do usleep 50000; done"
)
"""For the shell of a board: end its ssh server with all connections, and wait for the one that the lab then starts."""


@dataclass(frozen=True)
class Recap:
    """The counts of one host in Ansible's PLAY RECAP."""

    ok: int = 0
    changed: int = 0
    unreachable: int = 0
    failed: int = 0
    skipped: int = 0
    rescued: int = 0
    ignored: int = 0


class Play(subprocess.CompletedProcess):
    """An ended `ansible-playbook`."""

    @cached_property
    def recap(self) -> dict[str, Recap]:
        """By host name; localhost, which carries what comes before the boards, is left out."""
        table = self.stdout.partition("PLAY RECAP")[2]
        lines = re.findall(r"^(\S+)\s+: (ok=.*)$", table, re.MULTILINE)
        return {
            host: Recap(**{name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", counts)})
            for host, counts in lines
            if host != "localhost"
        }

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


Provision = Callable[..., Play]
"""Runs the main job: options of `ansible-playbook`, and by name what a fixture of that name says."""


class Fleet:
    """A lab that is up, with its state in ``state``."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.cloud = LabCloud(state / "cloud" / "control.sock")

    @classmethod
    def up(cls, state: Path, *options: str) -> Fleet:
        others = [part for option, file in OTHERS.items() if option not in options for part in (option, file)]
        subprocess.run([LAB, "up", "--state", state, *others, *options], check=True, timeout=TIMEOUT)
        return cls(state)

    def down(self) -> None:
        subprocess.run([LAB, "down", "--state", self.state], check=True, timeout=TIMEOUT)

    def status(self) -> dict[str, Any]:
        command = [LAB, "status", "--state", self.state, "--json"]
        return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT).stdout)

    # What follows is what `lab status`, `run` and `device` do, without a Python of its own each time: tests call them
    # thousands of times.

    @property
    def _record(self) -> Record:
        record = Record.read(self.state)
        assert record, f"no lab is up in {self.state}"
        return record

    @property
    def boards(self) -> list[str]:
        """Names, in the order in which the lab made them."""
        return [entry.board.name for entry in self._record.boards]

    def counts(self) -> dict[str, tuple[int, int]]:
        """ssh connections and exchanges so far, as the boards counted them."""
        boards = boards_of(self._record, self.state)
        return {board["name"]: (board["connections"], board["exchanges"]) for board in boards}

    def run(self, *command: str | Path, environment: Mapping[str, str] | None = None) -> Play:
        """A command at the controller's place; ``environment`` is added to this process's."""
        if ANSIBLE and str(command[0]).startswith("ansible"):
            command = (Path(ANSIBLE, command[0]).absolute(), *command[1:])
        # A worker of pytest-xdist says how wide its own lines are.
        callers = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | dict(environment or {})
        callers.setdefault("ANSIBLE_CONFIG", str(CONFIGURATION))
        there, its_environment = inside.at_controller(
            self._record, self.state, [str(word) for word in command], callers
        )
        if not ANSIBLE and os.geteuid() == 0:
            its_environment["PATH"] = f"{commands()}:{its_environment['PATH']}"
        ended = subprocess.run(
            there,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            cwd=ROOT,
            env=its_environment,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Play(ended.args, ended.returncode, ended.stdout, ended.stderr)

    def on(self, board: str, script: str, *, check: bool = True) -> str:
        """What a shell script on ``board`` printed."""
        if os.geteuid() == 0:
            there, environment = inside.on_board(self._record, board, ["sh", "-c", script], os.environ)
        else:
            there, environment = [LAB, "device", "--state", self.state, board, "sh", "-c", script], {**os.environ}
        ended = subprocess.run(
            there,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert not check or ended.returncode == 0, f"on {board}: {script}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def make_fresh(self, board: str) -> None:
        """As if it had just been flashed."""
        self.rename(board, board)
        self.on(
            board,
            "systemctl stop mbl-cloud-client;"
            # A connection that is kept would go on with the former login shell.
            "grep -q lab-login-shell /etc/passwd || { sed -i"
            f" 's:/home/root\\:.*:/home/root\\:/usr/lib/lab-login-shell:' /etc/passwd; {NEW_SSH_SERVER}; }};"
            "umount /config/user/pal /config/user /scratch/provisioning-certs 2>/dev/null;"
            "rm -rf /config/user/pal* /config/user/pelion-mbl* /scratch/* /run/pelion-mbl*;"
            "rm -f /etc/lab/update-fault /etc/lab/active-version; echo 4.1.0 >/etc/lab/client-release;"
            "rm -rf /var/log/mbl-cloud-client.log*; : >/var/log/mbl-cloud-client.log;"
            "[ ! -e /opt/arm/genuine ] || mv /opt/arm/genuine /opt/arm/pelion-provisioning-util",
        )

    # What is wrong with a board, until make_fresh. (A copied one keeps its host key only until the lab ends.)

    def write_program(self, board: str, path: str, script: str) -> None:
        """An executable shell script. Boards have no chmod, so a copy of a program becomes it."""
        octal = "".join(f"\\{byte:03o}" for byte in f"#!/bin/sh\n{script}\n".encode())
        self.on(board, f"cp -p /opt/arm/pelion-provisioning-util {path} && printf '{octal}' >{path}")

    def answer_without_end(self, board: str) -> None:
        """Whatever is asked over ssh, lines come for ever."""
        self.write_program(board, "/opt/arm/endless", "exec yes 'a line of an answer that never ends'")
        self.on(
            board,
            "grep -q endless /etc/shells || echo /opt/arm/endless >>/etc/shells;"
            "sed -i 's:/home/root\\:.*:/home/root\\:/opt/arm/endless:' /etc/passwd",
        )

    def copy_storage(self, source: str, copy: str, *, host_key: bool = False) -> None:
        """Give one board's KCM and record to another, as a copied disk does; with ``host_key``, that as well."""
        what = "pal $(ls -d pelion-mbl.* 2>/dev/null)" + (" dropbear" if host_key else "")
        self.on(source, "systemctl stop mbl-cloud-client")
        self.on(copy, "systemctl stop mbl-cloud-client; rm -rf /config/user/pal /config/user/pelion-mbl*")
        on_board = [LAB, "device", "--state", self.state]
        packed = [*on_board, source, "sh", "-c", f"cd /config/user && tar -c -f - {what}"]
        archive = subprocess.run(packed, check=True, capture_output=True, timeout=TIMEOUT).stdout
        subprocess.run(
            [*on_board, copy, "tar", "-x", "-f", "-", "-C", "/config/user"], input=archive, check=True, timeout=TIMEOUT
        )
        for board in (source, copy):
            self.on(board, "systemctl start mbl-cloud-client")
        if host_key:
            self.on(copy, NEW_SSH_SERVER)

    def rename(self, board: str, name: str) -> None:
        """Let a board announce itself as NAME from now on; the lab goes on calling it as before."""
        self.on(
            board,
            f"[ $(hostname) = {name} ] || {{ echo {name} >/config/user/hostname; echo {name} >/etc/hostname;"
            f" hostname {name}; announced() {{ grep -c 'successfully established' /run/lab/avahi.log; }};"
            " former=$(announced); killall avahi-daemon; until [ $(announced) -gt $former ]; do usleep 50000; done; }",
        )

    def content(self, board: str) -> str:
        """Digests of what a board holds: the KCM's factory copy and the record, not the client's own items."""
        return self.on(
            board,
            "cd /config/user && for file in pal/BACKUP/* pelion-mbl.record; do [ ! -f $file ] || sha256sum $file; done",
            check=False,
        )
