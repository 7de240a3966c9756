# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What provisioning a fleet costs with Ansible's default forks, as ratios to floors measured in the same run.

The floor of a rerun is plain parallel ssh that sends each board the same program, without Ansible; that of a first run
sends both programs over one connection. All shares this machine's cores with the boards. With --slow, each board waits
before it answers, as real ones do. Prints a table; with --out, writes fleet.json and fleet.svg there.
Usage, as root: .venv/bin/python tests/bench/fleet.py [--boards 20,50,100,200] [--slow SECONDS] [--rounds 3] [--out DIR]
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
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
class Figures:
    """Seconds, each the median of the rounds. ``concerned`` is the whole command of a rerun with the role's
    tell=concerned; ``..._cpu`` are the controller's CPU seconds; ``memory_mb`` is the peak of its largest process."""

    boards: int
    ssh: float
    floor: float
    floor_cpu: float
    rerun_play: float
    rerun: float
    rerun_cpu: float
    concerned: float
    first_floor: float
    first_play: float
    memory_mb: float


class Bench:
    """A lab of so many boards, with a home directory of its own for the controller."""

    def __init__(self, directory: Path, boards: int, slow: float) -> None:
        self._directory = directory
        self._state = directory / "lab"
        (directory / "password").write_text(PASSWORD)
        (directory / ".ssh").mkdir(mode=0o700)
        subprocess.run([LAB, "up", "--state", self._state, "--devices", str(boards)], check=True, capture_output=True)
        if slow:
            self._slow_down(slow)
        # A floor knows nothing of certificates that are full.
        LabCloud(self._state / "cloud" / "control.sock").call("PUT", "/answer-when-full", answer="accept")

    def _boards(self) -> list[dict[str, str]]:
        status = subprocess.run([LAB, "status", "--state", self._state, "--json"], check=True, capture_output=True)
        boards: list[dict[str, str]] = json.loads(status.stdout)["boards"]
        return boards

    def _slow_down(self, seconds: float) -> None:
        shell = "/opt/arm/slow-login-shell"
        lines = f'#!/bin/sh\\nsleep {seconds:.0f}\\nexec /usr/lib/lab-login-shell "$@"\\n'
        script = (
            f"cp -p /opt/arm/pelion-provisioning-util {shell} && printf '{lines}' >{shell} &&"
            f" echo {shell} >>/etc/shells && sed -i 's:/home/root\\:.*:/home/root\\:{shell}:' /etc/passwd"
        )
        for board in self._boards():
            on_board = [LAB, "device", "--state", self._state, board["name"], "sh", "-c", script]
            subprocess.run(on_board, check=True, capture_output=True)

    def down(self) -> None:
        subprocess.run([LAB, "down", "--state", self._state], check=True, capture_output=True)

    def run(self, *command: str | Path) -> tuple[float, float]:
        """Seconds that ``command`` took at the controller's place, and of CPU there."""
        began, used = time.monotonic(), _cpu()
        environment = f"HOME={self._directory}", f"ANSIBLE_LOG_PATH={self._directory}/log"
        in_lab = [LAB, "run", "--state", self._state, "--", "env", *environment, *command]
        ended = subprocess.run(in_lab, check=False, capture_output=True, text=True, cwd=ROOT, stdin=subprocess.DEVNULL)
        if ended.returncode:
            said = [line for line in (ended.stdout + ended.stderr).splitlines() if re.search("ERROR|fatal", line)]
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n" + "\n".join(said[:5]))
        return time.monotonic() - began, _cpu() - used

    def on_each(self, *programs: str) -> tuple[float, float]:
        """``run`` of plain parallel ssh that gives each board's shell these programs, over one connection."""
        lines = []
        for number, program in enumerate(programs):
            (self._directory / f"program-{number}").write_text(program)
        for board in self._boards():
            # A space less and the connection would be kept after the last exchange.
            socket = f"-o ControlMaster=auto -o ControlPath={self._directory}/{board['name']} -o ControlPersist=2"
            ssh = f"{SSH} {socket if len(programs) > 1 else ''} root@{board['ipv6']} /bin/sh"
            sends = [f"{ssh} <{self._directory}/program-{number} >/dev/null" for number in range(len(programs))]
            lines.append(f"({' && '.join(sends)}) &")
        (self._directory / "floor").write_text("\n".join([*lines, "wait"]))
        return self.run("sh", self._directory / "floor")

    def make_fresh(self) -> None:
        self.on_each(FRESH)

    def play(self, *options: str) -> tuple[float, float, float]:
        """Seconds of the play alone, by Ansible's log, of the whole command, and of CPU."""
        (self._directory / "log").unlink(missing_ok=True)
        options += ("--vault-password-file", str(self._directory / "password"))
        # A fresh board becomes another device, so certificates fill up from round to round.
        options += ("-e", "provision_pelion_spread=true")
        whole, cpu = self.run("ansible-playbook", *options, ROOT / "playbooks/provision.yml")
        log = (self._directory / "log").read_text()
        times = [re.search(rf"^(\S+ \S+) .*\| {mark}", log, re.MULTILINE) for mark in (r"PLAY \[", "PLAY RECAP")]
        began, ended = (datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S,%f") for found in times if found)
        return (ended - began).total_seconds(), whole, cpu

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


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(boards: int, rounds: int, slow: float) -> Figures:
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory), boards, slow)
        try:
            bench.play()  # makes the credentials; whatever is loaded for the first time is loaded
            ask, inject = bench.programs()
            taken: dict[str, list[float]] = {name: [] for name in Figures.__dataclass_fields__}
            for _round in range(rounds):
                bench.make_fresh()
                taken["first_floor"].append(bench.on_each(ask, inject)[0])
                bench.make_fresh()
                taken["first_play"].append(bench.play()[0])
                taken["ssh"].append(bench.on_each("true")[0])
                measured = {
                    ("floor", "floor_cpu"): bench.on_each(ask),
                    ("rerun_play", "rerun", "rerun_cpu"): bench.play(),
                    ("", "concerned", ""): bench.play("-e", "provision_pelion_tell=concerned"),
                }
                for names, seconds in measured.items():
                    for name, figure in zip(names, seconds, strict=True):
                        if name:
                            taken[name].append(figure)
        finally:
            bench.down()
    median = {name: statistics.median(values) for name, values in taken.items() if values}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return Figures(boards=boards, memory_mb=peak, **median)


