# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for the secrets of a run in all places where they must not be."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from fleet import ROOT, Fleet, Provision
from test_transaction import HALF_WAY, replace_utility


def forms_of_key(pem: str) -> set[bytes]:
    """What a private key may look like in a text or a file: raw, hex, C, octal, base64."""
    key = load_pem_private_key(pem.encode(), None)
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    middle = scalar[8:24]
    lines = [line for line in pem.splitlines() if "PRIVATE" not in line]
    return {
        middle,
        middle.hex().encode(),
        middle.hex().upper().encode(),
        "".join(f"\\{byte:03o}" for byte in middle).encode(),
        # C files break lines every 8 or 16 bytes, so a short run of them has to do.
        ", ".join(f"0x{byte:02x}" for byte in middle[:6]).encode(),
        " ".join(f"{byte:03o}" for byte in middle[:6]).encode(),
        base64.b64encode(middle[:15])[2:-2],
        *(line.encode() for line in lines[:2]),
    }


class ProcessWatch:
    """Reads command lines and environments of all processes of the machine, boards included, until it is left."""

    def __init__(self) -> None:
        self.arguments: set[bytes] = set()
        self.environments: set[bytes] = set()
        self.environments_of_ssh: set[bytes] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ProcessWatch:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.002):
            for process in os.listdir("/proc"):
                if process.isdigit() and int(process) != os.getpid():
                    self.arguments |= self._read(f"/proc/{process}/cmdline")
                    environment = self._read(f"/proc/{process}/environ")
                    self.environments |= environment
                    # Before it is ssh, a process of that number is a fork of the task's, with the user's environment.
                    if self._read(f"/proc/{process}/comm") == {b"ssh\n"}:
                        self.environments_of_ssh |= self._read(f"/proc/{process}/environ")

    @staticmethod
    def _read(path: str) -> set[bytes]:
        try:
            return {Path(path).read_bytes()}
        except OSError:
            return set()


def files_below(*places: Path) -> Iterator[tuple[Path, bytes]]:
    for place in places:
        for directory, _directories, names in os.walk(place):
            for name in names:
                path = Path(directory, name)
                if path.is_file() and not path.is_symlink():
                    yield path, path.read_bytes()


def stored_keys(team: Path, password: Path) -> Iterator[str]:
    """All private keys of a team store, as PEM."""
    for entry in team.glob("*.yml"):
        command = [ROOT / ".venv/bin/ansible-vault", "view", "--vault-password-file", password, entry]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        yield from _pems(yaml.safe_load(text))


def _pems(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _pems(item)
    elif isinstance(value, str) and "PRIVATE KEY" in value:
        yield value


def found(forms: Iterable[bytes], content: bytes) -> list[bytes]:
    return [form for form in forms if form in content]


@pytest.mark.skipif(os.geteuid() != 0, reason="reads other processes' environments")
def test_no_secret_is_found_where_it_must_not_be(
    fleet: Fleet, provision: Provision, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    (tmp_path / "log").touch()
    loud = {
        "ANSIBLE_DEBUG": "1",
        "ANSIBLE_LOG_PATH": str(tmp_path / "log"),
        "ANSIBLE_KEEP_REMOTE_FILES": "1",
        "TMPDIR": str(temporary),
    }
    board = fleet.boards[0]
    # The wire between controller and board is ssh; what a board prints comes back in Ansible's own output.
    with ProcessWatch() as watch:
        plays = [provision("-vvvvv", "--diff", environment=loud)]
        replace_utility(fleet, board, HALF_WAY)
        other = ["-e", "provision_pelion_update_resources=other", "-e", "provision_pelion_device_class=other"]
        plays.append(provision("-vvvvv", "--diff", "--limit", board, *other, environment=loud))
    assert plays[0].returncode == 0, plays[0].output[-3000:]
    assert plays[1].recap[board].failed == 1

    keys = list(stored_keys(home / ".mbl-store/team", home / "vault-password"))
    assert len(keys) == 3, "a developer key and two signing keys"
    secrets = {form for key in keys for form in forms_of_key(key)}
    password = (home / "vault-password").read_bytes().strip()
    api_key = next(iter(_lab_key(fleet)))

    for play in plays:
        assert not found(secrets | {password, api_key}, play.output.encode()), "in the output"
    assert not found(secrets | {password, api_key}, (tmp_path / "log").read_bytes()), "in the log"
    assert len(watch.arguments) > 20
    for arguments in watch.arguments:
        assert not found(secrets | {password, api_key}, arguments), "in a command line"
    for environment in watch.environments:
        assert not found(secrets | {password}, environment), "in an environment"
    assert any(api_key in environment for environment in watch.environments), "the user's own has it"
    assert watch.environments_of_ssh
    for environment in watch.environments_of_ssh:
        assert not found({api_key}, environment), "in the environment of ssh"

    seen = 0
    for path, content in files_below(home, temporary, fleet.state / "boards"):
        seen += 1
        if path.name != "vault-password":
            assert not found(secrets | {password, api_key}, content), f"in {path}"
    assert seen > 100


def _lab_key(fleet: Fleet) -> Iterator[bytes]:
    yield fleet.run("printenv", "PELION_API_KEY").stdout.strip().encode()


def test_the_search_finds_what_is_there(home: Path) -> None:
    """The search itself can fail: a key in each form is found."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    forms = forms_of_key(pem)
    c_array = ", ".join(f"0x{byte:02x}" for byte in der)
    octal = "".join(f"\\{byte:03o}" for byte in der)
    od = " ".join(f"{byte:03o}" for byte in der)
    for text in (der, der.hex().encode(), der.hex().upper().encode(), c_array.encode(), octal.encode(), od.encode()):
        assert found(forms, b"before " + text + b" after")
    assert found(forms, pem.encode())
    assert not found(forms, os.urandom(100_000))
