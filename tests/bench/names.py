# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one run takes that asks a thousand boards: time, memory, open files.

A few boards of the lab stand for them, each under many names of a static inventory; they wait before they answer, so
that as many as may are asked at the same time. Only the role's first look is taken. Prints the figures, and what
Ansible warned of; --files is the most files that a process may open.
Usage, as root: .venv/bin/python tests/bench/names.py [--names 1000] [--boards 25] [--slow 2] [--files 1024]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
from pathlib import Path

from fleet import OPTIONS, ROOT, Bench, Ran

ASK = ROOT / "roles/provision_pelion/tasks/ask.yml"


def inventory(bench: Bench, names: int) -> dict[str, object]:
    """One board after the other, since dropbear lets few log in at the same time."""
    boards = bench.boards()
    hosts = {
        f"board-{number}": {"ansible_host": boards[number % len(boards)]["ipv6"], "mbl_port": 22}
        for number in range(names)
    }
    variables = {
        "ansible_user": "root",
        "ansible_ssh_extra_args": "-o HostKeyAlias={{ inventory_hostname }} "
        + " ".join(f"-o {option}" for option in OPTIONS),
        "ansible_control_path": "%(directory)s/{{ inventory_hostname }}",
        "provision_pelion_dev_cert": "bench-2026",
        "provision_pelion_update_resources": "bench-update",
    }
    return {"mbl": {"hosts": hosts, "vars": variables}}


def play(names: int) -> list[dict[str, object]]:
    asked = {"pelion.mbl.pelion_fleet_at_once": {"task": str(ASK)}, "run_once": True, "register": "asked"}
    all_told = {
        "ansible.builtin.assert": {"that": [f"asked.boards | length == {names}", "not asked.failed_boards"]},
        "run_once": True,
    }
    return [{"hosts": "mbl", "gather_facts": False, "tasks": [asked, all_told]}]


class OpenFiles:
    """How many files the processes below ``home`` had open at the most, each and all together."""

    def __init__(self, home: Path) -> None:
        self._home = f"HOME={home}".encode()
        self.most = self.most_together = self.most_processes = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.3):
            counts = [count for directory in Path("/proc").glob("[0-9]*") if (count := self._count(directory))]
            self.most = max([self.most, *counts])
            self.most_together = max(self.most_together, sum(counts))
            self.most_processes = max(self.most_processes, len(counts))

    def _count(self, process: Path) -> int:
        try:
            if self._home not in (process / "environ").read_bytes().split(b"\0"):
                return 0
            return sum(1 for _file in (process / "fd").iterdir())
        except OSError:
            return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=1000)
    parser.add_argument("--boards", type=int, default=25)
    parser.add_argument("--slow", type=float, default=2)
    parser.add_argument("--files", type=int, default=1024)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory), options.boards, options.slow)
        try:
            ran, files, warned = ask(bench, Path(directory), options.names, options.files)
        finally:
            bench.down()
    print(f"{options.names} names: {ran.seconds:.0f} s, {ran.cpu:.0f} s of CPU, {ran.memory_mb:.0f} MB")
    print(f"open files: {files.most} of a process, {files.most_together} of {files.most_processes} processes")
    print("\n".join(warned))


def ask(bench: Bench, home: Path, names: int, most_files: int) -> tuple[Ran, OpenFiles, list[str]]:
    (home / "hosts.yml").write_text(json.dumps(inventory(bench, names)))
    (home / "play.yml").write_text(json.dumps(play(names)))
    files = OpenFiles(home)
    try:
        limited = ["sh", "-c", f'ulimit -n {most_files}; exec "$@"', "sh"]
        ran = bench.run(*limited, "ansible-playbook", "-i", home / "hosts.yml", home / "play.yml")
    finally:
        files.stop()
    return ran, files, [line for line in (home / "output").read_text().splitlines() if "WARNING" in line]


if __name__ == "__main__":
    main()
