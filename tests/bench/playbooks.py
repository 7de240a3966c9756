# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each playbook takes on a fleet, from the command to its end: Ansible's start and the search for boards included.

Prints a table: seconds, and how many lines were printed. All shares this machine's cores with the boards.
Usage, as root: .venv/bin/python tests/bench/playbooks.py [--boards 20] [--verbose]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / place) for place in (".build", "tests/integration", "tests/simulator", "tests/unit/support")]

from credential_samples import developer_values  # noqa: E402
from fleet import Fleet, Play  # noqa: E402


def runs(boards: list[str], old_store: Path) -> Iterator[tuple[str, str, list[str]]]:
    """What is shown, the playbook and its options, in the order of a fleet's life."""
    named = f"boards={','.join(boards)}"
    yield "save_api_key", "save_api_key", []
    yield "import_mbl_cli, one certificate", "import_mbl_cli", ["-e", f"src={old_store}"]
    yield "provision, fresh boards", "provision", []
    yield "provision, again", "provision", []
    yield "list", "list", []
    yield "status", "status", []
    yield "check_certificates", "check_certificates", []
    yield "name_devices", "name_devices", []
    yield "name_devices, again", "name_devices", []
    # All that was made until now.
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    yield "rotate, update certificate", "rotate", ["-e", f"provision_pelion_renew_if_made_before={moment}"]
    yield "rotate, developer certificate", "rotate", ["-e", "provision_pelion_dev_cert=next"]
    yield "forget_host, all", "forget_host", ["-e", named]
    yield "deprovision, all", "deprovision", ["-e", named]
    yield "", "provision", []
    yield "remove_gone, all", "remove_gone", ["-i", "localhost,", "-e", named]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--boards", type=int, default=20)
    parser.add_argument("--verbose", action="store_true", help="show what the playbooks print")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "password").write_text("a benchmark's vault password\n")
        (home / "old").mkdir()
        for constant, value in developer_values().items():
            (home / "old" / f"{constant}.bin").write_bytes(value)
        fleet = Fleet.up(home / "lab", "--devices", str(options.boards))
        try:
            print(f"{'playbook':32} {'seconds':>8} {'lines':>6}")
            for shown, playbook, given in runs(fleet.boards, home):
                seconds, play = timed(fleet, home, playbook, given, options.boards)
                if options.verbose:
                    print(play.output)
                if play.returncode:
                    raise SystemExit(f"{playbook} failed:\n{play.output[-3000:]}")
                if shown:
                    print(f"{shown:32} {seconds:8.1f} {play.output.count(chr(10)):6}", flush=True)
        finally:
            fleet.down()


def timed(fleet: Fleet, home: Path, playbook: str, options: list[str], forks: int) -> tuple[float, Play]:
    environment = {"HOME": str(home), "ANSIBLE_VAULT_PASSWORD_FILE": str(home / "password"), "ANSIBLE_NOCOLOR": "1"}
    began = time.monotonic()
    play = fleet.run("ansible-playbook", "-f", str(forks), f"pelion.mbl.{playbook}", *options, environment=environment)
    return time.monotonic() - began, play


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        raise SystemExit(str(error)) from None
