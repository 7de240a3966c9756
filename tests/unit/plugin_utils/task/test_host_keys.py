# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host keys a board is compared with, by the ssh of this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.ssh import pinned
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.host_keys import HostKeys
from ansible_collections.pelion.mbl.plugins.plugin_utils.task.host_keys import (
    SshSettings,
    SshSettingsError,
    fingerprints,
    host_keys_of,
    known_by_key,
)

PIN = "SHA256:" + "p" * 43


def make_key(place: Path) -> tuple[str, str]:
    """A public key as known_hosts has it, and its fingerprint by ssh-keygen."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", place], check=True)
    public = " ".join(place.with_suffix(".pub").read_text().split()[:2])
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", place.with_suffix(".pub")], check=True, capture_output=True, text=True
    )
    return public, shown.stdout.split()[1]


@pytest.fixture
def key(tmp_path: Path) -> tuple[str, str]:
    return make_key(tmp_path / "key")


class Connection:
    """As Ansible's connection plugin gives its options."""

    transport = "ssh"

    def __init__(self, **options: Any) -> None:
        self._options = {"ssh_executable": "ssh", "host": "fe80::1", **options}

    def get_option(self, name: str) -> Any:
        return self._options.get(name)


def noted_in(known_hosts: Path, board: str = "board-1") -> str:
    quoted = str(known_hosts).replace("%", "%%")
    return (
        f"-F none -o HostKeyAlias={board} -o StrictHostKeyChecking=accept-new -o 'UserKnownHostsFile=\"{quoted}\"'"
        " -o GlobalKnownHostsFile=/dev/null"
    )


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("name", ["known_hosts", "known hosts 100%"])
def test_the_fingerprint_is_the_one_that_ssh_shows(
    tmp_path: Path, key: tuple[str, str], hashed: bool, name: str
) -> None:
    known_hosts = tmp_path / name
    known_hosts.write_text(f"# a comment\n\nother {key[0]}x\nboard-1,[fe80::1]:22 {key[0]}\n")
    if hashed:
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", known_hosts], check=True, capture_output=True)
    task_vars = {"mbl_known_hosts": str(known_hosts)}
    found = host_keys_of(Connection(ssh_common_args=noted_in(known_hosts)), task_vars)
    assert found == HostKeys((key[1],))
    assert host_keys_of(Connection(ssh_common_args=noted_in(known_hosts, "board-2")), task_vars) == HostKeys()


def test_a_key_of_the_boards_address_is_not_one_of_the_board(tmp_path: Path, key: tuple[str, str]) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"fe80::1 {key[0]}\n[fe80::1]:2222 {key[0]}\n")
    with_alias = Connection(ssh_common_args=noted_in(known_hosts), port=2222)
    assert host_keys_of(with_alias, {"mbl_known_hosts": str(known_hosts)}).fingerprints == ()
    without = f"-F none -o UserKnownHostsFile={known_hosts} -o GlobalKnownHostsFile=/dev/null"
    for port in (22, 2222):
        assert host_keys_of(Connection(ssh_common_args=without, port=port), {}).fingerprints == (key[1],)


def test_every_key_that_ssh_would_accept_counts(tmp_path: Path, key: tuple[str, str]) -> None:
    other, authority = make_key(tmp_path / "other"), make_key(tmp_path / "authority")
    user, system = tmp_path / "user", tmp_path / "system"
    user.write_text(f"board-1 {key[0]}\nboard-* {other[0]}\n!board-1,* {authority[0]}x\n")
    system.write_text(f"@cert-authority * {authority[0]}\n")
    arguments = f"-F none -o HostKeyAlias=board-1 -o UserKnownHostsFile={user} -o GlobalKnownHostsFile={system}"
    found = host_keys_of(Connection(ssh_common_args=arguments), {})
    assert set(found.fingerprints) == {key[1], other[1], authority[1]}


