# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting and ending a lab."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from . import parts
from .errors import LabError
from .places import EXECUTABLE, SIMULATOR
from .plan import Plan
from .record import POWER_SOCKET, STORES, Record

LOG_TAIL_LINES = 20
LONGEST_SOCKET, LONGEST_SOCKET_PATH = "cloud/control.sock", 107
# What is found in a state directory. All but the logs is removed by `lab down`.
_DIRECTORIES = {"boards", "cloud", "disks", STORES, "system"}
_FILES = {"known_hosts", "known_hosts.old", "lab.json", "lab.new", POWER_SOCKET}
_OWN_NAMES = {*_DIRECTORIES, *_FILES, "log"}
# What an option of `lab up` puts others in the place of.
_PROGRAMS = {"util": "pelion-provisioning-util", "client": "mbl-cloud-client"}


def up(options: argparse.Namespace) -> int:
    """`lab up`."""
    state = options.state
    if options.devices < 1:
        raise LabError("a lab needs at least one board")
    if not 1 <= options.sites <= options.devices:
        raise LabError(f"--sites {options.sites} is not in 1 to {options.devices}, the number of boards")
    if options.sha1_hosts > options.devices:
        raise LabError(f"--sha1-hosts {options.sha1_hosts} is more than --devices {options.devices}")
    if options.retry_scale < 0:
        raise LabError(f"--retry-scale {options.retry_scale} is negative")
    others = {"util": options.util, "client": options.client}
    others = {option: program for option, program in others.items() if program}
    for option, program in others.items():
        if not (program.is_file() and os.access(program, os.X_OK)):
            raise LabError(f"--{option} {program} is not an executable file")
    if options.disks and not Path("/dev/loop-control").exists():
        raise LabError("--disks needs loop devices, which this machine does not have")
    if len(os.fsencode(state / LONGEST_SOCKET)) > LONGEST_SOCKET_PATH:
        raise LabError(f"--state {state} is too long a path for the sockets in it: choose a shorter one")
    system = parts.prepare()
    as_root()
    _refuse_second(state)
    _refuse_strange(state)
    _tidy(state)
    started = time.monotonic()
    owner = int(os.environ.get("SUDO_UID", os.geteuid()))
    _make_directories(state, owner)
    if others:
        system = _with_others(state, system, others)
    plan = Plan(
        id=secrets.token_hex(8),
        state=str(state),
        system=str(system),
        devices=options.devices,
        sites=options.sites,
        sha1_hosts=options.sha1_hosts,
        # Only the lab's own client has to be told what another utility stored.
        retry_scale=options.retry_scale,
        client_release=options.client_release,
        disks=options.disks,
        owner=owner,
    )
    try:
        _start(plan, state)
    except BaseException:
        _tidy(state)
        raise
    boards = "1 board" if options.devices == 1 else f"{options.devices} boards"
    print(f"The lab is up after {time.monotonic() - started:.1f} s: {boards} and a cloud in {state}")
    print(f"Team store and user store of `lab run` are in {state / STORES}, and are removed with the lab")
    return 0


def down(options: argparse.Namespace) -> int:
    """`lab down`. That nothing is up is no error."""
    state = options.state
    if not state.exists():
        print(f"No lab is up in {state}")
        return 0
    as_root()
    _refuse_strange(state)
    record = Record.read(state)
    _tidy(state)
    print(f"The lab in {state} is down" if record else f"No lab was up in {state}")
    return 0


def as_root() -> None:
    """Become root, by starting this very command again with sudo if need be."""
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            raise LabError("this needs root, and there is no sudo")
        # Root leaves no compiled Python in the user's clone.
        variables = [f"{name}={os.environ[name]}" for name in ("LAB_STATE", "TERM") if name in os.environ]
        os.execvp("sudo", ["sudo", "PYTHONDONTWRITEBYTECODE=1", *variables, str(EXECUTABLE), *sys.argv[1:]])


