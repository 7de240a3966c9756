# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What provisioning a fleet costs with Ansible's default forks, as ratios to floors measured in the same run.

The floor of a rerun is plain parallel ssh that sends each board the same program, without Ansible; that of a first run
sends both programs over one connection. All shares this machine's cores with the boards. With --slow, each board waits
before it answers, as real ones do; with --late, its client starts later than it is told to. Prints a table of medians;
with --out, writes fleet.json and fleet.svg there.
Usage, as root:
.venv/bin/python tests/bench/fleet.py [--boards 20,50,100,200] [--slow SECONDS] [--late SECONDS] [--rounds 3] [--out D]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / ".build"), str(ROOT / "tests/simulator")]

from ansible.parsing.vault import VaultSecret  # noqa: E402
from cloud.remote import LabCloud  # noqa: E402

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import Board  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import Items  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.developer_credentials import (  # noqa: E402
    DeveloperCredentials,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import (  # noqa: E402
    UpdateResources,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import Vault  # noqa: E402

LAB = ROOT / "tests/simulator/lab"
PASSWORD = "a benchmark's vault password"
OPTIONS = (
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "LogLevel=ERROR",
    "KexAlgorithms=curve25519-sha256",
    "HostKeyAlgorithms=+ssh-rsa",
)
SSH = "ssh " + " ".join(f"-o {option}" for option in OPTIONS)
FRESH = (
    "systemctl stop mbl-cloud-client; rm -rf /config/user/pal* /config/user/pelion-mbl* /run/pelion-mbl*;"
    ": >/var/log/mbl-cloud-client.log"
)


@dataclass(frozen=True)
class Round:
    """Seconds of one round. ``rerun`` and ``concerned`` are whole commands, the latter with the role's tell=concerned,
    ``rerun_play`` is Ansible's play without its start and the search; ``..._cpu`` are CPU seconds at the controller's
    place, ``memory_mb`` is the peak of the rerun's largest process, ``load`` that of the machine, by others as well."""

    ssh: float
    floor: float
    floor_cpu: float
    rerun_play: float
    rerun: float
    rerun_cpu: float
    concerned: float
    concerned_cpu: float
    first_floor: float
    first_play: float
    first_cpu: float
    memory_mb: float
    load: float


@dataclass(frozen=True)
class Figures:
    """Of a lab of so many boards, each of which waits ``slow`` seconds before it answers, and whose client starts
    ``late`` seconds after it is told to."""

    boards: int
    slow: float
    late: float
    rounds: list[Round]

    def median(self, name: str) -> float:
        return statistics.median(getattr(one, name) for one in self.rounds)

    def times(self, name: str, floor: str) -> float:
        """The median of the ratios within a round, which other work on the machine changes least."""
        return statistics.median(getattr(one, name) / getattr(one, floor) for one in self.rounds)


@dataclass(frozen=True)
class Ran:
    """What a command took at the controller's place."""

    seconds: float
    cpu: float
    memory_mb: float
    play: float = 0.0


class Bench:
    """A lab of so many boards, with a home directory of its own for the controller."""

    def __init__(self, directory: Path, boards: int, slow: float = 0, late: float = 0) -> None:
        self._directory = directory
        self._state = directory / "lab"
        (directory / "password").write_text(PASSWORD)
        (directory / ".ssh").mkdir(mode=0o700)
        subprocess.run([LAB, "up", "--state", self._state, "--devices", str(boards)], check=True, capture_output=True)
        if slow:
            self._slow_down(slow)
        if late:
            self._delay_clients(late)
        # A floor knows nothing of certificates that are full.
        LabCloud(self._state / "cloud" / "control.sock").call("PUT", "/answer-when-full", answer="accept")

    def boards(self) -> list[dict[str, str]]:
        status = subprocess.run([LAB, "status", "--state", self._state, "--json"], check=True, capture_output=True)
        boards: list[dict[str, str]] = json.loads(status.stdout)["boards"]
        return boards

    def _slow_down(self, seconds: float) -> None:
        shell = "/opt/arm/slow-login-shell"
        lines = f'#!/bin/sh\\nsleep {seconds:.0f}\\nexec /usr/lib/lab-login-shell "$@"\\n'
        self._on_each_board(
            f"cp -p /opt/arm/pelion-provisioning-util {shell} && printf '{lines}' >{shell} &&"
            f" echo {shell} >>/etc/shells && sed -i 's:/home/root\\:.*:/home/root\\:{shell}:' /etc/passwd"
        )

    def _delay_clients(self, seconds: float) -> None:
        client = "/opt/arm/mbl-cloud-client"
        lines = f"#!/bin/sh\\n(sleep {seconds:.0f}; exec {client}.real) </dev/null >/dev/null 2>&1 &\\n"
        self._on_each_board(
            f"systemctl stop mbl-cloud-client; cp -p {client} {client}.real && printf '{lines}' >{client}"
        )

    def _on_each_board(self, script: str) -> None:
        for board in self.boards():
            on_board = [LAB, "device", "--state", self._state, board["name"], "sh", "-c", script]
            subprocess.run(on_board, check=True, capture_output=True)

    def down(self) -> None:
        subprocess.run([LAB, "down", "--state", self._state], check=True, capture_output=True)

    def run(self, *command: str | Path) -> Ran:
        began = time.monotonic()
        environment = f"HOME={self._directory}", f"ANSIBLE_LOG_PATH={self._directory}/log"
        in_lab = [LAB, "run", "--state", self._state, "--", "env", *environment, *command]
        with (self._directory / "output").open("w+") as output:
            running = subprocess.Popen(in_lab, stdout=output, stderr=output, cwd=ROOT, stdin=subprocess.DEVNULL)
            _pid, status, used = os.wait4(running.pid, 0)
            seconds = time.monotonic() - began
            running.returncode = os.waitstatus_to_exitcode(status)
            if running.returncode:
                output.seek(0)
                said = [line for line in output.read().splitlines() if re.search("ERROR|fatal", line)]
                raise SystemExit(f"{' '.join(map(str, command))} failed:\n" + "\n".join(said[:5]))
        return Ran(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)

    def on_each(self, *programs: str) -> Ran:
        """``run`` of plain parallel ssh that gives each board's shell these programs, over one connection."""
        lines = []
        for number, program in enumerate(programs):
            (self._directory / f"program-{number}").write_text(program)
        for board in self.boards():
            # A space less and the connection would be kept after the last exchange.
            socket = f"-o ControlMaster=auto -o ControlPath={self._directory}/{board['name']} -o ControlPersist=2"
            ssh = f"{SSH} {socket if len(programs) > 1 else ''} root@{board['ipv6']} /bin/sh"
            sends = [f"{ssh} <{self._directory}/program-{number} >/dev/null" for number in range(len(programs))]
            lines.append(f"({' && '.join(sends)}) &")
        (self._directory / "floor").write_text("\n".join([*lines, "wait"]))
        return self.run("sh", self._directory / "floor")

    def make_fresh(self) -> None:
        self.on_each(FRESH)

    def play(self, *options: str) -> Ran:
        """A run of the main job; ``play`` are the seconds of the play alone, by Ansible's log."""
        (self._directory / "log").unlink(missing_ok=True)
        options += ("--vault-password-file", str(self._directory / "password"))
        # A fresh board becomes another device, so certificates fill up from round to round.
        options += ("-e", "provision_pelion_spread=true")
        ran = self.run("ansible-playbook", *options, ROOT / "playbooks/provision.yml")
        log = (self._directory / "log").read_text()
        times = [re.search(rf"^(\S+ \S+) .*\| {mark}", log, re.MULTILINE) for mark in (r"PLAY \[", "PLAY RECAP")]
        began, ended = (datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S,%f") for found in times if found)
        return replace(ran, play=(ended - began).total_seconds())

    def programs(self) -> tuple[str, str]:
        """What a board is asked with, and what it is injected with, from the store of the plays before."""
        sent: list[str] = []

        def capture(program: str, _seconds: float) -> str:
            sent.append(program)
            raise BoardError("captured", reason="no-answer")

        board = Board(capture, lock_timeout=60, board_timeout=300)
        store = Store(self._directory / ".mbl-store/team", Vault([("default", VaultSecret(PASSWORD.encode()))]))
        developer = store.read(DeveloperCredentials, store.names(DeveloperCredentials)[0])
        update = store.read(UpdateResources, store.names(UpdateResources)[0])
        items = Items.of(developer.values, update.values)
        for call in (
            lambda: board.inspect(may_change=True),
            lambda: board.inject(items, found_digest=None, bootstrap="not-yet", registration_timeout=60),
        ):
            try:
                call()
            except BoardError:
                continue
        ask, inject = sent
        return ask, inject


def measure(boards: int, rounds: int, slow: float, late: float) -> Figures:
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory), boards, slow, late)
        try:
            bench.play()  # makes the credentials; whatever is loaded for the first time is loaded
            ask, inject = bench.programs()
            return Figures(boards, slow, late, [measure_once(bench, ask, inject) for _round in range(rounds)])
        finally:
            bench.down()


def measure_once(bench: Bench, ask: str, inject: str) -> Round:
    bench.make_fresh()
    first_floor = bench.on_each(ask, inject)
    bench.make_fresh()
    first = bench.play()
    ssh, floor, rerun = bench.on_each("true"), bench.on_each(ask), bench.play()
    concerned = bench.play("-e", "provision_pelion_tell=concerned")
    return Round(
        ssh=ssh.seconds,
        floor=floor.seconds,
        floor_cpu=floor.cpu,
        rerun_play=rerun.play,
        rerun=rerun.seconds,
        rerun_cpu=rerun.cpu,
        concerned=concerned.seconds,
        concerned_cpu=concerned.cpu,
        first_floor=first_floor.seconds,
        first_play=first.play,
        first_cpu=first.cpu,
        memory_mb=rerun.memory_mb,
        load=os.getloadavg()[0],
    )


COLUMNS = {
    "ssh": ("ssh", None),
    "floor": ("floor", None),
    "rerun's play": ("rerun_play", "floor"),
    "whole command": ("rerun", "floor"),
    "concerned only": ("concerned", "floor"),
    "CPU": ("rerun_cpu", "floor_cpu"),
    "CPU, concerned": ("concerned_cpu", "floor_cpu"),
    "first floor": ("first_floor", None),
    "first play": ("first_play", "first_floor"),
    "MB": ("memory_mb", None),
    "load": ("load", None),
}
"""What the table shows, each with what it is compared with."""


def table(figures: Sequence[Figures]) -> Iterable[str]:
    yield "boards  slow  late " + " ".join(f"{title:>15}" for title in COLUMNS) + "  ms/board"
    for f in figures:
        cells = [
            f"{f.median(name):.1f} = {f.times(name, floor):.2f} x" if floor else f"{f.median(name):.1f}"
            for name, floor in COLUMNS.values()
        ]
        yield (
            f"{f.boards:6} {f.slow:5.0f} {f.late:5.0f} "
            + " ".join(f"{cell:>15}" for cell in cells)
            + f" {1000 * f.median('rerun_play') / f.boards:9.0f}"
        )
    few, many = figures[0], figures[-1]
    if many.boards > few.boards:
        memory = (many.median("memory_mb") - few.median("memory_mb")) / (many.boards - few.boards)
        yield f"A board more takes {memory:.2f} MB."


def plot(figures: list[Figures]) -> str:
    """An SVG: seconds over boards, a line for each kind of run."""
    width, height, margin = 640, 400, 50
    most_boards = max(f.boards for f in figures)
    names = {"floor": "#888", "concerned": "#06c", "rerun": "#0a6", "first_floor": "#ccc", "first_play": "#c30"}
    most_seconds = max(f.median(name) for f in figures for name in names)
    lines = []
    for number, (name, colour) in enumerate(names.items()):
        points = " ".join(
            f"{margin + f.boards / most_boards * (width - 2 * margin):.1f},"
            f"{height - margin - f.median(name) / most_seconds * (height - 2 * margin):.1f}"
            for f in figures
        )
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines.append(f'<text x="{margin + 10}" y="{margin + 16 * number}" fill="{colour}">{name}</text>')
    axes = f'<path d="M{margin},{margin} V{height - margin} H{width - margin}" fill="none" stroke="#000"/>'
    labels = (
        f'<text x="{width - margin}" y="{height - 20}" text-anchor="end">{most_boards} boards</text>'
        f'<text x="5" y="{margin - 10}">{most_seconds:.0f} s</text>'
    )
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">'
    return "\n".join([opening, axes, labels, *lines, "</svg>"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", default="20,50,100,200")
    parser.add_argument("--slow", type=float, default=0, help="seconds that each board waits before it answers")
    parser.add_argument("--late", type=float, default=0, help="seconds after which each board's client starts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if shutil.which("ssh") is None:
        raise SystemExit("needs ssh")
    figures = [measure(int(boards), options.rounds, options.slow, options.late) for boards in options.boards.split(",")]
    print("\n".join(table(figures)))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "fleet.json").write_text(json.dumps(list(map(asdict, figures)), indent=2) + "\n")
        (options.out / "fleet.svg").write_text(plot(figures))


if __name__ == "__main__":
    main()
