# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a board, and an archive of it in which there is no secret."""

from __future__ import annotations

import base64
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from fleet import ROOT, Fleet, Play, Provision
from test_secrets import forms_of_key, stored_keys

LOG = "/var/log/mbl-cloud-client.log"
Diagnose = Callable[..., Play]


@pytest.fixture
def diagnose(fleet: Fleet, tmp_path: Path, home: Path) -> Diagnose:
    def run(*options: str) -> Play:
        return fleet.run(
            *("ansible-playbook", ROOT / "playbooks/diagnose.yml", "-e", f"dest={tmp_path / 'diagnoses'}", *options),
            environment={"HOME": str(home)},
        )

    return run


def archive(directory: Path, board: str) -> dict[str, bytes]:
    with tarfile.open(directory / f"diagnoses/{board}.tar.gz") as tar:
        return {
            Path(entry.name).name: file.read()
            for entry in tar.getmembers()
            if (file := tar.extractfile(entry)) is not None
        }


def findings(directory: Path, board: str) -> list[str]:
    return [found["code"] for found in json.loads(archive(directory, board)["diagnosis.json"])["findings"]]


def test_boards_in_order_and_a_fresh_one(
    fleet: Fleet, provision: Provision, diagnose: Diagnose, tmp_path: Path, home: Path
) -> None:
    good, fresh, third = fleet.boards
    assert provision("--limit", good).returncode == 0
    checked = diagnose("--check")
    assert checked.returncode == 0 and not (tmp_path / "diagnoses").exists(), checked.output
    fleet.on(third, "killall -STOP dropbear sshd 2>/dev/null; true")
    try:
        play = diagnose("-e", "ansible_ssh_timeout=3")
    finally:
        fleet.on(third, "killall -CONT dropbear sshd 2>/dev/null; true")
    assert play.returncode != 0 and play.recap[third].unreachable == 1, play.output
    assert play.recap[good].failed == play.recap[fresh].failed == 0
    assert not (tmp_path / f"diagnoses/{third}.tar.gz").exists()
    assert f"{good}: Nothing was found that is wrong." in play.stdout
    assert findings(tmp_path, good) == [] and findings(tmp_path, fresh)[0] == "holds-no-credentials"
    files = archive(tmp_path, good)
    page = files["diagnosis.txt"].decode()
    assert "Its name resolves: yes" in page and "TLS answers: could not be tried (no openssl)" in page
    assert "Its clock is within the update certificate's validity: yes" in page
    assert b"Client registered" in files["mbl-cloud-client.log.txt"]
    assert {"image.txt", "mounts.txt", "space.txt", "network.txt", "status.json"} - files.keys() <= {"image.txt"}
    assert (tmp_path / f"diagnoses/{good}.tar.gz").stat().st_size < 1_000_000


def test_the_cause_comes_first(fleet: Fleet, provision: Provision, diagnose: Diagnose, tmp_path: Path) -> None:
    unnamed, blocked, ended = fleet.boards
    assert provision().returncode == 0
    fleet.on(unnamed, "cp /etc/hosts /etc/hosts.kept; sed -i /bootstrap/d /etc/hosts; sed -i /lwm2m/d /etc/hosts")
    fleet.on(blocked, "cp /etc/hosts /etc/hosts.kept; sed -i 's/^[^ ]* \\(bootstrap.*\\)/127.0.0.1 \\1/' /etc/hosts")
    fleet.on(ended, "killall -9 mbl-cloud-client")
    try:
        play = diagnose()
        assert play.returncode == 0 and "3 boards: 3 need attention" in play.stderr, play.output
        assert findings(tmp_path, unnamed)[0] == "name-not-resolved"
        assert findings(tmp_path, blocked)[0] == "port-closed"
        assert findings(tmp_path, ended) == ["client-ended"]
        # And nothing is put on boards that cannot reach the server of what they are to get.
        before = {board: fleet.content(board) for board in (unnamed, blocked)}
        play = provision(
            "--limit",
            f"{unnamed},{blocked}",
            "-e",
            "provision_pelion_when_bootstrapped=keep_identity provision_pelion_dev_cert=another-one "
            "provision_pelion_registration_timeout=3",
        )
        assert "cannot resolve the name of the cloud's server, bootstrap.lab.pelion.test" in play.output, play.output
        assert "Connection refused" in play.output and "did not register within" not in play.output
        assert {board: fleet.content(board) for board in before} == before
    finally:
        for board in (unnamed, blocked):
            fleet.on(board, "mv /etc/hosts.kept /etc/hosts")


def test_no_secret_of_the_lab_is_in_an_archive(
    fleet: Fleet, provision: Provision, diagnose: Diagnose, tmp_path: Path, home: Path
) -> None:
    """Planted into what a board tells, in each form, and looked for in all that leaves."""
    board = fleet.boards[0]
    assert provision("-e", f"report={tmp_path / 'report'}").returncode == 0
    keys = list(stored_keys(home / ".mbl-store/team", home / "vault-password"))
    assert len(keys) == 2
    account = fleet.on(board, f"sed -n 's/.*aid=//p' {LOG}").split("\n")[0][:32]
    assert len(account) == 32
    device = fleet.on(board, f"sed -n 's/.*Device Id: //p' {LOG}").split()[0]
    api_key = fleet.run("printenv", "PELION_API_KEY").stdout.strip()
    planted = [
        api_key,
        api_key.upper(),
        f"Authorization: Bearer {api_key}",
        account,
        account.upper(),
        f"coaps://bootstrap.lab.pelion.test:5684?aid={account}",
        f"the device {device}",
        device.upper(),
    ]
    for pem in keys:
        key = load_pem_private_key(pem.encode(), None)
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        planted += [
            der.hex(),
            der.hex().upper(),
            der.hex(":"),
            ", ".join(f"0x{byte:02x}" for byte in der),
            "".join(f"\\{byte:03o}" for byte in der),
            " ".join(f"{byte:03o}" for byte in der),
            base64.b64encode(der).decode(),
            pem.replace("\n", "\\n"),
            *pem.splitlines(),
            *pem.upper().splitlines(),
        ]
    lines = "\n".join(
        part for text in planted for part in (f"2026-11-28T11:00:00+0000 [INFO][mbl ]: It says {text} here", text)
    )
    for file in (LOG, f"{LOG}.1", "/etc/os-release", "/etc/resolv.conf"):
        fleet.on(board, f"cat >>{file} <<'END'\n{lines}\nEND")
    try:
        play = diagnose("--limit", board, "-e", f"report={tmp_path / 'report'}", "-vv")
    finally:
        fleet.on(board, "rm -f /etc/os-release /etc/resolv.conf")
    assert play.returncode == 0, play.output
    files = archive(tmp_path, board)
    assert {"report.json", "image.txt", "network.txt", "mbl-cloud-client.log.1.txt"} <= files.keys()
    assert files["mbl-cloud-client.log.1.txt"].count(b"It says") > 20, "what is around them stays"
    secrets = {form for pem in keys for form in forms_of_key(pem)}
    secrets |= {text.encode() for text in (api_key, api_key.upper(), account, account.upper(), device, device.upper())}
    secrets |= {line.upper().encode() for pem in keys for line in pem.splitlines()[1:3]}
    for name, content in files.items():
        assert not [secret for secret in secrets if secret in content], name
    assert json.loads(files["status.json"])["device_id"] == f"{device[:8]}…"
    assert json.loads(files["report.json"])["device_id"] == f"{device[:8]}…"
    # In what a terminal or a log of the run shows, neither.
    for secret in secrets:
        assert secret not in play.output.encode()
