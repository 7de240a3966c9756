# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running ansible-rulebook at the controller's place of a lab."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from fleet import LAB, ROOT, TIMEOUT, Fleet

NAME = "pelion.mbl.provision"
RULEBOOK = ROOT / "extensions/eda/rulebooks/provision.yml"
COMMAND = re.findall(rf"^ansible-rulebook -r {NAME} .*$", (ROOT / "docs/plugged-in.md").read_text(), re.MULTILINE)[0]
"""As the page has it."""
VARIABLES = {
    "provision_pelion_dev_cert": "plugged-in",
    "provision_pelion_update_resources": "update",
    "provision_pelion_vendor_domain": "lab.pelion.test",
    "provision_pelion_device_class": "simulated-board",
}
LACKING = next((what for what in ("ansible-rulebook", "java") if not shutil.which(what)), "")
"""The program that this machine lacks to run a rulebook."""


def switch(fleet: Fleet, do: str, *boards: str) -> None:
    """Switch ``boards`` ``on`` or ``off``."""
    for board in boards:
        subprocess.run([LAB, "power", "--state", fleet.state, board, do], check=True, timeout=TIMEOUT)


def registered(fleet: Fleet, boards: Iterable[str]) -> set[str]:
    """Those of ``boards`` that are registered in the cloud as the devices that they are now."""
    states = {device["id"]: device["state"] for device in fleet.cloud.call("GET", "/state")["devices"]}
    return {board for board in boards if states.get(_device_id(fleet, board)) == "registered"}


def _device_id(fleet: Fleet, board: str) -> str:
    """From the log of the board's client, read from outside, which costs the board nothing."""
    log = fleet.state / "boards" / board / "var/log/mbl-cloud-client.log"
    ids = re.findall(r"Device Id: (\w+)", log.read_text()) if log.exists() else []
    return ids[-1] if ids else ""


class Rulebook:
    """The collection's rulebook, started in ``directory`` as a user does, with options of the event source changed.

    The inventory is the one that comes with the collection, with ``variables`` for the group mbl.
    """

    def __init__(self, fleet: Fleet, directory: Path, variables: Mapping[str, Any], **options: Any) -> None:
        self.directory = directory
        home = directory / "home"
        home.mkdir(mode=0o700)
        self.password = "a rulebook's vault password"
        (home / "vault-password").write_text(f"{self.password}\n")
        shutil.copytree(ROOT / "inventory", directory / "inventory")
        (directory / "inventory/group_vars/mbl.yml").write_text(yaml.safe_dump({**VARIABLES, **variables}))
        command = [*COMMAND.split(), "--print-events"]
        if options:
            (ruleset,) = yaml.safe_load(RULEBOOK.read_text())
            ruleset["sources"][0]["pelion.mbl.mbl_mdns"].update(options)
            (directory / "rulebook.yml").write_text(yaml.safe_dump([ruleset]))
            command[command.index(NAME)] = "rulebook.yml"
        environment = {
            **os.environ,
            "HOME": str(home),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(home / "vault-password"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build"),
            "ANSIBLE_NOCOLOR": "1",
            "TMPDIR": str(directory),
        }
        environment.pop("ANSIBLE_INVENTORY", None)
        self._log = (directory / "output").open("wb")
        self._process = subprocess.Popen(
            [LAB, "run", "--state", fleet.state, "--", *command],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Rulebook:
        return self

    def __exit__(self, *_error: object) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                os.killpg(self._process.pid, number)
                try:
                    self._process.wait(20)
                except subprocess.TimeoutExpired:
                    continue
        self._log.close()

    @property
    def output(self) -> str:
        return (self.directory / "output").read_text(errors="replace")

    @property
    def runs(self) -> int:
        """How many runs have begun to work."""
        return self.output.count("TASK [pelion.mbl.provision_pelion : Ask the board what it holds]")

    def wait(self, condition: Callable[[], object], seconds: float = TIMEOUT) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self._process.poll() is None, f"ansible-rulebook ended: {self.output[-5000:]}"
            assert time.monotonic() < deadline, f"not in time: {self.output[-5000:]}"
            time.sleep(0.2)
