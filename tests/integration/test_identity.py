# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards that are not what their names say: renamed, copied, or reached by an ssh that checks nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet import LAB, ROOT, Fleet, Play

Playing = Callable[..., Play]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet.up(tmp_path_factory.mktemp("lab") / "state", "--devices", "3")
    yield fleet
    fleet.down()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: they are one fleet's story."""
    home = tmp_path_factory.mktemp("home")
    (home / "vault-password").write_text("a test's vault password\n")
    return home


@pytest.fixture
def play(fleet: Fleet, home: Path) -> Playing:
    def run(name: str, *options: str | Path, **environment: str) -> Play:
        secret = ["--vault-password-file", home / "vault-password"]
        options = ("-e", "provision_pelion_dev_cert=identity", *options)
        return fleet.run(
            "ansible-playbook",
            ROOT / f"playbooks/{name}.yml",
            *secret,
            *options,
            environment={"HOME": str(home), "ANSIBLE_SSH_ARGS": "-o ControlMaster=no", **environment},
        )

    return run


def remembered(home: Path) -> dict[str, Any]:
    boards = json.loads((home / ".mbl-store/team/fleet.json").read_text())["boards"]
    assert isinstance(boards, dict)
    return boards


def noted_key(fleet: Fleet, home: Path, board: str) -> str:
    """The fingerprint of the host key that ssh notes at the first contact."""
    ping = fleet.run("ansible", board, "-m", "ansible.builtin.raw", "-a", "true", environment={"HOME": str(home)})
    assert ping.returncode == 0, ping.output
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-F", board, "-f", fleet.state / "known_hosts"], capture_output=True, text=True, check=True
    ).stdout
    return next(word for word in shown.split() if word.startswith("SHA256:"))


def roster(*entries: str) -> tuple[str, str]:
    return "-e", json.dumps({"provision_pelion_roster": entries})


def test_no_fingerprint_is_proven_while_ssh_checks_nothing(fleet: Fleet, home: Path, play: Playing) -> None:
    board = fleet.boards[0]
    key = noted_key(fleet, home, board)
    only = ("--limit", board)
    for off in ({"ANSIBLE_HOST_KEY_CHECKING": "False"}, {"ANSIBLE_SSH_ARGS": "-o StrictHostKeyChecking=off"}):
        for entry in (f"{board} {key}", key):
            refused = play("provision", *only, *roster(entry), **off)
            assert refused.returncode == 2, refused.output
            assert "host-key-unproven" in refused.output
            assert fleet.content(board) == ""
    assert "empty-roster" in play("provision", *only, *roster()).output
    assert fleet.content(board) == ""
    unset = play("provision", *only, "-e", "provision_pelion_roster={{ no_such_variable }}")
    assert unset.returncode == 2, unset.output
    assert fleet.content(board) == ""
    done = play("provision", *only, *roster(f"{board} {key}"))
    assert done.returncode == 0, done.output
    assert remembered(home)[board]["host_keys"] == [key]
    assert remembered(home)[board]["host_keys"] == [key]
    again = play("provision", *only, ANSIBLE_HOST_KEY_CHECKING="False")
    assert again.returncode == 0, again.output
    assert again.output.count("Nothing proves which boards answered") == 1
    assert remembered(home)[board]["host_keys"] == [key], "known keys are not replaced by none"


def test_keys_that_the_inventory_pins_are_known_keys(fleet: Fleet, home: Path, play: Playing) -> None:
    board = fleet.boards[2]
    key = noted_key(fleet, home, board)
    source = home / "mbl_mdns.yml"
    source.write_text(f"plugin: pelion.mbl.mbl_mdns\nroster: ['{board} {key}']\n")
    variables = {
        "provision_pelion_update_resources": "pinned",
        "provision_pelion_vendor_domain": "example.com",
        "provision_pelion_device_class": "board",
        "provision_pelion_new_boards": "refuse",
    }
    options = ("-i", source, "--limit", board, "-e", json.dumps(variables))
    assert board not in remembered(home)
    refused = play("provision", *options, ANSIBLE_HOST_KEY_CHECKING="False")
    assert refused.returncode == 2, refused.output
    known = play("provision", *options)
    assert known.returncode == 0, known.output
    assert remembered(home)[board]["host_keys"] == [key]


