# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.task.host_keys import fingerprints, host_keys_of


@pytest.fixture
def key(tmp_path: Path) -> tuple[str, str]:
    """A public key as known_hosts has it, and its fingerprint by ssh-keygen."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "key"], check=True)
    public = " ".join((tmp_path / "key.pub").read_text().split()[:2])
    shown = subprocess.run(["ssh-keygen", "-l", "-f", tmp_path / "key.pub"], check=True, capture_output=True, text=True)
    return public, shown.stdout.split()[1]


@pytest.mark.parametrize("hashed", [False, True])
def test_the_fingerprint_is_the_one_that_ssh_shows(tmp_path: Path, key: tuple[str, str], hashed: bool) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"# a comment\n\nother {key[0]}x\nboard-1,[fe80::1]:22 {key[0]}\n")
    if hashed:
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", known_hosts], check=True, capture_output=True)
    task_vars = {"inventory_hostname": "board-1", "ansible_host": "fe80::1", "mbl_known_hosts": str(known_hosts)}
    assert host_keys_of(task_vars) == [key[1]]
    assert host_keys_of({**task_vars, "inventory_hostname": "board-2", "ansible_host": "fe80::2"}) == []
    assert host_keys_of({**task_vars, "inventory_hostname": "renamed", "ansible_host": "fe80::1"}) == [key[1]]


def test_no_file_no_keys(tmp_path: Path) -> None:
    assert host_keys_of({"inventory_hostname": "board", "mbl_known_hosts": str(tmp_path / "none")}) == []


def test_revoked_keys_and_authorities_are_no_keys_of_the_board(key: tuple[str, str]) -> None:
    assert list(fingerprints([f"@revoked board {key[0]}", f"@cert-authority board {key[0]}"], ["board"])) == []


@given(st.lists(st.text(alphabet="|1=ab board,#@\u00e9", max_size=40)))
def test_any_line_is_read_without_an_error(lines: list[str]) -> None:
    list(fingerprints(lines, ["board"]))
