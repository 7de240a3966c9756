# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards that prove by their own word that they take updates: the playbook, and the module on boards that lie."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultSecret
from fleet import LAB, OTHERS, ROOT, Fleet, Play, Provision
from test_lab import LOG, eventually, new_credentials
from test_lab import provision as put

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.probing import ProbeName
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import Vault

PLAYBOOK = ROOT / "playbooks" / "prove_updates.yml"
SILENT = {"tells": True, "acknowledges": True, "skips_older": False, "refuses_timestamp_0": False}
Prove = Callable[..., Play]

pytestmark = pytest.mark.skipif("--client" in OTHERS, reason="the faults of another client are not the lab's")


@pytest.fixture
def provisioned(fleet: Fleet, provision: Provision) -> Iterator[Fleet]:
    """All boards hold what the team store has."""
    fleet.cloud.call("PATCH", "/updates", **SILENT)
    play = provision()
    assert play.returncode == 0, play.output
    yield fleet
    fleet.cloud.call("PATCH", "/updates", **SILENT)


@pytest.fixture
def prove(provisioned: Fleet, home: Path) -> Prove:
    def prove(*options: str, sure: bool = True) -> Play:
        return provisioned.run(
            *("ansible-playbook", PLAYBOOK, "--vault-password-file", home / "vault-password"),
            *("-e", "wait=6", *(("-e", "sure=true") if sure else ()), *options),
            environment={"HOME": str(home)},
        )

    return prove


def kept(fleet: Fleet, board: str) -> str:
    return fleet.on(board, "find /config/user /scratch -type f -exec sha256sum {} + | sort -k 2")


def proofs(home: Path) -> dict[str, Any]:
    boards = json.loads((home / ".mbl-store/team/fleet.json").read_text())["boards"]
    return {name: board["update_proof"] for name, board in boards.items()}


def left(fleet: Fleet) -> list[Any]:
    state = fleet.cloud.call("GET", "/state")
    return state["manifests"] + state["campaigns"]


def campaigns(fleet: Fleet) -> int:
    return fleet.cloud.call("GET", "/calls/counts").get("POST /v3/update-campaigns/", 0)


def test_a_fleet_proves_that_it_takes_updates(provisioned: Fleet, prove: Prove, home: Path) -> None:
    fleet, boards = provisioned, provisioned.boards
    before = {board: kept(fleet, board) for board in boards}
    fleet.cloud.call("DELETE", "/calls")

    unasked = prove(sure=False)
    assert unasked.returncode != 0 and "Nothing was sent." in unasked.output
    assert "3 of 3 boards are asked, by at most 4 update campaigns" in " ".join(unasked.stdout.split())
    assert "Wave 3 of 3, 1 board. Asked to prove that it takes updates: mbed-linux-os-" in unasked.stdout
    looked = prove("--check", "--diff", sure=False)
    assert looked.returncode == 0, looked.output
    assert campaigns(fleet) == 0

    play = prove("-e", "witness=board", "--diff")
    assert play.returncode == 0, play.output
    assert "The service: proven, result 221. The board's log: UpdateWarningRollbackProtection" in play.stdout
    assert campaigns(fleet) == 4  # one of them with a key that nobody has
    assert left(fleet) == []
    assert {board: kept(fleet, board) for board in boards} == before
    assert set(proofs(home)) == set(boards) and all(proofs(home).values())

    again = prove("-e", f"waves={boards[1]},all")
    assert again.returncode == 0, again.output
    assert f"Wave 1 of 2, 1 board. Done: {boards[1]}" in again.stdout
    assert campaigns(fleet) == 4
    assert {recap.changed for recap in again.recap.values()} == {0}

    status = fleet.run(
        *("ansible-playbook", ROOT / "playbooks/status.yml", "--vault-password-file", home / "vault-password"),
        *("-e", f"report={home / 'report'}"),
        environment={"HOME": str(home)},
    )
    assert status.returncode == 0, status.output
    told = json.loads((home / "report/fleet.json").read_text())["boards"]
    assert {board["name"]: board["takes_updates"]["proven_at"] for board in told} == {
        name: proof["proven_at"] for name, proof in proofs(home).items()
    }
    # What the probe left in the log is no trouble with the registration.
    assert {board["outcome"] for board in told} == {"ok"}


def test_an_injection_takes_the_proof_away(provisioned: Fleet, prove: Prove, provision: Provision, home: Path) -> None:
    board = provisioned.boards[0]
    assert prove("-e", f"boards={board}").returncode == 0
    assert proofs(home)[board]
    assert provision().returncode == 0  # which has nothing to do
    assert proofs(home)[board]
    provisioned.on(board, "systemctl stop mbl-cloud-client; rm -rf /config/user/pal/BACKUP")
    assert provision("-e", "provision_pelion_when_bootstrapped=new_identity").returncode == 0
    assert proofs(home)[board] is None


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("says-221", "says-yes-to-all", "its answers prove nothing"),
        ("silent", "probe-unanswered", "did not answer within 6 seconds"),
        ("stuck", "probe-unanswered", "did not answer within 6 seconds"),
    ],
)
def test_a_canary_that_cannot_be_believed_stops_the_rest(
    provisioned: Fleet, prove: Prove, home: Path, tmp_path: Path, fault: str, code: str, words: str
) -> None:
    board = provisioned.boards[0]
    provisioned.on(board, f"echo {fault} >/etc/lab/update-fault; systemctl restart mbl-cloud-client")
    eventually(lambda: provisioned.on(board, f"grep -c 'Client registered' {LOG}") == "2\n")
    report = tmp_path / "report"
    play = prove("-e", f"report={report}", "-e", f"boards={board}")
    assert play.returncode != 0
    assert words in play.output
    told = {entry["name"]: entry for entry in json.loads((report / "fleet.json").read_text())["boards"]}
    assert (told[board]["outcome"], told[board]["code"]) == ("failed", code)
    assert not any(proofs(home).values())
    assert left(provisioned) == []


