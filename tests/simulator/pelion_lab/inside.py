# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running commands inside a lab that is up."""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from .board import WITHHELD
from .errors import LabError
from .lab import as_root, require
from .network import CLOUD_IPV6
from .places import BUILD, PROJECT, SIMULATOR, VIRTUAL_ENVIRONMENT
from .record import STORES, Record

BOARD_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/home/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/sh",
}


def run(options: argparse.Namespace) -> int:
    """`lab run`: as the calling user, with the files of the machine, in the controller's network."""
    record = require(options.state)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise LabError("what is to be run? For example: lab run -- ansible-inventory -i inventory/ --graph")
    return _replace(*at_controller(record, options.state, command, os.environ, options.site))


def at_controller(
    record: Record, state: Path, command: list[str], environment: Mapping[str, str], site: int | None = None
) -> tuple[list[str], dict[str, str]]:
    """What runs ``command`` as `lab run` does for a caller with that environment, and its own. Raises LabError."""
    environment = controller_environment(record, state, environment)
    if site is not None:
        for name in ("PELION_API_HOST", "MBED_CLOUD_SDK_HOST"):
            environment[name] = re.sub("localhost|127.0.0.1", f"[{CLOUD_IPV6}]", environment[name])
    enter = ["nsenter", f"--net={_network(record, site)}"]
    if os.geteuid() != 0:
        user, group = os.getuid(), os.getgid()
        groups = ",".join(str(each) for each in os.getgroups())
        keep = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "MAIL"]
        # sudo hands on the environment but for these, and adds some of its own.
        restore = [f"{name}={environment[name]}" for name in keep if name in environment]
        drop = ["-u", "SUDO_COMMAND", "-u", "SUDO_USER", "-u", "SUDO_UID", "-u", "SUDO_GID"]
        become = ["setpriv", f"--reuid={user}", f"--regid={group}", f"--groups={groups}", "--inh-caps=-all"]
        enter = ["sudo", "--preserve-env", *enter, *become, "env", *drop, *restore]
    return enter + command, environment


def _network(record: Record, site: int | None) -> str:
    """The network namespace of the controller, or of a site's own. Raises LabError."""
    if site is None:
        return f"/proc/{record.process}/ns/net"
    if not 1 <= site <= len(record.sites):
        raise LabError(f"there is no site {site}: a lab with --sites N has those from 1 to N, if there are several")
    # As the lab numbers its processes.
    return f"/proc/{record.process}/root/proc/{record.sites[site - 1]}/ns/net"


def controller_environment(record: Record, state: Path, callers: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment, with the lab's cloud and stores instead of any others."""
    environment = dict(callers)
    for name, value in record.environment.items():
        # What is Ansible's, the caller may know better; the cloud is always the lab's.
        environment[name] = environment.get(name, value) if name.startswith("ANSIBLE_") else value
    environment["PATH"] = os.pathsep.join([str(VIRTUAL_ENVIRONMENT / "bin"), callers.get("PATH", os.defpath)])
    environment["LAB_STATE"] = str(state)
    environment["LAB_ID"] = record.id
    environment.setdefault("ANSIBLE_COLLECTIONS_PATH", str(BUILD))
    if _is_own_home(callers.get("HOME")):
        # What the lab's cloud gave is of no use elsewhere, and the user's own keys are none of the lab's business.
        for variable, store in (("PELION_TEAM_STORE", "team"), ("PELION_USER_STORE", "user")):
            environment.setdefault(variable, str(state / STORES / store))
    # What is announced comes last, as users are told to name it.
    inventory = [SIMULATOR / "inventory", PROJECT / "inventory/mbl_mdns.yml"]
    environment.setdefault("ANSIBLE_INVENTORY", ",".join(str(path) for path in inventory))
    return environment


def _is_own_home(home: str | None) -> bool:
    """Whether that is where the calling user's own stores may be: who sets another HOME has stores of their own
    there."""
    with contextlib.suppress(KeyError):  # a user that this machine does not know
        return home in (None, pwd.getpwuid(os.getuid()).pw_dir)
    return True


def device(options: argparse.Namespace) -> int:
    """`lab device`: as root, inside a board."""
    as_root()
    return _replace(*on_board(require(options.state), options.name, options.command or ["sh", "-l"], os.environ))


def on_board(
    record: Record, name: str, command: list[str], environment: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """What runs ``command`` as `lab device` does when root calls it, and its environment. Raises LabError."""
    entry = record.board(name)
    if not entry.running:
        raise LabError(f"{name} is off")
    terminal = {"TERM": environment["TERM"]} if "TERM" in environment else {}
    # First to where the lab's processes are numbered, then into the board.
    nsenter = shutil.which("nsenter") or "/usr/bin/nsenter"
    to_lab = [nsenter, f"--target={record.process}", "--pid", "--mount"]
    limit = ["setpriv", f"--bounding-set={WITHHELD}"]
    to_board = [nsenter, f"--target={entry.process}", "--pid", "--mount", "--uts", "--ipc", "--net"]
    return [*to_lab, "--", *limit, *to_board, "--", *command], {**BOARD_ENVIRONMENT, **terminal}


def _replace(command: list[str], environment: dict[str, str]) -> int:
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        raise LabError(f"{command[0]} can't be run: {error.strerror}") from error
