# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's commands without the quarter of a second that importing other people's libraries takes each time.

`commands` makes a directory with ansible-playbook and its kin (warm.c). They have each run forked off an interpreter
that has already imported what Ansible and the collection import of other packages; those two are imported anew by each
run, since they read its environment.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMANDS = ("ansible", "ansible-inventory", "ansible-playbook", "ansible-vault")
OWN = ("ansible", "ansible_collections")
CLONE_NEWNET = 0x40000000


@cache
def commands() -> Path:
    """The directory with the commands. They end with this process."""
    place = Path(tempfile.mkdtemp(prefix="warm-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    (place / "bin").mkdir()
    (place / "programs").symlink_to(Path(sys.executable).parent)
    subprocess.run(["gcc", "-O", "-o", place / "bin/warm", Path(__file__).with_suffix(".c")], check=True)
    for command in COMMANDS:
        (place / "bin" / command).symlink_to("warm")
    server = subprocess.Popen(
        [sys.executable, __file__, place / "socket"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/"
    )
    atexit.register(server.communicate)
    assert server.stdout and server.stdout.readline() == b"ready\n"
    return place / "bin"


def main(path: str) -> None:
    for name in _what_a_run_imports():
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        if 0 in select.select([0, listening], [], [])[0]:
            return  # whoever started this has ended
        connection, _address = listening.accept()
        if os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _serve(connection)
        connection.close()


def _what_a_run_imports() -> list[str]:
    """Names of modules that are neither Ansible's nor the collection's."""
    plugins = [f"action.{path.stem}" for path in sorted((ROOT / "plugins/action").glob("*.py"))]
    lines = [
        "import json, sys",
        "import ansible.cli.playbook, ansible.plugins.strategy.linear, ansible.plugins.connection.ssh",
        *(f"import ansible_collections.pelion.mbl.plugins.{name}" for name in ["inventory.mbl_mdns", *plugins]),
        "print(json.dumps([*sys.modules]))",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".build")}
    told = subprocess.run([sys.executable, "-c", "\n".join(lines)], env=environment, check=True, stdout=subprocess.PIPE)
    names = json.loads(told.stdout.splitlines()[-1])
    return [name for name in names if name.partition(".")[0] not in (*OWN, "__main__")]


def _serve(connection: socket.socket) -> None:
    """Have one command run, and tell how it ended; end it when nobody waits for it any more."""
    _byte, files, _flags, _address = socket.recv_fds(connection, 1, 4)
    words = b"".join(iter(lambda: connection.recv(1 << 16), b"")).split(b"\0")[:-1]
    directory, mask, count = words[0], int(words[1]), int(words[2])
    arguments, environment = words[3 : 3 + count], words[3 + count :]
    process = os.fork()
    if process == 0:
        connection.close()
        os.setsid()
        _become(files, directory, mask, environment)
        _run([os.fsdecode(word) for word in arguments])
    for file in files:
        os.close(file)
    ended = os.pidfd_open(process)
    events = select.poll()
    events.register(ended, select.POLLIN)
    events.register(connection, 0)  # when it is closed
    if ended not in dict(events.poll()):
        os.killpg(process, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with contextlib.suppress(OSError):
        connection.send(bytes([status if status >= 0 else 128 - status]))
    os._exit(0)


def _become(files: list[int], directory: bytes, mask: int, environment: list[bytes]) -> None:
    *streams, network = files
    if not os.path.sameopenfile(network, os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)) and (
        ctypes.CDLL(None, use_errno=True).setns(network, CLONE_NEWNET)
    ):
        raise OSError(ctypes.get_errno(), "setns")
    for number, (file, name) in enumerate(zip(streams, ("stdin", "stdout", "stderr"), strict=True)):
        os.dup2(file, number)
        former = getattr(sys, name)  # which knows of what was there before whether that can be sought in
        stream = open(number, former.mode, encoding=former.encoding, errors=former.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    for file in files:
        os.close(file)
    os.umask(mask)
    os.chdir(directory)
    os.environ.clear()
    os.environb.update(variable.split(b"=", 1) for variable in environment)
    # As an interpreter does when it starts (PEP 538).
    if not os.environ.get("LC_ALL") and os.environ.get("LC_CTYPE", os.environ.get("LANG", "C")) in ("C", "POSIX"):
        os.environ["LC_CTYPE"] = "C.UTF-8"


def _run(arguments: list[str]) -> None:
    """As the interpreter itself runs a script, to its end."""
    sys.argv = arguments
    sys.path[0] = os.path.dirname(arguments[0])
    status: object = 0
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as ended:
        status = ended.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    if not isinstance(status, int):
        if status is not None:
            print(status, file=sys.stderr)
        status = int(status is not None)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1])
