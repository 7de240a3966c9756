# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory as a user of the installed collection has it, with the lab's boards for a bench."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml
from fleet import ANSIBLE, LAB, ROOT, Fleet, Play
from terminal import at_a_terminal

NAMES = ["mbed-linux-os-9709", "mbed-linux-os-9710", "mbed-linux-os-9711"]
"""The boards of pages and examples, in the order of the lab's."""
VARIABLES = {
    "provision_pelion_dev_cert": "bench-2026",
    "provision_pelion_update_resources": "bench-update",
    "provision_pelion_vendor_domain": "example.com",
    "provision_pelion_device_class": "bench-board",
}


class Bench:
    """A directory as a user has it: ``inventory/`` with the lab's boards by hand."""

    def __init__(self, fleet: Fleet, directory: Path) -> None:
        self.fleet = fleet
        self.directory = directory
        self.home = directory / "home"
        (directory / "inventory/group_vars").mkdir(parents=True)
        self.home.mkdir()
        (self.home / "vault-password").write_text("a test's vault password\n")
        self.addresses = {board["name"]: board["ipv6"] for board in fleet.status()["boards"]}
        (directory / "inventory/group_vars/mbl.yml").write_text(
            yaml.safe_dump(
                {
                    **VARIABLES,
                    "ansible_user": "root",
                    "ansible_shell_type": "sh",
                    "mbl_known_hosts": str(self.home / "known_hosts"),
                    "ansible_ssh_common_args": "-o HostKeyAlgorithms=+ssh-rsa -o StrictHostKeyChecking=accept-new "
                    "-o HostKeyAlias={{ inventory_hostname }} -o UserKnownHostsFile={{ mbl_known_hosts }}",
                }
            )
        )
        self.lists(self.addresses)

    def named(self, text: str) -> str:
        """``text`` of a page or an example with the lab's names."""
        for name, board in zip(NAMES, sorted(self.addresses), strict=True):
            text = text.replace(name, board)
        return text

    def lists(self, addresses: dict[str, str]) -> None:
        """Have these boards in the inventory."""
        hosts = {name: {"ansible_host": address} for name, address in addresses.items()}
        (self.directory / "inventory/hosts.yml").write_text(yaml.safe_dump({"mbl": {"hosts": hosts}}))

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(self.home / "vault-password"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build"),
            "ANSIBLE_NOCOLOR": "1",
        }

    def script(self, command: str) -> str:
        """``command`` in this directory, which alone says what the inventory is."""
        other = f"PATH={Path(ANSIBLE).absolute()}:$PATH; " if ANSIBLE else ""
        return f"unset ANSIBLE_INVENTORY; {other}cd {self.directory}; {command}"

    def run(self, command: str) -> Play:
        return self.fleet.run("sh", "-c", self.script(command), environment=self.environment)

    def type(self, command: str, answers: dict[str, str]) -> tuple[str, int]:
        """Run ``command`` at a terminal, see there."""
        arguments = [LAB, "run", "--state", self.fleet.state, "--", "sh", "-c", self.script(command)]
        return at_a_terminal(arguments, self.directory, os.environ | self.environment, answers)

    def play(self, name: str, *options: str) -> Play:
        return self.run(f"ansible-playbook -i inventory/ pelion.mbl.{name} {' '.join(options)}")

    def report(self, directory: str = "reports") -> dict[str, Any]:
        return json.loads((self.directory / directory / "fleet.json").read_text())