def require(state: Path) -> Record:
    """The record of the lab that is up. Raises LabError when none is."""
    record = Record.read(state)
    if record is None or not record.is_up():
        raise LabError(f"no lab is up in {state}; start one with: {EXECUTABLE} up --devices N --state {state}")
    return record


def _refuse_second(state: Path) -> None:
    record = Record.read(state)
    if record and record.is_up():
        raise LabError(f"a lab is up in {state}; end it first: {EXECUTABLE} down --state {state}")


def _refuse_strange(state: Path) -> None:
    """Nobody's files are removed by a wrong ``--state``."""
    if state.exists() and (strange := {path.name for path in state.iterdir()} - _OWN_NAMES):
        raise LabError(f"{state} holds other files than a lab's ({sorted(strange)[0]}): choose another directory")


def _make_directories(state: Path, owner: int) -> None:
    state.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(state / "log", ignore_errors=True)
    (state / "boards").mkdir(mode=0o711)
    (state / "disks").mkdir(mode=0o711)
    (state / "log").mkdir()
    (state / STORES).mkdir()
    for directory in (state, state / STORES, state / "log"):
        os.chown(directory, owner, -1)


def _with_others(state: Path, system: Path, others: dict[str, Path]) -> Path:
    """A shared system of this lab's own, with other programs (by option) and the libraries that they need."""
    own = state / "system"
    shutil.copytree(system, own, symlinks=True)
    for option, program in others.items():
        place = own / "opt/arm" / _PROGRAMS[option]
        shutil.copy(program, place)
        place.chmod(0o755)
    parts.add_libraries(own, others.values())
    return own


def _start(plan: Plan, state: Path) -> None:
    """Start the first process in its namespaces and wait until all answer. Raises LabError."""
    spaces = ["--pid", "--net", "--mount", "--uts", "--ipc", "--fork", "--kill-child"]
    # Nothing of the caller's gets in, above all no API key.
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": str(SIMULATOR),
        "LAB_ID": plan.id,
        **({"PYTHONDONTWRITEBYTECODE": "1"} if sys.dont_write_bytecode else {}),
    }
    with (state / "log/supervisor.log").open("w") as log:
        process = subprocess.Popen(
            ["unshare", *spaces, sys.executable, "-m", "pelion_lab.supervisor"],
            cwd="/",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        process.stdin.write(json.dumps(asdict(plan)) + "\n")
        process.stdin.close()
        answer = json.loads(process.stdout.readline() or "{}")
    except BaseException:
        process.kill()
        process.stdout.read()  # ends when the last of its processes has ended
        process.wait()
        raise
    if "ready" not in answer:
        process.wait()
        log_name = answer.get("log", "supervisor.log")
        raise LabError(f"{answer.get('error', 'the lab did not start')}\n{_tail(state / 'log' / log_name)}")


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError as error:
        return str(error)
    return "\n".join([f"The end of {log}:", *lines[-LOG_TAIL_LINES:]])


def _tidy(state: Path) -> None:
    """End what is left of a lab and remove what it leaves but its logs."""
    record = Record.read(state)
    if record:
        _end(record)
        shutil.rmtree(record.environment["ANSIBLE_SSH_CONTROL_PATH_DIR"], ignore_errors=True)
    for name in _DIRECTORIES:
        shutil.rmtree(state / name, ignore_errors=True)
    for name in _FILES:
        (state / name).unlink(missing_ok=True)
    if state.exists():
        # Who called with sudo may remove the logs without.
        for path in (state / "log").rglob("*"):
            os.chown(path, state.stat().st_uid, -1, follow_symlinks=False)


def _end(record: Record) -> None:
    if record.is_up():
        # The kernel ends all processes of the lab with the first one, and with them its mounts and its network.
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(record.process)
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [])
    for process in _strays(record.id):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _strays(lab: str) -> list[int]:
    """What `lab run` left running, such as ssh's masters of shared connections; not this process and its parents."""
    mine, process = set(), os.getpid()
    while process:
        mine.add(process)
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    strays = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in mine:
            with contextlib.suppress(OSError):
                if f"LAB_ID={lab}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    strays.append(int(entry.name))
    return strays
