# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role over a fleet: each board by its own wishes, whatever the play does with its hosts."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from fleet import ROOT, Fleet, Play, Provision

CLIENTS = "for p in /proc/[0-9]*; do read c <$p/comm && [ $c = mbl-cloud-clien ] && echo $p; done 2>/dev/null; true"
"""Prints the processes of the board's cloud client."""


@pytest.fixture(scope="module")
def own_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    lab = Fleet.up(tmp_path_factory.mktemp("lab") / "state", "--devices", "4")
    yield lab
    lab.down()


@pytest.fixture
def fleet(own_lab: Fleet) -> Fleet:
    """Four fresh boards and a cloud without faults."""
    own_lab.cloud.call("DELETE", "/faults")
    own_lab.cloud.call("DELETE", "/device-faults")
    for board in own_lab.boards:
        own_lab.make_fresh(board)
    return own_lab


@pytest.fixture
def boards(fleet: Fleet) -> list[str]:
    """In the order in which Ansible has them."""
    return sorted(fleet.boards)


@pytest.fixture
def sockets() -> Iterator[str]:
    """Where ssh keeps its connections: what another test left open would not have its host key compared."""
    with tempfile.TemporaryDirectory() as directory:  # tmp_path is too long for a socket
        yield directory


@pytest.fixture
def provision(fleet: Fleet, home: Path, tmp_path: Path, sockets: str, request: pytest.FixtureRequest) -> Provision:
    """Run the role in a play of the test's own: ``provision(*options, play={...}, boards={name: variables})``."""
    defaults = {
        "provision_pelion_dev_cert": re.sub("[^a-z0-9]+", "-", request.node.name).strip("-")[:90],
        "provision_pelion_update_resources": "update",
        "provision_pelion_vendor_domain": "lab.pelion.test",
        "provision_pelion_device_class": "simulated-board",
    }

    def run(
        *options: str,
        play: dict[str, Any] | None = None,
        boards: dict[str, dict[str, Any]] | None = None,
        roles: list[dict[str, Any]] | None = None,
        **variables: Any,
    ) -> Play:
        inventory = {"mbl": {"vars": {**defaults, **variables}, "hosts": boards or {}}}
        (tmp_path / "boards.yml").write_text(yaml.safe_dump(inventory))
        role = {"role": "pelion.mbl.provision_pelion"}
        (tmp_path / "play.yml").write_text(
            yaml.safe_dump([{"hosts": "mbl", "gather_facts": False, "roles": roles or [role], **(play or {})}])
        )
        return fleet.run(
            "ansible-playbook",
            tmp_path / "play.yml",
            "-i",
            tmp_path / "boards.yml",
            "-i",
            ROOT / "inventory/mbl_mdns.yml",
            "--vault-password-file",
            home / "vault-password",
            *options,
            environment={"HOME": str(home), "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets},
        )

    return run


def held(fleet: Fleet, board: str) -> dict[str, str]:
    """What the record on ``board`` says."""
    lines = fleet.on(board, "cat /config/user/pelion-mbl.record 2>/dev/null", check=False).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def is_provisioned(fleet: Fleet, board: str) -> bool:
    return "kcm" in held(fleet, board)


def test_each_board_gets_its_own_credentials(fleet: Fleet, provision: Provision, boards: list[str]) -> None:
    own = {
        boards[0]: {"provision_pelion_dev_cert": "own-a", "provision_pelion_update_resources": "update-a"},
        boards[1]: {"provision_pelion_dev_cert": "own-b", "provision_pelion_update_resources": "update-b"},
        boards[2]: {"provision_pelion_dev_cert": "own-b", "provision_pelion_spread": True},
    }
    play = provision(boards=own)
    assert play.returncode == 0, play.output
    developer = [held(fleet, board)["developer_certificate"] for board in boards]
    update = [held(fleet, board)["update_certificate"] for board in boards]
    assert len(set(developer)) == 4
    assert len(set(update)) == 3
    assert update[2] == update[3]
    again = provision(boards=own)
    assert again.returncode == 0, again.output
    assert not any(recap.changed for recap in again.recap.values())


@pytest.mark.parametrize(
    "keywords",
    [
        {"serial": 2},
        {"serial": [1, "100%"], "max_fail_percentage": 0},
        {"any_errors_fatal": True},
        {"order": "reverse_sorted"},
        {"strategy": "debug"},
    ],
    ids=json.dumps,
)
def test_the_plays_keywords_make_no_difference(
    fleet: Fleet, provision: Provision, boards: list[str], keywords: dict[str, Any]
) -> None:
    first = provision(play=keywords)
    assert first.returncode == 0, first.output
    assert all(is_provisioned(fleet, board) for board in boards)
    second = provision(play=keywords)
    assert second.returncode == 0, second.output
    assert set(second.recap) == set(boards)
    assert not any(recap.changed or recap.failed for recap in second.recap.values())


@pytest.mark.parametrize("strategy", ["free", "host_pinned"])
def test_strategies_that_decide_for_each_host_are_refused_before_anything_is_done(
    fleet: Fleet, provision: Provision, boards: list[str], strategy: str
) -> None:
    before = fleet.counts()
    play = provision(play={"strategy": strategy})
    assert play.returncode != 0
    assert play.output.count("bypasses the host loop") == 1
    assert fleet.counts() == before


@pytest.mark.parametrize("name", ["a-dead-board", "mbed-linux-os-5"], ids=["first", "among the others"])
@pytest.mark.parametrize("ignored", [True, False], ids=["ignored", "not ignored"])
def test_a_dead_board_takes_nobody_with_it(
    fleet: Fleet, provision: Provision, boards: list[str], name: str, ignored: bool
) -> None:
    dead = {name: {"ansible_host": "127.0.0.1", "ansible_port": 9}}
    play = provision(boards=dead, play={"ignore_unreachable": ignored})
    assert (play.returncode == 0) == ignored, play.output
    assert play.recap[name].unreachable == (0 if ignored else 1)
    assert all(is_provisioned(fleet, board) for board in boards)


def test_a_refused_first_board_takes_nobody_with_it(fleet: Fleet, provision: Provision, boards: list[str]) -> None:
    play = provision(boards={boards[0]: {"provision_pelion_roster": ["nobody"]}})
    assert play.returncode == 2
    assert play.recap[boards[0]].failed == 1
    assert "not in the roster" in play.output
    assert '"reason": "not-in-roster"' in play.output
    assert [is_provisioned(fleet, board) for board in boards] == [False, True, True, True]


def test_a_board_in_another_play_is_none_of_this_ones_business(
    fleet: Fleet, provision: Provision, boards: list[str]
) -> None:
    play = provision("--limit", f"{boards[1]},{boards[3]}")
    assert play.returncode == 0, play.output
    assert [is_provisioned(fleet, board) for board in boards] == [False, True, False, True]


def test_the_role_twice_in_a_play(fleet: Fleet, provision: Provision, boards: list[str]) -> None:
    role = "pelion.mbl.provision_pelion"
    keep = {"provision_pelion_when_bootstrapped": "keep_identity"}
    roles = [
        {"role": role, "provision_pelion_dev_cert": "twice-a"},
        {"role": role, "provision_pelion_dev_cert": "twice-b", **keep},
    ]
    play = provision(roles=roles)
    assert play.returncode == 0, play.output
    states = fleet.cloud.call("GET", "/state")
    ids = {entry["id"]: entry["name"] for entry in states["certificates"]}
    registered = [ids.get(d["ca_id"]) for d in states["devices"] if d["state"] == "registered"]
    assert registered.count("twice-b") == len(boards)


def test_an_empty_team_store_takes_no_board_its_update_certificate(
    fleet: Fleet, provision: Provision, boards: list[str], tmp_path: Path
) -> None:
    assert provision("--limit", boards[0]).returncode == 0
    before = fleet.content(boards[0])
    made = len(fleet.cloud.call("GET", "/state")["certificates"])
    empty = {"provision_pelion_team_store": str(tmp_path / "another"), "provision_pelion_dev_cert": "of-another-store"}
    for options in (["--check"], []):
        play = provision(*options, **empty)
        assert play.returncode == 2
        assert "does not know" in play.output
        assert str(tmp_path / "another") in play.output
        assert "No key is made" in play.output
    assert fleet.content(boards[0]) == before
    assert not any(is_provisioned(fleet, board) for board in boards[1:])
    assert len(fleet.cloud.call("GET", "/state")["certificates"]) == made
    assert not list(tmp_path.glob("another/*.yml"))

    policies = {
        "provision_pelion_when_update_unknown": "replace",
        "provision_pelion_when_bootstrapped": "keep_identity",
    }
    play = provision(**empty, **policies)
    assert play.returncode == 0, play.output
    assert fleet.content(boards[0]) != before


def test_a_device_deleted_in_the_directory_comes_back(fleet: Fleet, provision: Provision, boards: list[str]) -> None:
    assert provision().returncode == 0
    device_id = held_device_id(fleet, boards[1])
    delete = fleet.run("ansible", "localhost", "-m", "pelion.mbl.pelion_device", "-a", f"ids={device_id} state=absent")
    assert delete.returncode == 0, delete.output
    play = provision()
    assert play.returncode == 0, play.output
    assert {board for board, recap in play.recap.items() if recap.changed} == {boards[1]}
    registered = {d["id"] for d in fleet.cloud.call("GET", "/state")["devices"] if d["state"] == "registered"}
    assert held_device_id(fleet, boards[1]) in registered
    assert not any(recap.changed for recap in provision().recap.values())


def held_device_id(fleet: Fleet, board: str) -> str:
    return fleet.on(board, "cat /var/log/mbl-cloud-client.log").rpartition("Device Id: ")[2].split()[0]


def test_a_board_that_cannot_register_fails_alone(fleet: Fleet, provision: Provision, boards: list[str]) -> None:
    assert provision().returncode == 0
    lost = boards[2]
    fleet.on(lost, "mv /opt/arm/mbl-cloud-client /opt/arm/lost-client; killall -9 mbl-cloud-client")
    try:
        play = provision(provision_pelion_registration_timeout=3)
    finally:
        fleet.on(lost, "mv /opt/arm/lost-client /opt/arm/mbl-cloud-client")
    assert play.returncode == 2
    assert {board for board, recap in play.recap.items() if recap.failed} == {lost}


def test_without_waiting_nothing_is_claimed(fleet: Fleet, provision: Provision, boards: list[str]) -> None:
    play = provision(provision_pelion_registration_timeout=0)
    assert play.returncode == 0, play.output
    assert all(is_provisioned(fleet, board) for board in boards)


def test_a_misspelt_variable_is_told(provision: Provision, boards: list[str], fleet: Fleet) -> None:
    play = provision(boards={boards[0]: {"provision_pelion_spred": True}})
    assert "provision_pelion_spred is not a variable of the role" in play.output
    assert "Did you mean provision_pelion_spread?" in play.output
    assert play.recap[boards[0]].failed == 1
    assert [is_provisioned(fleet, board) for board in boards] == [False, True, True, True]


def test_a_roster_lets_keys_to_known_boards_only(fleet: Fleet, provision: Provision, boards: list[str]) -> None:
    play = provision("--limit", boards[0], provision_pelion_roster=[boards[0]])
    assert play.returncode == 0, play.output
    assert "new to the team" not in play.output
    exchanges = fleet.counts()
    play = provision(provision_pelion_roster=[boards[0]])
    assert play.returncode == 2
    for board in boards[1:]:
        assert play.recap[board].failed == 1
        assert fleet.counts()[board][1] - exchanges[board][1] == 1, "it was asked and nothing else"
        assert not is_provisioned(fleet, board)

    keys = (fleet.state / "known_hosts").read_text()
    line = next(line for line in keys.splitlines() if line.startswith(boards[1]))
    fingerprint = fleet.run("sh", "-c", f"echo '{line}' | ssh-keygen -l -f - | cut -d' ' -f2").stdout.strip()
    assert fingerprint.startswith("SHA256:")
    play = provision(provision_pelion_roster=[boards[0], fingerprint])
    assert {board for board, recap in play.recap.items() if not recap.failed} == set(boards[:2]), play.output


def test_new_boards_are_acknowledged_where_that_is_the_policy(
    fleet: Fleet, provision: Provision, boards: list[str]
) -> None:
    assert provision("--limit", boards[0]).returncode == 0
    play = provision(provision_pelion_new_boards="refuse")
    assert play.returncode == 2
    assert {board for board, recap in play.recap.items() if not recap.failed} == {boards[0]}
    play = provision()
    assert play.returncode == 0
    assert "new to the team and get keys" in play.output
    again = provision(provision_pelion_new_boards="refuse")
    assert again.returncode == 0, again.output
    assert "new to the team" not in again.output


def test_boards_of_one_play_have_one_team(provision: Provision, boards: list[str], tmp_path: Path) -> None:
    play = provision(boards={boards[1]: {"provision_pelion_team_store": str(tmp_path / "theirs")}})
    assert play.returncode == 2
    assert "different stores or accounts" in play.output


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("when_bootstrapped=sometimes", "when_bootstrapped must be one of: refuse, keep_identity, new_identity"),
        ("registration_timeout=long", "registration_timeout' is of type"),
        ("renew_before_days=soon", "renew_before_days' is of type"),
    ],
)
def test_a_wrong_value_is_told_once_by_the_name_of_the_variable(
    fleet: Fleet, home: Path, boards: list[str], value: str, told: str
) -> None:
    play = fleet.run(
        *("ansible-playbook", "-i", ROOT / "inventory/mbl_mdns.yml", ROOT / "playbooks/provision.yml"),
        *("--vault-password-file", home / "vault-password", "-e", f"provision_pelion_{value}"),
        environment={"HOME": str(home)},
    )
    assert play.returncode == 2
    assert "All 4 boards: " in play.output and f"provision_pelion_{told}" in play.output
    assert play.output.count("fatal: [") == 1


