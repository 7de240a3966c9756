# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What provisioning a fleet costs, as ratios to a floor measured in the same run.

The floor is plain `ssh … true` to all boards in parallel, without Ansible.
Usage, as root: .venv/bin/python tests/bench/fleet.py [BOARDS]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAB = ROOT / "tests/simulator/lab"
OPTIONS = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "KexAlgorithms=curve25519-sha256")
SSH = "ssh " + " ".join(f"-o {option}" for option in OPTIONS)


def seconds(*command: str | Path) -> float:
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return time.monotonic() - began


def main(boards: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        state, password = Path(directory, "lab"), Path(directory, "vault-password")
        password.write_text("a benchmark's vault password\n")
        in_lab = [LAB, "run", "--state", state, "--", "env", f"HOME={directory}"]
        play = [*in_lab, "ansible-playbook", "-f", str(boards), "--vault-password-file", password]
        up = seconds(LAB, "up", "--state", state, "--devices", str(boards))
        try:
            inventory = subprocess.run([LAB, "status", "--state", state], check=True, capture_output=True, text=True)
            addresses = [line.split()[2] for line in inventory.stdout.splitlines() if "fe80::" in line]
            loop = " & ".join(f"{SSH} root@{address} true" for address in addresses)
            floor = min(seconds(*in_lab, "sh", "-c", f"{loop} & wait") for _round in range(3))
            listing = seconds(*in_lab, "ansible-inventory", "--graph")
            first = seconds(*play, ROOT / "playbooks/provision.yml")
            second = seconds(*play, ROOT / "playbooks/provision.yml")
        finally:
            subprocess.run([LAB, "down", "--state", state], check=True)
    print(f"{boards} boards, up in {up:.1f} s")
    for name, took in {"plain ssh": floor, "listing": listing, "first run": first, "second run": second}.items():
        print(f"{name:12} {took:6.2f} s {took / floor:6.1f} times the floor")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
