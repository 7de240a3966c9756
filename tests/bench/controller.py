# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible itself costs for a rerun of provision over so many boards, without boards.

The play has the steps of the role and results of their sizes: a task for each board, a decision over all the results,
and a question to each board whether it has a part in it. Prints wall and CPU time for each board, and the memory of the
largest process. Usage: .venv/bin/python tests/bench/controller.py [--boards 100,400,1600] [--forks 20]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOUND = 3000
"""Bytes that a board's answer takes in a result."""
PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Ask the board",
                "ansible.builtin.debug": {"msg": {"found": "{{ 'x' * " + str(FOUND) + " }}", "wishes": {}}},
                "register": "asked",
                "no_log": True,
            },
            {
                "name": "Decide",
                "ansible.builtin.set_fact": {
                    "decision": "{{ dict(ansible_play_batch | zip(ansible_play_batch | map('extract', hostvars) "
                    "| map(attribute='asked', default={}) | map(attribute='changed'))) }}"
                },
                "run_once": True,
                "no_log": True,
            },
            {
                "name": "Bring the boards to what they should be",
                "ansible.builtin.include_tasks": "work.yml",
                "when": "decision[inventory_hostname]",
            },
        ],
    }
]


def run(directory: Path, boards: int, forks: int) -> None:
    hosts = {f"mbed-linux-os-{number}": None for number in range(boards)}
    (directory / "hosts.json").write_text(json.dumps({"mbl": {"hosts": hosts}}))
    (directory / "play.yml").write_text(json.dumps(PLAY))
    (directory / "work.yml").write_text("[]\n")
    ansible = Path(sys.executable).with_name("ansible-playbook")
    command = [ansible, "-i", "hosts.json", "-f", str(forks), "play.yml"]
    environment = {**os.environ, "ANSIBLE_HOME": str(directory), "ANSIBLE_INVENTORY_ENABLED": "yaml"}
    subprocess.run(command, cwd=directory, env=environment, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", default="100,400,1600")
    parser.add_argument("--forks", type=int, default=20)
    options = parser.parse_args()
    print(f"{'boards':>7} {'wall ms/board':>14} {'CPU ms/board':>13} {'of it kernel':>13} {'MB':>6}")
    for boards in map(int, options.boards.split(",")):
        with tempfile.TemporaryDirectory() as directory:
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            run(Path(directory), boards, options.forks)
            wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        kernel = after.ru_stime - before.ru_stime
        cpu = after.ru_utime - before.ru_utime + kernel
        each = (1000 * part / boards for part in (wall, cpu, kernel))
        print("{:7} {:14.0f} {:13.0f} {:13.0f} {:6.0f}".format(boards, *each, after.ru_maxrss / 1024), flush=True)


if __name__ == "__main__":
    main()