def test_an_early_client_is_proven_by_its_log(provisioned: Fleet, prove: Prove, home: Path) -> None:
    board = provisioned.boards[0]
    provisioned.on(board, "echo 2.0.1 >/etc/lab/client-release; systemctl restart mbl-cloud-client")
    eventually(lambda: provisioned.on(board, f"grep -c 'Client registered' {LOG}") == "2\n")
    alone = prove("-e", f"boards={board}")
    assert alone.returncode != 0 and "mean several things" in " ".join(alone.output.split())
    assert proofs(home)[board] is None
    both = prove("-e", f"boards={board}", "-e", "witness=board")
    assert both.returncode == 0, both.output
    assert proofs(home)[board]


# --- what a board holds is not what it was found to hold


STATUS = """
- hosts: {board}
  gather_facts: false
  tasks:
    - pelion.mbl.mbl_pelion_status:
      register: held
    - ansible.builtin.copy:
        content: '{{{{ held | to_json }}}}'
        dest: '{status}'
      delegate_to: localhost
"""
MODULE = """
- hosts: {board}
  gather_facts: false
  tasks:
    - pelion.mbl.pelion_update_proof:
        boards: "{{{{ dict([[inventory_hostname, lookup('file', '{status}') | from_json]]) }}}}"
        timeout: 20
      register: proof
    - ansible.builtin.copy:
        content: '{{{{ proof | to_json }}}}'
        dest: '{result}'
      delegate_to: localhost
"""


@pytest.fixture
def answer(provisioned: Fleet, home: Path, tmp_path: Path) -> Callable[[Callable[[], object]], dict[str, Any]]:
    """What comes of the first board when something happens to it after it was asked what it holds."""
    board, status, result = provisioned.boards[0], tmp_path / "status.json", tmp_path / "result.json"

    def run(playbook: str) -> None:
        (tmp_path / "play.yml").write_text(playbook)
        play = provisioned.run(
            *("ansible-playbook", tmp_path / "play.yml", "--vault-password-file", home / "vault-password"),
            environment={"HOME": str(home)},
        )
        assert play.returncode == 0, play.output

    def answer(happens: Callable[[], object]) -> dict[str, Any]:
        run(STATUS.format(board=board, status=status))
        happens()
        run(MODULE.format(board=board, status=status, result=result))
        return json.loads(result.read_text())["boards"][board]

    return answer


@pytest.mark.parametrize(
    ("item", "result", "code"),
    [
        ("arm_uc_default_certificate", 208, "update-certificate-refused"),
        ("arm_uc_vendor_id", 215, "update-vendor-refused"),
        ("arm_uc_class_id", 216, "update-class-refused"),
    ],
)
def test_a_board_that_was_changed_behind_our_back(
    provisioned: Fleet, home: Path, request: pytest.FixtureRequest, answer: Any, item: str, result: int, code: str
) -> None:
    """Its own word names what is wrong."""
    fleet, board = provisioned, provisioned.boards[0]

    def happens() -> None:
        held = held_values(home)
        other = new_credentials(fleet, f"{request.node.name[:60]} {item}")
        put(fleet, board, {**other, **held, item: other[item]})

    said = answer(happens)
    assert (said["outcome"], said["result"], said["reason"]) == ("refused", result, code)
    assert code == "update-certificate-refused" or "takes updates" in said["message"]
    assert left(fleet) == []


def held_values(home: Path) -> dict[str, bytes]:
    """The update resources of the team store."""
    vault = Vault([("default", VaultSecret((home / "vault-password").read_bytes().strip()))])
    (found,) = Store(home / ".mbl-store/team", vault, shared=True).entries(UpdateResources)
    assert found.entry
    return dict(found.entry.values)


def test_what_a_killed_run_left_is_removed_by_the_next(provisioned: Fleet, prove: Prove, home: Path) -> None:
    board = provisioned.boards[0]
    provisioned.on(board, "echo silent >/etc/lab/update-fault")
    command = [LAB, "run", "--state", provisioned.state, "--", ROOT / ".venv/bin/ansible-playbook", PLAYBOOK]
    options = ["--vault-password-file", home / "vault-password", "-e", "sure=true", "-e", f"boards={board}"]
    running = subprocess.Popen(
        [*command, *options],
        env={**os.environ, "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=ROOT,
    )
    try:
        eventually(lambda: any(c.get("phase") == "active" for c in left(provisioned)), 90)
        # The process that does the work is in a session of its own, and goes on when only Ansible is killed.
        names = {entry["name"] for entry in left(provisioned)}
        (name,) = filter(None, map(ProbeName.read, names))
        os.kill(name.process, signal.SIGKILL)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    eventually(lambda: not Path(f"/proc/{name.process}").exists())
    assert len(left(provisioned)) == 2
    provisioned.on(board, "rm /etc/lab/update-fault")
    play = prove("-e", f"boards={board}")
    assert play.returncode == 0, play.output
    assert left(provisioned) == []
    assert proofs(home)[board]
