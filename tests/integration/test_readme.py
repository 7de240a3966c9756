# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command that the README shows is run, as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest
from fleet import LAB, ROOT, TIMEOUT, Fleet
from terminal import at_a_terminal

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.signing_files import SigningFiles
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import (
    Recipe,
    derive_ids,
    make_update_resources,
)

BLOCKS = [
    textwrap.dedent(block)
    for block in re.findall(r"^ *```sh\n(.*?)^ *```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
]
# Lines, or several where a file is written: from its `<<'END'` to its END.
COMMANDS = [
    command.strip()
    for block in BLOCKS
    for command in re.findall(r".*<<'END'\n(?:.*\n)*?END\n|.+\n", block)
    if command.strip()
]
# Run by hand or by CI: this test is a part of it.
NOT_HERE = {"make test"}
PASSWORD = "a reader's vault password"


def test_the_demo(tmp_path: Path) -> None:
    """In this clone, whose tools are there already."""
    assert "make demo" in COMMANDS
    ended = subprocess.run(["make", "demo"], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert ended.stdout.count("PLAY RECAP") == 3
    assert "warning" not in (ended.stdout + ended.stderr).lower()
    table = ended.stderr[ended.stderr.rindex("device ID") :]
    assert len(re.findall(r"mbed-linux-os-\d+ +\S+ +[0-9a-f]{32} +registered", table)) == 5


@pytest.fixture(scope="module")
def reader(lab: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory with a clone of the project in it."""
    home = tmp_path_factory.mktemp("reader")
    clone = home / "mbl"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    for name in listed.stdout.splitlines():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, clone / name)
    for board in lab.boards:
        lab.make_fresh(board)
    return home


@pytest.mark.parametrize("command", [command for command in COMMANDS if not command.startswith("make")])
def test_a_command(reader: Path, lab: Fleet, command: str) -> None:
    """One after the other, as a reader would, in the lab instead of a bench; the password is typed at the prompt."""
    if command.startswith("export "):
        return  # in the lab, the key is another
    if command.startswith("mkdir -p manifest"):
        # What the reader does with the manifest tool.
        SigningFiles(reader / "bench/manifest").write(
            make_update_resources(Recipe(*derive_ids("example.com", "board")))
        )
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PELION_"))
    } | {
        "HOME": str(reader),
        "ANSIBLE_NOCOLOR": "1",
        # Without a path to this clone: what the reader installed is what runs.
        "ANSIBLE_COLLECTIONS_PATH": str(reader / ".ansible/collections"),
    }
    # Where the reader has gone before.
    gone = [earlier for earlier in COMMANDS[: COMMANDS.index(command)] if earlier.startswith("cd ")]
    script = "\n".join(["unset ANSIBLE_INVENTORY", *gone, command])
    output, status = at_a_terminal(
        [LAB, "run", "--state", lab.state, "--", "sh", "-c", script],
        reader / "mbl",
        environment,
        {"Vault password:": PASSWORD},
    )
    assert status == 0, output
    if "pelion.mbl.provision" in command:
        assert len(re.findall(r"mbed-linux-os-\d+ +: ok=.*changed=[1-9]", output)) == len(lab.boards)
        assert f"{len(lab.boards)} boards: {len(lab.boards)} changed" in output
        assert "remove the copy in clear: " in " ".join(output.split())
        assert "Unable to parse" not in output
    elif "pelion.mbl.status" in command:
        assert output.count(" registered") == len(lab.boards)
    elif "--graph" in command:
        assert all(board in output for board in lab.boards)


def test_all_commands_are_covered() -> None:
    assert set(COMMANDS) >= NOT_HERE
    assert len(COMMANDS) == len(set(COMMANDS))