def table(figures: Iterable[Figures]) -> Iterable[str]:
    yield (
        "boards   ssh  floor | rerun's play     | whole command    | concerned only   | CPU            "
        "| first floor  first play       | ms/board    MB"
    )
    for f in figures:

        def times(seconds: float, floor: float = f.floor) -> str:
            return f"{seconds:5.1f} s = {seconds / floor:5.2f} x"

        yield (
            f"{f.boards:6} {f.ssh:5.1f}  {f.floor:5.1f} | {times(f.rerun_play)} | {times(f.rerun)} | "
            f"{times(f.concerned)} | {times(f.rerun_cpu, f.floor_cpu)} | {f.first_floor:11.1f} "
            f"{times(f.first_play, f.first_floor)} | {1000 * f.rerun_play / f.boards:8.0f} {f.memory_mb:5.0f}"
        )


def plot(figures: list[Figures]) -> str:
    """An SVG: seconds over boards, a line for each kind of run."""
    width, height, margin = 640, 400, 50
    most_boards = max(f.boards for f in figures)
    most_seconds = max(max(f.rerun, f.first_play) for f in figures)
    lines = []
    for number, (name, colour) in enumerate(
        {"floor": "#888", "rerun_play": "#06c", "rerun": "#0a6", "first_floor": "#ccc", "first_play": "#c30"}.items()
    ):
        points = " ".join(
            f"{margin + f.boards / most_boards * (width - 2 * margin):.1f},"
            f"{height - margin - getattr(f, name) / most_seconds * (height - 2 * margin):.1f}"
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
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if shutil.which("ssh") is None:
        raise SystemExit("needs ssh")
    figures = [measure(int(boards), options.rounds, options.slow) for boards in options.boards.split(",")]
    print("\n".join(table(figures)))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "fleet.json").write_text(json.dumps([asdict(f) for f in figures], indent=2) + "\n")
        (options.out / "fleet.svg").write_text(plot(figures))


if __name__ == "__main__":
    main()