def test_a_renamed_board_is_the_same_board(fleet: Fleet, home: Path, play: Playing) -> None:
    assert play("provision").returncode == 0
    former = fleet.boards[1]
    before = remembered(home)[former]
    today = "mbed-linux-os-4711"
    fleet.rename(former, today)
    told = play("status")
    assert told.returncode == 0, told.output
    assert f"The team knows it as {former}" in told.output
    # Also once somebody whose ssh checks nothing has made its new name known.
    for known in (False, True):
        if known:
            assert play("provision", "--limit", today, ANSIBLE_HOST_KEY_CHECKING="False").returncode == 0
        assert (today in remembered(home)) == known
        refused = play("remove_gone", "-e", f"boards={former}")
        assert refused.returncode == 2, refused.output
        assert f"{former} is there: {today} has its ssh host key" in refused.output
    assert len(fleet.cloud.call("GET", "/state")["devices"]) == 3
    renamed = play("provision", "-e", "provision_pelion_new_boards=refuse")
    assert renamed.returncode == 0, renamed.output
    assert f"{today} (was {former})" in renamed.output
    assert "new to the team" not in renamed.output
    after = remembered(home)
    assert former not in after
    assert after[today]["device_id"] == before["device_id"]
    assert after[today]["host_keys"] == before["host_keys"]
    fleet.rename(former, former)
    assert play("provision").returncode == 0
    misspelt = play("remove_gone", "-e", f"boards={former}1")
    assert misspelt.returncode == 2, misspelt.output
    assert "Did you mean" not in misspelt.output


def test_a_board_that_was_removed_is_missed_no_longer(fleet: Fleet, home: Path, play: Playing) -> None:
    gone = fleet.boards[2]
    power = [LAB, "power", "--state", fleet.state, gone]
    subprocess.run([*power, "off"], check=True)
    try:
        assert f"not found: {gone}" in play("list").output
        removed = play("remove_gone", "-e", f"boards={gone}")
        assert removed.returncode == 0, removed.output
        assert f"{gone}: is no longer expected; device " in removed.output
        assert gone not in play("list").output
    finally:
        subprocess.run([*power, "on"], check=True)
    assert play("provision").returncode == 0


def test_a_copied_board_is_not_in_order(fleet: Fleet, home: Path, play: Playing) -> None:
    source, copy, third = fleet.boards
    device = remembered(home)[source]["device_id"]
    fleet.copy_storage(source, copy, host_key=True)
    refused = play("deprovision", "-e", f"boards={copy},{third}")
    assert refused.returncode == 2, refused.output
    assert f"Nothing was taken from any board, since {copy} did not answer: " in refused.output, refused.output
    assert fleet.content(third)
    forgotten = play("forget_host", "-e", f"boards={copy}")
    assert f"{copy}: its host key is forgotten by ssh and by the team" in forgotten.output, forgotten.output
    told = play("provision")
    assert told.returncode == 2, told.output
    assert {board: recap.failed for board, recap in told.recap.items()} == {source: 1, copy: 1, third: 0}
    assert told.output.count('"reason": "copied"') == 2
    alone = play("provision", "--limit", copy)
    assert alone.returncode == 2, alone.output
    assert '"reason": "copied"' in alone.output
    left = play("deprovision", "-e", f"boards={copy}")
    assert left.returncode == 0, left.output
    assert fleet.content(copy) == ""
    assert device in {entry["id"] for entry in fleet.cloud.call("GET", "/state")["devices"]}
