# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running commands inside a lab that is up."""

from __future__ import annotations

import argparse
import os
import re
import shutil

from .board import WITHHELD
from .errors import LabError
from .lab import as_root, require
from .network import CLOUD_IPV6
from .places import BUILD, PROJECT, SIMULATOR, VIRTUAL_ENVIRONMENT
from .record import Record

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
    environment = controller_environment(record, options.state)
    if options.site is not None:
        for name in ("PELION_API_HOST", "MBED_CLOUD_SDK_HOST"):
            environment[name] = re.sub("localhost|127.0.0.1", f"[{CLOUD_IPV6}]", environment[name])
    enter = ["nsenter", f"--net={_network(record, options.site)}"]
    if os.geteuid() != 0:
        user, group = os.getuid(), os.getgid()
        groups = ",".join(str(each) for each in os.getgroups())
        keep = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "MAIL"]
        # sudo hands on the environment but for these, and adds some of its own.
        restore = [f"{name}={environment[name]}" for name in keep if name in environment]
        drop = ["-u", "SUDO_COMMAND", "-u", "SUDO_USER", "-u", "SUDO_UID", "-u", "SUDO_GID"]
        become = ["setpriv", f"--reuid={user}", f"--regid={group}", f"--groups={groups}", "--inh-caps=-all"]
        enter = ["sudo", "--preserve-env", *enter, *become, "env", *drop, *restore]
    return _replace(enter + command, environment)


def _network(record: Record, site: int | None) -> str:
    """The network namespace of the controller, or of a site's own. Raises LabError."""
    if site is None:
        return f"/proc/{record.process}/ns/net"
    if not 1 <= site <= len(record.sites):
        raise LabError(f"there is no site {site}: a lab with --sites N has those from 1 to N, if there are several")
    # As the lab numbers its processes.
    return f"/proc/{record.process}/root/proc/{record.sites[site - 1]}/ns/net"


def controller_environment(record: Record, state: os.PathLike[str]) -> dict[str, str]:
    """The caller's environment, with the lab's cloud instead of any other."""
    environment = dict(os.environ)
    for name, value in record.environment.items():
        # What is Ansible's, the caller may know better; the cloud is always the lab's.
        environment[name] = environment.get(name, value) if name.startswith("ANSIBLE_") else value
    environment["PATH"] = os.pathsep.join([str(VIRTUAL_ENVIRONMENT / "bin"), os.environ.get("PATH", os.defpath)])
    environment["LAB_STATE"] = str(state)
    environment["LAB_ID"] = record.id
    environment.setdefault("ANSIBLE_COLLECTIONS_PATH", str(BUILD))
    # What is announced comes last, as users are told to name it.
    inventory = [SIMULATOR / "inventory", PROJECT / "inventory/mbl_mdns.yml"]
    environment.setdefault("ANSIBLE_INVENTORY", ",".join(str(path) for path in inventory))
    return environment


def device(options: argparse.Namespace) -> int:
    """`lab device`: as root, inside a board."""
    as_root()
    record = require(options.state)
    entry = record.board(options.name)
    if not entry.running:
        raise LabError(f"{options.name} is off")
    environment = dict(BOARD_ENVIRONMENT)
    if "TERM" in os.environ:
        environment["TERM"] = os.environ["TERM"]
    # First to where the lab's processes are numbered, then into the board.
    nsenter = shutil.which("nsenter") or "/usr/bin/nsenter"
    to_lab = [nsenter, f"--target={record.process}", "--pid", "--mount"]
    limit = ["setpriv", f"--bounding-set={WITHHELD}"]
    to_board = [nsenter, f"--target={entry.process}", "--pid", "--mount", "--uts", "--ipc", "--net"]
    return _replace([*to_lab, "--", *limit, *to_board, "--", *(options.command or ["sh", "-l"])], environment)


def _replace(command: list[str], environment: dict[str, str]) -> int:
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        raise LabError(f"{command[0]} can't be run: {error.strerror}") from error
