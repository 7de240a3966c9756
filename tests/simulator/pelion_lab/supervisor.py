# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's first process: it starts the cloud and the boards, and all of them end with it.

Runs as process 1 of a process namespace of its own, as root, in network and mount namespaces of its own. Started by
`lab up`, which hands it a plan and reads one line of JSON when all answer; what goes wrong goes to stderr.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import disk, network, power
from .board import WITHHELD, Board
from .board_root import make_root
from .errors import LabError
from .places import BOARD, SIMULATOR
from .plan import Plan
from .record import BoardRecord, Record, start_of

READY_SECONDS = 60
STOP_SECONDS = 10
# What avahi says once a name is its own.
ESTABLISHED = "successfully established"


class Supervisor:
    """A lab from its start to its end."""

    def __init__(self, plan: Plan, process: int) -> None:
        self._plan = plan
        self._process = process
        self._state = Path(plan.state)
        self._system = Path(plan.system)
        tag = bytes.fromhex(plan.id)[:2]
        self._network = network.Network(tag, plan.sites)
        self._boards = [
            Board.numbered(
                number,
                tag,
                sha1=number > plan.devices - plan.sha1_hosts,
                site=1 + (number - 1) * plan.sites // plan.devices,
            )
            for number in range(1, plan.devices + 1)
        ]
        self._sites = range(1, plan.sites + 1) if plan.sites > 1 else ()
        self._running: dict[int, tuple[BoardRecord, subprocess.Popen[str]]] = {}

    def start(self) -> None:
        """Start everything and return when all answer. Raises LabError."""
        self._network.create()
        self._power = power.listen(self._state)
        self._cloud = self._start_cloud()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _unused in pool.map(self._make_board, self._boards):
                pass
        cloud = self._wait_for_cloud()
        self._record = Record(
            id=self._plan.id,
            process=self._process,
            started=str(start_of(os.getpid())),
            owner=self._plan.owner,
            environment={
                "PELION_API_HOST": cloud["https_url"],
                "PELION_API_KEY": cloud["api_key"],
                "PELION_CA_PATH": cloud["ca_path"],
                "MBED_CLOUD_SDK_HOST": cloud["http_url"],
                "MBED_CLOUD_SDK_API_KEY": cloud["api_key"],
                # Each lab's boards have new host keys under the same names.
                "MBL_KNOWN_HOSTS": str(self._state / "known_hosts"),
                # Ansible's own place is below HOME, and a long HOME makes a path too long for a socket.
                "ANSIBLE_SSH_CONTROL_PATH_DIR": self._make_socket_directory(),
            },
            boards=[],
            sites=[self._network.settle(site) for site in self._sites],
        )
        self._record.boards += self._boot(self._boards)
        self._record.write(self._state)
        self._wait_for_boards()

    def _make_socket_directory(self) -> str:
        directory = tempfile.mkdtemp(prefix="lab-ssh-")
        os.chown(directory, self._plan.owner, -1)
        return directory

    def run(self) -> None:
        """Look after the processes until the end: a board that reboots is started again."""
        # A pipe that gets a byte for each signal: both the end of a process and a request wake this up.
        ended, wake = socket.socketpair()
        for end in (ended, wake):
            end.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_unused: None)
        while True:
            self._reap()
            ready, _unused, _unused = select.select([ended, self._power], [], [])
            if ended in ready:
                ended.recv(4096)
            if self._power in ready:
                power.answer(self._power, self._switch)

    def _reap(self) -> None:
        """Take note of all processes that have ended. Orphans of the lab come here too."""
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process == 0:
                return
            self._note_end(process, os.waitstatus_to_exitcode(status))

    def _note_end(self, process: int, code: int) -> None:
        if process == self._cloud.pid:
            print(f"The cloud ended with status {code}", file=sys.stderr)
            self._record.cloud_running = False
        elif process in self._running:
            entry, child = self._running.pop(process)
            child.returncode = code
            # That is how the kernel tells of reboot(2) in a process namespace.
            rebooted = code == -signal.SIGHUP
            print(f"{entry.board.name} {'rebooted' if rebooted else 'went off'}", file=sys.stderr)
            entry.running = False
            if rebooted:
                try:
                    self._boot_again(entry)
                except LabError as error:  # which is no reason for the other boards to go
                    print(f"{entry.board.name} does not boot: {error}", file=sys.stderr)
        else:
            return
        self._record.write(self._state)

    def _boot_again(self, entry: BoardRecord) -> None:
        if self._plan.disks:
            disk.wait_until_free(self._disk(entry.board))
        self._record.boards[self._record.boards.index(entry)] = self._boot([entry.board])[0]

    def _switch(self, name: str, do: str) -> None:
        """What `lab power` asks for. Raises LabError."""
        entry = self._record.board(name)
        if do == "cut" and not self._plan.disks:
            raise LabError(
                "this lab's boards have no disks of their own, of which a cut could lose something: "
                "start it with --disks"
            )
        if entry.running == (do == "on"):
            return
        if do == "on":
            self._boot_again(entry)
        else:
            self._end_board(entry, lose_unsynced=do == "cut")
        self._record.write(self._state)

    def _end_board(self, entry: BoardRecord, *, lose_unsynced: bool) -> None:
        image = self._disk(entry.board)
        left = image.with_suffix(".cut")
        if lose_unsynced:
            _stop_all(entry.process)
            disk.lose_unsynced(image, left)
        os.kill(entry.process, signal.SIGKILL)
        ((process, child),) = [(number, child) for number, (which, child) in self._running.items() if which is entry]
        child.wait()
        del self._running[process]
        entry.running = False
        print(f"{entry.board.name} was switched off", file=sys.stderr)
        if lose_unsynced:
            left.replace(image)  # the kernel writes the rest to the old file, which nobody sees any more

    def _start_cloud(self) -> subprocess.Popen[str]:
        directory = self._state / "cloud"
        directory.mkdir(mode=0o755)
        # Sites' own controllers have another loopback.
        reached = ["--host", "::", "--name", network.CLOUD_IPV6] if self._sites else []
        with (self._state / "log/cloud.log").open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "cloud", "--state-dir", directory, *reached],
                env={**os.environ, "PYTHONPATH": str(SIMULATOR)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def _wait_for_cloud(self) -> dict[str, str]:
        assert self._cloud.stdout is not None
        line = self._cloud.stdout.readline()
        if not line:
            raise LabError("the cloud did not start", "cloud.log")
        # Who called with sudo may use its control socket without.
        for path in (self._state / "cloud").iterdir():
            os.chown(path, self._plan.owner, -1)
        return json.loads(line)

    def _lab_directory(self, board: Board) -> Path:
        return self._state / "log" / board.name

    def _root(self, board: Board) -> Path:
        return self._state / "boards" / board.name

    def _disk(self, board: Board) -> Path:
        return self._state / "disks" / board.name

    def _make_board(self, board: Board) -> None:
        lab = self._lab_directory(board)
        lab.mkdir()
        for name in ("exchanges", "ssh.log", "avahi.log"):
            (lab / name).touch()
        addresses = (self._network.ipv4(board.site), network.CLOUD_IPV6)
        settings = {"retry-scale": self._plan.retry_scale, "client-release": self._plan.client_release}
        make_root(board, self._root(board), self._system, addresses, settings)
        if self._plan.disks:
            disk.make(self._disk(board), self._root(board) / "config/user")

    def _boot(self, boards: list[Board]) -> list[BoardRecord]:
        """Start boards, all at once."""
        started = [self._start_board(board) for board in boards]
        processes = [self._say_id(process) for process in started]
        self._network.connect(zip(boards, processes, strict=True))
        entries = []
        for board, process, first in zip(boards, started, processes, strict=True):
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.close()
            entry = BoardRecord(board, first)
            self._running[process.pid] = entry, process
            entries.append(entry)
        return entries

    def _start_board(self, board: Board) -> subprocess.Popen[str]:
        image = self._disk(board) if self._plan.disks else ""
        boot = [BOARD / "boot", self._root(board), self._system, self._lab_directory(board), image, board.name]
        if board.ipv4:
            boot.append(f"{board.ipv4}/{network.IPV4_PREFIX}")
        spaces = ["--pid", "--mount", "--uts", "--ipc", "--net", "--fork", "--kill-child"]
        limit = ["setpriv", f"--bounding-set={WITHHELD}"]
        with (self._lab_directory(board) / "boot.log").open("a") as log:
            return subprocess.Popen(
                [*limit, "unshare", *spaces, *boot],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    @staticmethod
    def _say_id(process: subprocess.Popen[str]) -> int:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise LabError("a board did not boot", f"{process.args[-1]}/boot.log")
        return int(line)

    def _wait_for_boards(self) -> None:
        """Until each board's ssh server answers and its name is established in the network."""
        deadline = time.monotonic() + READY_SECONDS
        for board in self._boards:
            log = self._lab_directory(board) / "avahi.log"
            self._wait_until(lambda board=board: _greets(board), deadline, f"{board.name}/ssh.log")
            self._wait_until(lambda log=log: ESTABLISHED in log.read_text(), deadline, f"{board.name}/avahi.log")

    def _wait_until(self, condition: Callable[[], bool], deadline: float, log: str) -> None:
        while not condition():
            for entry, process in self._running.values():
                if process.poll() is not None:
                    raise LabError(f"{entry.board.name} went off while it booted", f"{entry.board.name}/boot.log")
            if time.monotonic() > deadline:
                raise LabError(f"a board does not answer after {READY_SECONDS} seconds", log)
            time.sleep(0.02)


def _stop_all(first: int) -> None:
    """Stop all processes of the process namespace in which FIRST is, and return when none runs any more."""
    space = os.stat(f"/proc/{first}/ns/pid").st_ino
    deadline = time.monotonic() + STOP_SECONDS
    running = True
    while running:
        if time.monotonic() > deadline:
            raise LabError(f"the board's processes do not stop within {STOP_SECONDS} seconds")
        running = False
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if (entry / "ns/pid").stat().st_ino == space and _state(entry) not in "TtZX":
                    os.kill(int(entry.name), signal.SIGSTOP)
                    running = True


def _state(process: Path) -> str:
    return (process / "stat").read_text().rpartition(")")[2].split()[0]


def _greets(board: Board) -> bool:
    """Whether an ssh server answers. This is no ssh connection yet: nobody logs in."""
    scope = socket.if_nametoindex(network.interface(board.site))
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as peer:
        peer.settimeout(1)
        try:
            peer.connect((board.ipv6, 22, 0, scope))
            return peer.recv(4) == b"SSH-"
        except OSError:
            return False


def main() -> None:
    # Still that of the machine: it is covered by that of the lab's process namespace, which boards are made from.
    process = int(os.readlink("/proc/self"))
    subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
    os.umask(0o022)
    plan = Plan(**json.loads(sys.stdin.readline()))
    supervisor = Supervisor(plan, process)
    try:
        supervisor.start()
    except LabError as error:
        message, *log = error.args
        print(json.dumps({"error": message, "log": log[0] if log else "supervisor.log"}), flush=True)
        sys.exit(1)
    print(json.dumps({"ready": plan.id}), flush=True)
    # The one who reads it goes away.
    os.dup2(os.open(os.devnull, os.O_RDWR), sys.stdout.fileno())
    supervisor.run()


if __name__ == "__main__":
    main()
