# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power goes at any moment of the controller's work on a store: each entry is the old one or the new one, whole,
and what a call has said to be done stays done."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from power_cut import Disk, Files, Mood, requires_disks, run_stopping

pytestmark = requires_disks()

SECRET = "the text that nobody else may read"
ROOT = Path(__file__).parents[2]

# After each step it names the step in a system call that can be seen, and prints what the store's files should be.
WORK = f"""
import contextlib, hashlib, json, os, sys
from dataclasses import dataclass
from pathlib import Path
from ansible.parsing.vault import VaultSecret
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import Vault

@dataclass(frozen=True)
class Note:
    KIND = "note"
    text: str
    def to_document(self):
        return {{"text": self.text}}
    @classmethod
    def from_document(cls, document, source):
        return cls(document["text"])

store = Store(Path(sys.argv[1], "parent/store"), Vault([("default", VaultSecret(b"secret"))], None), shared=True)
steps = [
    lambda: store.write("first", Note("{SECRET} 1")),
    lambda: store.write("second", Note("{SECRET} 2")),
    lambda: store.write("first", Note("{SECRET} 3" * 500)),
    lambda: store.remove(Note, "second"),
    lambda: store.write("second", Note("{SECRET} 4")),
]
for step in steps:
    step()
    files = {{path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in store.directory.glob("[!.]*")}}
    print(json.dumps(files))
    with contextlib.suppress(OSError):
        os.truncate("/step is done", 0)
"""
STEPS = 5


def entries(files: Files) -> dict[str, str]:
    """The store's files, but for the lock and for what a killed writer leaves."""
    names = {path.removeprefix("parent/store/"): digest for path, digest in files.items() if "parent/store/" in path}
    return {name: digest for name, digest in names.items() if not name.startswith(".")}


@pytest.mark.parametrize("mood", ["nothing", "commit", "sync", "1", "2", "3"])
def test_a_power_cut_leaves_whole_entries(tmp_path: Path, tell_row: Callable[[str], None], mood: str) -> None:
    disk = Disk(tmp_path / "disk", tmp_path / "mount")
    environment = ["env", f"PYTHONPATH={ROOT / '.build'}", "PYTHONDONTWRITEBYTECODE=1"]
    printed = []
    with disk.mounted() as directory:

        def run(at_stop: Callable[[Path], None]) -> None:
            ended = run_stopping([*environment, sys.executable, "-c", WORK, directory], directory, at_stop)
            assert ended.returncode == 0, ended.stdout.decode()
            printed.extend(json.loads(line) for line in ended.stdout.splitlines())

        stops = disk.stops(Mood(mood), run, [SECRET.encode()])
    states = [{}, *printed]
    assert len(states) == STEPS + 1
    done, verdicts = 0, []
    for stop in stops:
        if stop.call == "truncate /step is done":
            done += 1
        found = entries(stop.files)
        allowed = states[done : done + 2]
        assert found in allowed, f"after {done} steps, {stop.describe()}"
        verdicts.append("step done" if found == states[done] else "step ahead")
    assert done == STEPS
    tell_row("entries of a store", mood, verdicts)
