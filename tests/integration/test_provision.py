# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job, end to end."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import pytest
from fleet import ROOT, Fleet, Provision


def test_the_second_run_changes_nothing_and_costs_one_exchange(fleet: Fleet, provision: Provision) -> None:
    before = fleet.counts()
    # Connections that earlier tests left open must not be used.
    with tempfile.TemporaryDirectory() as sockets:
        environment = {"ANSIBLE_SSH_CONTROL_PATH_DIR": sockets}
        first = provision(environment=environment)
        after_first = fleet.counts()
        content = {board: fleet.content(board) for board in fleet.boards}
        second = provision(environment=environment)
    assert first.returncode == 0, first.output
    assert set(first.recap) == set(fleet.boards)
    assert second.returncode == 0, second.output
    after_second = fleet.counts()
    for board in fleet.boards:
        assert first.recap[board].changed >= 1
        assert second.recap[board].changed == 0
        assert after_first[board][0] - before[board][0] == 1, "ssh connections of the first run"
        assert after_first[board][1] - before[board][1] == 2, "exchanges of the first run"
        assert after_second[board][0] - after_first[board][0] <= 1, "ssh connections of the second run"
        assert after_second[board][1] - after_first[board][1] == 1, "exchanges of the second run"
        assert fleet.content(board) == content[board]


def test_names_that_are_vaulted_stand_in_the_report_of_the_second_run(
    fleet: Fleet, provision: Provision, home: Path
) -> None:
    """Since ansible-core 2.22, callbacks are shown `$REDACTED$` instead."""
    names = {"provision_pelion_site": "north", "provision_pelion_update_resources": "vaulted-update"}
    encrypt = ["ansible-vault", "encrypt_string", "--vault-password-file", home / "vault-password"]
    vaulted = [fleet.run(*encrypt, value, "--name", name).stdout for name, value in names.items()]
    (home / "vaulted.yml").write_text("\n".join(vaulted))
    options = ("-e", f"@{home / 'vaulted.yml'}", "-e", f"report={home / 'report'}")
    for outcome in ("changed", "ok"):
        play = provision(*options)
        assert play.returncode == 0, play.output
        files = {path.name: path.read_text() for path in (home / "report").iterdir()}
        assert len(files) == 5 and not [name for name, text in files.items() if "REDACTED" in text]
        boards = json.loads(files["fleet.json"])["boards"]
        assert {(board["site"], board["outcome"]) for board in boards} == {("north", outcome)}
        assert all(len(board["update_certificate"]["fingerprint"]) == 64 for board in boards)


def test_each_board_is_registered_under_the_certificate_of_the_store(
    fleet: Fleet, provision: Provision, home: Path
) -> None:
    assert provision().returncode == 0
    state = fleet.cloud.call("GET", "/state")
    logs = {board: fleet.on(board, "cat /var/log/mbl-cloud-client.log") for board in fleet.boards}
    registered = {device["id"] for device in state["devices"] if device["state"] == "registered"}
    for board, log in logs.items():
        device_id = log.rpartition("Device Id: ")[2].strip()
        assert device_id in registered, board


def test_a_newly_added_board_is_the_only_one_that_changes(fleet: Fleet, provision: Provision) -> None:
    assert provision().returncode == 0
    added = fleet.boards[0]
    fleet.make_fresh(added)
    play = provision()
    assert play.returncode == 0, play.output
    assert {board for board, recap in play.recap.items() if recap.changed} == {added}


def test_check_mode_foresees_and_changes_nothing(fleet: Fleet, provision: Provision, home: Path) -> None:
    certificates = len(fleet.cloud.call("GET", "/state")["certificates"])
    play = provision("--check", "--diff")
    assert play.returncode == 0, play.output
    assert all(recap.changed for recap in play.recap.values())
    assert f"{len(fleet.boards)} boards: {len(fleet.boards)} would be changed" in play.stderr
    assert len(fleet.cloud.call("GET", "/state")["certificates"]) == certificates
    for board in fleet.boards:
        assert fleet.on(board, "ls -A /config/user /scratch", check=False).split() == [
            "/config/user:",
            "dropbear",
            "hostname",
            "/scratch:",
        ]

    assert provision().returncode == 0
    again = provision("--check", "--diff")
    assert again.returncode == 0, again.output
    assert not any(recap.changed for recap in again.recap.values())


def test_the_diff_names_certificates(fleet: Fleet, provision: Provision) -> None:
    play = provision("--diff")
    assert '"developer_certificate": "none"' in play.stdout, play.stdout
    assert '"provisioned_by": "pelion.mbl"' in play.stdout


def test_the_store_is_readable_with_ansible_vault(fleet: Fleet, provision: Provision, home: Path) -> None:
    assert provision().returncode == 0
    entries = sorted((home / ".mbl-store" / "team").glob("*.yml"))
    assert len(entries) == 2
    for entry in entries:
        assert entry.read_bytes().startswith(b"$ANSIBLE_VAULT;")
        view = subprocess.run(
            [ROOT / ".venv/bin/ansible-vault", "view", "--vault-password-file", home / "vault-password", entry],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "kind: " in view.stdout


def test_status_playbook_lists_board_address_device_id_and_state(
    fleet: Fleet, provision: Provision, home: Path
) -> None:
    assert provision().returncode == 0
    play = fleet.run("ansible-playbook", ROOT / "playbooks/status.yml", environment={"HOME": str(home)})
    assert play.returncode == 0, play.output
    for board in fleet.status()["boards"]:
        line = next(line for line in play.stderr.splitlines() if board["name"] in line and "registered" in line)
        assert board["ipv6"] in line


def test_the_inventory_lists_the_boards_with_their_scope(fleet: Fleet, home: Path) -> None:
    play = fleet.run("ansible-inventory", "--graph", environment={"HOME": str(home)})
    assert all(f"--{board}" in play.stdout for board in fleet.boards)
    hosts = fleet.run("ansible-inventory", "--list", environment={"HOME": str(home)}).stdout
    for board in fleet.status()["boards"]:
        assert board["ipv6"] in hosts
        assert board["ipv4"] is None or board["ipv4"] in hosts


def test_the_playbook_runs_from_the_installed_collection(
    fleet: Fleet, provision: Provision, home: Path, tmp_path: Path
) -> None:
    subprocess.run(
        [ROOT / ".venv/bin/ansible-galaxy", "collection", "install", "-p", tmp_path, ROOT, "--force"],
        check=True,
        capture_output=True,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
    )
    play = fleet.run(
        "ansible-playbook",
        "pelion.mbl.provision",
        "--vault-password-file",
        home / "vault-password",
        environment={"HOME": str(home), "ANSIBLE_COLLECTIONS_PATH": str(tmp_path)},
    )
    assert play.returncode == 0, play.output
    assert set(play.recap) == set(fleet.boards)


@pytest.mark.parametrize("asked", ["-tt", "-F {home}/ssh_config"], ids=["ansible.cfg", "ssh_config"])
def test_a_terminal_that_the_user_asks_for_does_not_hold_an_injection(
    fleet: Fleet, provision: Provision, home: Path, asked: str
) -> None:
    """Long lines do not pass the terminal of a board's shell, which would be waited for without end."""
    (home / "ssh_config").write_text("Host *\n  RequestTTY force\n")
    arguments = f"{asked.format(home=home)} -o ControlMaster=no"
    play = provision("--limit", fleet.boards[0], environment={"ANSIBLE_SSH_ARGS": arguments})
    assert play.returncode == 0, play.output
    assert play.recap[fleet.boards[0]].changed >= 1
