# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks that somebody runs on localhost, without a lab."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from documented import undocumented
from warm import commands

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "the vault's password"


@dataclass
class Ended:
    """An ended playbook: its tasks' results in their order, how many changed something, all that was printed."""

    results: list[dict[str, Any]]
    changed: int
    failed: bool
    output: str

    @property
    def msg(self) -> str:
        return self.results[-1]["msg"]


class User:
    """Somebody with a home directory, a vault password, and an environment of their own."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.secret = ["--vault-password-file", self.file("password", PASSWORD)]
        kept = {
            name: text for name, text in os.environ.items() if not name.startswith(("PELION_", "ANSIBLE_", "MBED_"))
        }
        self.environment = kept | {
            "HOME": str(home),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build"),
            "ANSIBLE_STDOUT_CALLBACK": "minimal",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
            **environment,
        }

    def file(self, name: str, content: str | bytes) -> str:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def run(
        self, *tasks: dict[str, Any], options: list[str] | None = None, secret: list[str] | None = None, **play: Any
    ) -> Ended:
        named = [{"name": f"Task {number}", **task} for number, task in enumerate(tasks)]
        plays = [{"name": "Test", "hosts": "localhost", "gather_facts": False, **play, "tasks": named}]
        playbook = self.file("playbook.yml", yaml.safe_dump(plays))
        secret = self.secret if secret is None else secret
        command = [commands() / "ansible-playbook", playbook, *secret, *(options or [])]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, cwd=self.home)
        output = done.stdout + done.stderr
        found = re.findall(r"^localhost \| (\w+)!? => (\{.*?^\})", done.stdout, re.MULTILINE | re.DOTALL)
        assert found, output
        assert "PRIVATE KEY" not in output and PASSWORD not in output
        results = [json.loads(result) for _status, result in found]
        if not any("loop" in task for task in tasks):
            for task, (status, _text), result in zip(tasks, found, results, strict=False):
                module = next((key for key in task if key.startswith("pelion.mbl.")), None)
                assert not module or status not in ("SUCCESS", "CHANGED") or not undocumented(module, result)
        return Ended(results, sum(status == "CHANGED" for status, _text in found), done.returncode != 0, output)

    def twice(self, *tasks: dict[str, Any], **how: Any) -> tuple[Ended, Ended]:
        """Run ``tasks`` two times; the first changes something by each, the second nothing."""
        first = self.run(*tasks, **how)
        before = self.snapshot()
        second = self.run(*tasks, **how)
        assert not first.failed and not second.failed, first.output + second.output
        assert (first.changed, second.changed) == (len(tasks), 0)
        assert self.snapshot() == before
        return first, second

    def snapshot(self) -> dict[Path, bytes]:
        """All files of the stores, with their content."""
        places = [self.home / ".mbl-store", self.home / ".mbl-stores.json", self.home / "signing"]
        files = [path for place in places for path in (place, *place.rglob("*")) if path.is_file()]
        return {path: path.read_bytes() for path in files}