@pytest.mark.parametrize(
    "options",
    [
        {"host_key_checking": False},
        {"ssh_args": "-o StrictHostKeyChecking=no"},
        {"ssh_args": "-oStrictHostKeyChecking=off -o StrictHostKeyChecking=yes"},
        {"ssh_extra_args": "-o StrictHostKeyChecking=no", "ssh_common_args": "-F none -o HostKeyAlias=board-1"},
        {"ssh_args": "-o 'stricthostkeychecking no'"},
    ],
)
def test_with_checking_off_no_key_proves_anything(tmp_path: Path, key: tuple[str, str], options: Any) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"board-1 {key[0]}\n")
    connection = Connection(**{"ssh_common_args": noted_in(known_hosts), **options})
    found = host_keys_of(connection, {"mbl_known_hosts": str(known_hosts), "mbl_host_key_pins": [PIN]})
    assert found.fingerprints == ()
    assert not found.pinned
    assert "StrictHostKeyChecking" in found.doubt


def test_the_first_of_ssh_s_options_counts(tmp_path: Path, key: tuple[str, str]) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"board-1 {key[0]}\n")
    late = f"{noted_in(known_hosts)} -o StrictHostKeyChecking=no"
    assert host_keys_of(Connection(ssh_common_args=late), {}).fingerprints == (key[1],)
    config = tmp_path / "config"
    config.write_text("Host *\n  StrictHostKeyChecking no\n")
    own = f"-F {config} -o HostKeyAlias=board-1 -o UserKnownHostsFile={known_hosts}"
    assert host_keys_of(Connection(ssh_common_args=own), {}).unproven


def test_pins_are_known_keys_where_ssh_goes_by_them(tmp_path: Path, key: tuple[str, str]) -> None:
    task_vars = {"mbl_host_key_pins": [PIN, key[1]], "mbl_known_hosts": str(tmp_path / "none")}
    arguments = f"-F none -o HostKeyAlias=board-1 {pinned([key[1], PIN])}"
    assert host_keys_of(Connection(ssh_common_args=arguments), task_vars) == HostKeys(
        tuple(sorted((PIN, key[1]))), pinned=True
    )
    for other in (f"-F none {pinned([PIN])}", "-F none -o 'KnownHostsCommand=/bin/echo x'"):
        assert "KnownHostsCommand" in host_keys_of(Connection(ssh_common_args=other), task_vars).unproven
    replaced = "-F none -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null"
    assert host_keys_of(Connection(ssh_common_args=replaced), task_vars) == HostKeys()


def test_a_board_whose_answer_is_of_no_use_is_known_by_its_key(tmp_path: Path, key: tuple[str, str]) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"board-1 {key[0]}\n")
    connection = Connection(ssh_common_args=noted_in(known_hosts))
    with pytest.raises(BoardError) as raised, known_by_key(connection, {}):
        raise BoardError.of("bad-answer")
    assert raised.value.facts["host_keys"] == [key[1]]


def test_what_ssh_does_not_say_proves_nothing(tmp_path: Path) -> None:
    assert "cannot be run" in host_keys_of(Connection(ssh_executable=tmp_path / "none"), {}).unproven
    assert "fails" in host_keys_of(Connection(ssh_args="-o NoSuchOption=1"), {}).unproven
    with_tokens = SshSettings.read("userknownhostsfile /home/a/%k")
    with pytest.raises(SshSettingsError, match="%k"):
        list(with_tokens.known_hosts(""))
    assert "DNS" in host_keys_of(Connection(ssh_args="-F none -o VerifyHostKeyDNS=yes"), {}).unproven
    other = Connection()
    other.transport = "local"
    assert "local" in host_keys_of(other, {}).unproven
    assert HostKeys().doubt


def test_no_file_no_keys(tmp_path: Path) -> None:
    assert host_keys_of(Connection(ssh_common_args=noted_in(tmp_path / "none")), {}) == HostKeys()


def test_keys_survive_the_way_from_task_to_task() -> None:
    for keys in (HostKeys(), HostKeys((PIN,), pinned=True), HostKeys(unproven="x")):
        assert HostKeys.from_json(keys.to_json()) == keys


def test_revoked_keys_are_no_keys_of_the_board(key: tuple[str, str]) -> None:
    revoked = f"@revoked * {key[0]}"
    assert list(fingerprints([revoked, f"board {key[0]}"], ["board"])) == []
    assert list(fingerprints([f"@revoked other {key[0]}", f"board {key[0]}"], ["board"])) == [key[1]]


@given(st.lists(st.text(alphabet="|1=ab board,#@*?!\u00e9", max_size=40)))
def test_any_line_is_read_without_an_error(lines: list[str]) -> None:
    list(fingerprints(lines, ["board"]))
