# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each mistake ends in one clear error that tells what to do, before anything was changed."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from credential_samples import a_certificate
from fleet import Fleet, Play, Provision

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm


@pytest.fixture
def nothing_changes(fleet: Fleet) -> Iterator[None]:
    """Fails when boards or account are not as they were before the test."""
    certificates = len(fleet.cloud.call("GET", "/state")["certificates"])
    yield
    assert len(fleet.cloud.call("GET", "/state")["certificates"]) == certificates
    for board in fleet.boards:
        assert fleet.content(board) == ""


def errors(play: Play) -> list[str]:
    """The hosts of the errors that Ansible shows."""
    return re.findall(r"^(?:fatal|failed): \[(.*?)\]", play.stdout, re.MULTILINE)


MISTAKES = {
    "no vault secret": ({"vault": False}, "--ask-vault-pass"),
    "no API key": ({"environment": {"WITHOUT_KEY": "1"}}, "PELION_API_KEY"),
    "a wrong API key": ({"key": "ak_wrong"}, "API key"),
    "no name of the certificate": (
        {"options": ["-e", "provision_pelion_dev_cert="]},
        "Set provision_pelion_dev_cert",
    ),
    "a cloud that is not there": ({"host": "https://localhost:9"}, "localhost:9"),
    "a C file that is none": ({"options": ["-e", f"provision_pelion_update_src={__file__}"]}, "test_bad_input.py"),
    "a C file that is not there": (
        {"options": ["-e", "provision_pelion_update_src=/no/such/file.c"]},
        "/no/such/file.c",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_error_tells_what_to_do(fleet: Fleet, home: Path, nothing_changes: None, mistake: str) -> None:
    how, text = MISTAKES[mistake]
    # `lab run` points to its own cloud, so other keys and hosts are set behind it.
    api = []
    if "environment" in how:
        api = ["env", "-u", "PELION_API_KEY", "-u", "MBED_CLOUD_SDK_API_KEY"]
    elif "key" in how:
        api = ["env", f"PELION_API_KEY={how['key']}"]
    elif "host" in how:
        api = ["env", f"PELION_API_HOST={how['host']}"]
    secret = ["--vault-password-file", home / "vault-password"] if how.get("vault", True) else []
    play = fleet.run(
        *api,
        "ansible-playbook",
        "playbooks/provision.yml",
        *secret,
        *how.get("options", []),
        environment={"HOME": str(home)},
    )
    assert play.returncode != 0
    assert len(errors(play)) == 1, play.output
    assert text in play.output
    assert "Traceback" not in play.output
    # The developer certificate may be asked for before the C file is read: it is not made.
    assert not list(home.glob(".mbl-store/team/*.yml"))


@pytest.mark.parametrize("playbook", ["provision", "rotate"])
def test_an_inventory_that_is_not_there_is_no_success(fleet: Fleet, home: Path, playbook: str) -> None:
    play = fleet.run(
        "ansible-playbook", "-i", "/no/inventry/", f"playbooks/{playbook}.yml", environment={"HOME": str(home)}
    )
    assert play.returncode != 0
    assert "or the inventory was not read" in play.output and "check -i" in play.output


@pytest.mark.parametrize("playbook", ["deprovision", "remove_gone", "forget_host"])
def test_boards_must_be_named(fleet: Fleet, home: Path, nothing_changes: None, playbook: str) -> None:
    play = fleet.run("ansible-playbook", f"playbooks/{playbook}.yml", environment={"HOME": str(home)})
    assert play.returncode != 0
    assert len(errors(play)) == 1, play.output
    assert "Name the boards with -e boards=NAME,NAME." in play.output
    assert "not reached" not in play.output
    assert "duplicate" not in play.output


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("device=suspend", "device can be removed or suspended, not suspend."),
        ("certificate=delete", "certificate can be kept, inactive or removed, not delete."),
    ],
)
def test_a_misspelt_choice_is_told(fleet: Fleet, home: Path, nothing_changes: None, choice: str, told: str) -> None:
    play = fleet.run(
        *("ansible-playbook", "playbooks/deprovision.yml", "-e", f"boards={fleet.boards[0]}", "-e", choice),
        environment={"HOME": str(home)},
    )
    assert play.returncode != 0
    assert len(errors(play)) == 1 and told in play.output


@pytest.mark.parametrize("playbook", ["deprovision", "remove_gone", "forget_host"])
def test_a_misspelt_board_is_told(fleet: Fleet, home: Path, nothing_changes: None, playbook: str) -> None:
    meant = fleet.boards[0]
    misspelt = ["-e", f"boards={meant}1"]
    play = fleet.run("ansible-playbook", f"playbooks/{playbook}.yml", *misspelt, environment={"HOME": str(home)})
    assert "neither in the inventory nor among the boards that the team remembers" in play.output
    # What removes boards does not suggest one that is there.
    removes = playbook == "remove_gone"
    assert ("Did you mean mbed-linux-os-" in play.output) != removes
    assert "What is gone for good" not in play.output
    assert play.returncode == 2 and len(errors(play)) == 1, play.output


def test_a_board_without_the_utility_fails_alone(fleet: Fleet, provision: Provision) -> None:
    lacking, *others = fleet.boards
    fleet.on(lacking, "mv /opt/arm/pelion-provisioning-util /opt/arm/genuine")
    play = provision()
    assert errors(play) == [lacking]
    assert "/opt/arm/pelion-provisioning-util" in play.output
    assert "update the board" in play.output
    assert fleet.content(lacking) == ""
    assert all(play.recap[board].failed == 0 and play.recap[board].changed for board in others)


def test_a_board_with_a_certificate_of_the_year_950_is_told_alone(
    fleet: Fleet, home: Path, provision: Provision
) -> None:
    odd, *others = fleet.boards
    der = a_certificate(end=datetime(2055, 5, 5, 5, 5, 5, tzinfo=timezone.utc))
    name = kcm.UPDATE_CERTIFICATE.encode()
    file = struct.pack("<HHH", 1, 0, len(name)) + name + b"\0\0" + der.replace(b"20550505", b"09500505") + b"M" * 16
    octal = "".join(f"\\{byte:03o}" for byte in file)
    at = kcm.file_name(kcm.UPDATE_CERTIFICATE)
    working, backup = (f"/config/user/pal/{copy}" for copy in ("WORKING", "BACKUP"))
    fleet.on(odd, f"mkdir -p {working} {backup}; printf '{octal}' >{working}/{at}; cp {working}/{at} {backup}/")
    # In an empty store, no key would be made beside a board with an unknown certificate.
    assert provision("--limit", others[0]).returncode == 0
    play = provision()
    assert errors(play) == [odd], play.output
    assert "holds an update certificate" in play.output and "Traceback" not in play.output
    assert play.recap[others[1]].changed and not play.recap[others[1]].failed
    wide = {"HOME": str(home), "COLUMNS": "250"}  # a table that has room for the certificates
    status = fleet.run("ansible-playbook", "playbooks/status.yml", environment=wide)
    assert "(0950-05-05)" in status.output and "Traceback" not in status.output
    assert status.output.count("  registered  ") == len(others), status.output


def test_a_board_that_is_not_reached_fails_alone(fleet: Fleet, provision: Provision) -> None:
    hung, *others = fleet.boards
    fleet.on(hung, "killall -STOP dropbear")
    try:
        play = provision("-e", "ansible_timeout=5")
    finally:
        fleet.on(hung, "killall -CONT dropbear")
    assert play.recap[hung].unreachable == 1, play.output
    assert fleet.content(hung) == ""
    assert all(play.recap[board].failed == 0 and play.recap[board].changed for board in others)