UNFIT = {
    "no vault secret": "was given no vault secret",
    "another store's vault secret": "opens any of the 1 entries",
    "a wrong API key": "API key",
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_what_all_need_is_told_once_before_any_board_is_asked(
    fleet: Fleet, home: Path, boards: list[str], unfit: str
) -> None:
    api: list[str] = []
    secret: list[Any] = ["--vault-password-file", home / "vault-password"]
    if unfit == "no vault secret":
        secret = []
    elif unfit == "a wrong API key":
        api = ["env", "PELION_API_KEY=ak_wrong"]
    else:
        team = home / ".mbl-store" / "team"
        team.mkdir(parents=True)
        theirs = VaultLib([("default", VaultSecret(b"another team's"))])
        (team / "update.update-resources.yml").write_bytes(theirs.encrypt(b"entry", theirs.secrets[0][1]))
    before = fleet.counts()
    play = fleet.run(
        *api,
        "ansible-playbook",
        "-i",
        ROOT / "inventory/mbl_mdns.yml",
        ROOT / "playbooks/provision.yml",
        *secret,
        "-e",
        "provision_pelion_dev_cert=unfit",
        environment={"HOME": str(home)},
    )
    assert play.returncode == 2
    assert UNFIT[unfit] in play.output
    assert play.output.count("fatal: [") == 1
    assert fleet.counts() == before


def test_a_rotated_log_is_no_reason_to_touch_a_healthy_board(
    fleet: Fleet, provision: Provision, boards: list[str]
) -> None:
    assert provision().returncode == 0
    before = fleet.on(boards[0], CLIENTS)
    fleet.on(boards[0], "rm /var/log/mbl-cloud-client.log*; : >/var/log/mbl-cloud-client.log")
    play = provision()
    assert play.returncode == 0, play.output
    assert not any(recap.changed for recap in play.recap.values())
    assert fleet.on(boards[0], CLIENTS) == before


def test_an_odd_device_id_concerns_its_board_alone(fleet: Fleet, provision: Provision, boards: list[str]) -> None:
    assert provision().returncode == 0
    fleet.on(
        boards[1],
        "echo '2026-01-01T00:00:00+0000 [INFO][mbl ]: Device Id: not-an-id' >>/var/log/mbl-cloud-client.log",
    )
    play = provision()
    assert play.returncode == 0, play.output
    assert {board for board, recap in play.recap.items() if recap.changed} <= {boards[1]}
    assert not any(recap.changed for recap in provision().recap.values())


def test_one_board_alone_keeps_an_update_certificate_that_the_store_does_not_know(
    fleet: Fleet, provision: Provision, boards: list[str], home: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    assert provision("--limit", boards[0]).returncode == 0
    before = fleet.content(boards[0])
    theirs = f"team_store={tmp_path / 'theirs'}"
    name = re.sub("[^a-z0-9]+", "-", request.node.name).strip("-")[:90]

    def module(host: str, module: str, arguments: str) -> Play:
        secret = ["--vault-password-file", home / "vault-password"]
        inventory = ["-i", ROOT / "inventory/mbl_mdns.yml"]
        return fleet.run(
            "ansible",
            host,
            *inventory,
            *secret,
            "-m",
            f"pelion.mbl.{module}",
            "-a",
            f"{arguments} {theirs}",
            environment={"HOME": str(home)},
        )

    assert module("localhost", "pelion_dev_cert", f"name={name}").returncode == 0
    ids = "vendor_domain=lab.pelion.test device_class=simulated-board"
    assert module("localhost", "mbl_update_resources", f"name=update {ids}").returncode == 0
    inject = f"dev_cert={name} update_resources=update"
    refused = module(boards[0], "mbl_kcm_inject", inject)
    assert refused.returncode == 2
    assert "does not know" in refused.output
    assert fleet.content(boards[0]) == before
    replaced = module(boards[0], "mbl_kcm_inject", f"{inject} when_update_unknown=replace")
    assert replaced.returncode == 0, replaced.output
    assert fleet.content(boards[0]) != before
