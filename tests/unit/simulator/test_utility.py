# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pelion-provisioning-util does, observed on Arm's own (MBL 0.10.0, and head of development of January 2020).

Runs against the lab's stand-in, or with PELION_PROVISIONING_UTIL=FILE against another one, such as a real one.
"""

from __future__ import annotations

import os
import shlex
import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pelion_lab import parts
from provisioning_inputs import (
    ALL_ITEMS,
    DEVELOPER_ITEMS,
    FILES,
    KCM_FILES,
    NOW,
    UPDATE_ITEMS,
    YEAR,
    Inputs,
    certificate,
    der,
    new_key,
    pem,
    sec1,
)

OTHER_UTILITY = os.environ.get("PELION_PROVISIONING_UTIL")
UTILITY = "/opt/arm/pelion-provisioning-util"
DEVICES = "for name in random urandom null; do : >dev/$name; mount --bind /dev/$name dev/$name; done"
INPUT_DIRECTORY = "scratch/provisioning-certs"
RANDOM = "Generating random from /dev/random, this can take a long time!\n"
USAGE = """\
Usage:
  pelion-provisioning-util [option]


Options:
  --provision                    Provision device, with developer and update credentials, from a set of binary \
files located at /scratch/provisioning-certs.
  --get-pelion-status            Get the Pelion status of the device.
  --help                         Show this message and exit.
    """
PROVISIONING = "Provisioning device.\n"
PROVISIONED = "Provisioning process completed without error.\n"
QUERYING = "Querying device status... \n"
CONFIGURED = "Device is configured correctly. You can connect to Pelion Cloud!\n"
NO_STORAGE = (
    "FCC init failed!\nError status is: General error:\nFCC finalise failed!\nError status is: General error:\n"
)


Make = Callable[[Inputs], bytes]
"""The value of an item, from good ones."""


@dataclass
class Answer:
    code: int
    out: str
    err: str


class Board:
    """A root directory with the utility in it."""

    def __init__(self, root: Path, utility: Path) -> None:
        self.root = root
        for directory in ("opt/arm", "config/user", "scratch", "dev", "lib"):
            (root / directory).mkdir(parents=True)
        shutil.copy(utility, root / UTILITY.lstrip("/"))
        parts.add_libraries(root, [utility])
        self.random_line = RANDOM

    @property
    def storage(self) -> Path:
        return self.root / "config/user/pal"

    def run(self, *arguments: str, before: str = ":", after: str = ":") -> Answer:
        """Run the utility; BEFORE and AFTER are shell commands for outside the root, in the same mount namespace."""
        mapping = [] if os.geteuid() == 0 else ["--map-root-user"]
        script = f"""
            {DEVICES if OTHER_UTILITY else ":"}
            {before}
            chroot . {UTILITY} "$@"
            code=$?
            {after}
            exit $code
        """
        command = ["unshare", "--mount", *mapping, "sh", "-c", script, "sh", *arguments]
        answer = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        return Answer(answer.returncode, answer.stdout, answer.stderr)

    def give(self, inputs: Inputs) -> None:
        directory = self.root / INPUT_DIRECTORY
        directory.mkdir(exist_ok=True)
        for item, file in FILES.items():
            (directory / f"{file}.bin").write_bytes(inputs.values[item])

    def provision(self, inputs: Inputs) -> Answer:
        self.give(inputs)
        return self.run("--provision")

    def status(self) -> Answer:
        return self.run("--get-pelion-status")

    def items(self, copy: str = "WORKING") -> dict[str, bytes]:
        """The items that are there, with the content of their files."""
        files = {item: self.storage / copy / name for item, name in KCM_FILES.items()}
        return {item: file.read_bytes() for item, file in files.items() if file.exists()}

    def assert_configured(self) -> None:
        assert self.status() == Answer(0, QUERYING + self.random_line + CONFIGURED, "")


@pytest.fixture(scope="session")
def utility(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if OTHER_UTILITY:
        return Path(OTHER_UTILITY)
    program = tmp_path_factory.mktemp("utility") / "pelion-provisioning-util"
    parts.compile_utility(program)
    return program


@pytest.fixture(scope="session")
def random_line(utility: Path, tmp_path_factory: pytest.TempPathFactory, first: Inputs) -> str:
    """Only the head of development says when it needs randomness."""
    answer = Board(tmp_path_factory.mktemp("probe"), utility).provision(first)
    assert answer.code == 0, answer
    if not OTHER_UTILITY:
        assert RANDOM in answer.out
    return RANDOM if RANDOM in answer.out else ""


@pytest.fixture(scope="session")
def first() -> Inputs:
    return Inputs("first-endpoint")


@pytest.fixture(scope="session")
def second() -> Inputs:
    return Inputs("second-endpoint")


@pytest.fixture
def board(utility: Path, tmp_path: Path, random_line: str) -> Board:
    board = Board(tmp_path / "root", utility)
    board.random_line = random_line
    return board


@pytest.fixture
def provisioned(board: Board, first: Inputs) -> Board:
    assert board.provision(first).code == 0
    return board


# Command line


@pytest.mark.parametrize(
    "arguments",
    [(), ("--bogus",), ("-h",), ("",), ("--provisio",), ("--provision", "--help"), ("--help", "x")],
    ids=shlex.join,
)
def test_wrong_arguments(board: Board, arguments: tuple[str, ...]) -> None:
    assert board.run(*arguments) == Answer(2, USAGE, "")
    assert not board.storage.exists()


def test_help(board: Board) -> None:
    assert board.run("--help") == Answer(0, USAGE, "")


# The good path


def test_status_of_a_new_board_creates_an_empty_storage(board: Board) -> None:
    assert board.status() == Answer(1, QUERYING, "Item does not exist:mbed.UseBootstrap\n")
    assert sorted(path.name for path in board.storage.iterdir()) == ["BACKUP", "WORKING", "flashSim"]
    assert (board.storage / "flashSim").stat().st_size == 8192
    assert board.items() == board.items("BACKUP") == {}


def test_provision(board: Board, first: Inputs) -> None:
    assert board.provision(first) == Answer(0, PROVISIONING + board.random_line + PROVISIONED, "")
    assert list(board.items()) == list(board.items("BACKUP")) == list(KCM_FILES)
    before = board.items(), board.items("BACKUP")
    shutil.rmtree(board.root / INPUT_DIRECTORY)
    board.assert_configured()
    assert (board.items(), board.items("BACKUP")) == before


def test_provision_again_replaces_everything(provisioned: Board, second: Inputs) -> None:
    before = provisioned.items(), provisioned.items("BACKUP")
    assert provisioned.provision(second) == Answer(0, PROVISIONING + provisioned.random_line + PROVISIONED, "")
    for old, new in zip(before, (provisioned.items(), provisioned.items("BACKUP")), strict=True):
        assert all(old[item] != new[item] for item in ALL_ITEMS)
    provisioned.assert_configured()


FACTORY, ENCRYPTED = 0x0200, 0x0100
NONCE_SIZE, MAC_SIZE = 8, 16


def test_content_of_the_files(provisioned: Board, first: Inputs) -> None:
    values = {"mbed.UseBootstrap": b"\1\0\0\0", **first.values}
    everything = b"".join([*provisioned.items().values(), (provisioned.storage / "flashSim").read_bytes()])
    for item, content in provisioned.items().items():
        kind = b"Cert_" if item.endswith("Cert") else b"PrvKey_" if item.endswith("Key") else b"CfgParam_"
        name = kind + item.encode()
        plain = kind == b"Cert_"
        assert struct.unpack_from("<HHH", content) == (1, FACTORY if plain else FACTORY | ENCRYPTED, len(name))
        assert content[6 : 6 + len(name)] == name
        start = 6 + len(name) + (0 if plain else NONCE_SIZE)
        assert content[start : start + 2] == b"\0\0"
        assert len(content) == start + 2 + len(values[item]) + MAC_SIZE
        if plain:
            assert content[start + 2 : -MAC_SIZE] == first.values[item]
        elif item != "mbed.UseBootstrap" and len(first.values[item]) > 4:
            assert first.values[item] not in everything.replace(first.values["mbed.BootstrapDeviceCert"], b"")


def test_both_copies_are_the_same(provisioned: Board) -> None:
    assert provisioned.items() == provisioned.items("BACKUP")


# Failures before anything is stored


def could_not_open(item: str) -> str:
    return f"File with path /{INPUT_DIRECTORY}/{FILES[item]}.bincould not be opened\n"


DEVELOPER_FILES_FAIL = "There was an error parsing the dev credentials files\n"
UPDATE_FILES_FAIL = "There was an error parsing the Update Credentials files\n"


@pytest.mark.parametrize("item", FILES)
def test_missing_file(provisioned: Board, second: Inputs, item: str) -> None:
    before = provisioned.items(), provisioned.items("BACKUP")
    provisioned.give(second)
    (provisioned.root / INPUT_DIRECTORY / f"{FILES[item]}.bin").unlink()
    group = UPDATE_FILES_FAIL if item in UPDATE_ITEMS else DEVELOPER_FILES_FAIL
    assert provisioned.run("--provision") == Answer(1, PROVISIONING, could_not_open(item) + group)
    assert (provisioned.items(), provisioned.items("BACKUP")) == before
    provisioned.assert_configured()


@pytest.mark.parametrize("directory", ["missing", "empty", "deeper"])
def test_missing_directory(board: Board, first: Inputs, directory: str) -> None:
    if directory == "empty":
        (board.root / INPUT_DIRECTORY).mkdir()
    elif directory == "deeper":
        board.give(first)
        (board.root / INPUT_DIRECTORY).rename(board.root / "scratch/x")
        (board.root / INPUT_DIRECTORY).mkdir()
        (board.root / "scratch/x").rename(board.root / INPUT_DIRECTORY / "x")
    lines = [could_not_open(item) for item in FILES]
    errors = "".join([*lines[:11], DEVELOPER_FILES_FAIL, *lines[11:], UPDATE_FILES_FAIL])
    assert board.run("--provision") == Answer(1, PROVISIONING, errors)
    assert board.items() == {}


@pytest.mark.parametrize("option", ["--provision", "--get-pelion-status"])
@pytest.mark.parametrize(
    "before",
    ["rmdir config/user", ": >config/user/pal", "mount -t tmpfs -o ro tmpfs config/user"],
    ids=["no parent", "a file", "read-only"],
)
def test_no_storage(board: Board, first: Inputs, before: str, option: str) -> None:
    board.give(first)
    assert board.run(option, before=before) == Answer(1, "", NO_STORAGE)


# Failures while storing


def corrupt(data: bytes) -> bytes:
    return bytes([data[0] ^ 0xFF]) + data[1:]


BAD_CERTIFICATES = {
    "corrupt": (corrupt, "Certificate parse failed"),
    "truncated": (lambda good: good[:-1], "Certificate parse failed"),
    "half": (lambda good: good[: len(good) // 2], "Certificate parse failed"),
    "random": (lambda good: b"\x7f" * len(good), "Certificate parse failed"),
    "zeros": (lambda good: bytes(len(good)), "Certificate parse failed"),
    "pem": (lambda good: pem(certificate("x", new_key())), "Certificate parse failed"),
    "empty": (lambda good: b"", "Item data empty"),
    "P-384": (lambda good: der(certificate("x", new_key(ec.SECP384R1()))), "Curve unsupported"),
    "P-521": (lambda good: der(certificate("x", new_key(ec.SECP521R1()))), "Curve unsupported"),
    "secp256k1": (lambda good: der(certificate("x", new_key(ec.SECP256K1()))), "Curve unsupported"),
    "SHA-384": (lambda good: der(certificate("x", new_key(), digest=hashes.SHA384())), "General error"),
    "SHA-512": (lambda good: der(certificate("x", new_key(), digest=hashes.SHA512())), "General error"),
}
BAD_KEYS = {
    "corrupt": (lambda inputs: corrupt(inputs.values["mbed.BootstrapDevicePrivateKey"]), "Public key format invalid"),
    "truncated": (lambda inputs: inputs.values["mbed.BootstrapDevicePrivateKey"][:-1], "Public key format invalid"),
    "zeros": (lambda inputs: bytes(138), "Public key format invalid"),
    "rsa": (lambda inputs: der(new_key("rsa")), "Public key format invalid"),
    "P-384": (lambda inputs: der(new_key(ec.SECP384R1())), "Public key format invalid"),
    "certificate": (lambda inputs: inputs.values["mbed.BootstrapDeviceCert"], "Public key format invalid"),
    "pem": (lambda inputs: pem(inputs.key), "General error"),
    "empty": (lambda inputs: b"", "Item data empty"),
}
CERTIFICATES = ["mbed.BootstrapDeviceCert", "mbed.BootstrapServerCACert", "mbed.UpdateAuthCert"]


def bad_inputs() -> list[object]:
    rows = [
        pytest.param(item, lambda inputs, item=item, make=make: make(inputs.values[item]), text, id=f"{item} {name}")
        for item in CERTIFICATES
        for name, (make, text) in BAD_CERTIFICATES.items()
    ]
    key = "mbed.BootstrapDevicePrivateKey"
    return rows + [pytest.param(key, make, text, id=f"{key} {name}") for name, (make, text) in BAD_KEYS.items()]


def failed(item: str, text: str) -> str:
    return f"Failed to store KCM Item! Item name: {item}\nError status is: {text}:\n"


@pytest.mark.parametrize(("item", "make", "text"), bad_inputs())
def test_bad_input_leaves_a_half_provisioned_board(
    utility: Path, tmp_path: Path, random_line: str, first: Inputs, second: Inputs, item: str, make: Make, text: str
) -> None:
    group = UPDATE_ITEMS if item in UPDATE_ITEMS else DEVELOPER_ITEMS
    bad = second.with_value(item, make)
    position = group.index(item)
    expected = Answer(
        1,
        PROVISIONING + random_line,
        failed(item, text) + f"{'Update' if group is UPDATE_ITEMS else 'Developer'} Certificate Provisioning failed.\n",
    )

    fresh = Board(tmp_path / "fresh", utility)
    assert fresh.provision(bad) == expected
    stored = [*DEVELOPER_ITEMS, *group[:position]] if group is UPDATE_ITEMS else [*group[:position], *UPDATE_ITEMS]
    assert list(fresh.items()) == stored
    status = fresh.status()
    if group is UPDATE_ITEMS:
        assert status == Answer(0, QUERYING + random_line + CONFIGURED, "")
    else:
        assert (status.code, status.err) == (1, "Item does not exist:mbed.Manufacturer\n")

    old = Board(tmp_path / "old", utility)
    assert old.provision(first).code == 0
    before = old.items()
    assert old.provision(bad) == expected
    after = old.items()
    kept = set(group[position + 1 :])
    assert set(after) == set(ALL_ITEMS) - {item}
    assert {name for name in after if after[name] == before[name]} == kept
    status = old.status()
    if group is UPDATE_ITEMS:
        assert status.code == 0
    else:
        assert (status.code, status.err) == (1, f"Item does not exist:{item}\n")

    for board in (fresh, old):
        assert board.provision(first).code == 0
        assert board.status().code == 0


@pytest.mark.parametrize("pages", range(3, 34))
def test_storage_full(board: Board, first: Inputs, pages: int) -> None:
    """Two pages for the root of trust and one for each copy of an item. MBL's is a DEBUG build: another would die of
    SIGSEGV where the second copy finds no room."""
    board.give(first)
    (board.root / "after").mkdir()
    answer = board.run(
        "--provision",
        before=f"mount -t tmpfs -o size={pages * 4096} tmpfs config/user",
        after="cp -a config/user/pal after",
    )
    whole, half = divmod(pages - 2, 2)
    (board.root / "after/pal").rename(board.storage)
    working, backup = board.items(), board.items("BACKUP")
    if whole == len(ALL_ITEMS):
        assert answer.code == 0
        board.assert_configured()
        return
    refused = list(dict.fromkeys([ALL_ITEMS[whole], UPDATE_ITEMS[0]])) if whole < 12 else [ALL_ITEMS[whole]]
    group = "Developer" if whole < 12 else "Update"
    errors = "".join(failed(item, "File operation general error") for item in refused)
    errors += f"{group} Certificate Provisioning failed.\n"
    assert answer == Answer(1, PROVISIONING + board.random_line, errors)
    assert list(working) == ALL_ITEMS[:whole]
    empty = refused[1:] if half else refused
    assert [item for item, content in backup.items() if not content] == empty
    # Where an empty copy is left, the next run forgets the item.
    assert board.provision(first).code == 0
    assert board.status().code == (1 if whole < 12 and not half else 0)
    assert set(ALL_ITEMS) - set(board.items()) == set(empty)
    assert board.provision(first).code == 0
    board.assert_configured()


@pytest.mark.parametrize("count", range(1, len(ALL_ITEMS)))
def test_killed_in_the_middle(board: Board, first: Inputs, count: int) -> None:
    board.give(first)
    board.status()
    last, following = (KCM_FILES[item] for item in ALL_ITEMS[count - 1 : count + 1])
    # Nobody is at the other end of the pipe: the utility waits, with COUNT items stored.
    kill = f"""
        mkfifo config/user/pal/BACKUP/{following}; chroot . {UTILITY} --provision >/dev/null &
        while [ ! -s config/user/pal/WORKING/{last} ]; do sleep 0.01; done
        kill -9 $!; wait $!; rm config/user/pal/BACKUP/{following}
    """
    board.run("--help", before=f"{{ {kill} }} 2>/dev/null")
    assert list(board.items()) == ALL_ITEMS[:count]
    assert board.status().code == (0 if count >= len(DEVELOPER_ITEMS) else 1)
    assert board.run("--provision").code == 0
    board.assert_configured()


# Accepted while provisioning, rejected by the status

NO_PAIR = "Certificate public key validation failed:mbed.BootstrapDeviceCert\n"
WRONG_NAME = "Certificate CN attribute invalid:mbed.BootstrapDeviceCert\n"
WRONG_URI = "URI format incorrect:mbed.BootstrapServerURI\n"
REJECTED = [
    ("mbed.BootstrapDevicePrivateKey", "other key", lambda inputs: der(new_key()), NO_PAIR, True),
    ("mbed.EndpointName", "case", lambda inputs: inputs.endpoint.upper().encode(), WRONG_NAME, True),
    ("mbed.EndpointName", "short", lambda inputs: inputs.endpoint[:-1].encode(), WRONG_NAME, True),
    ("mbed.EndpointName", "NUL", lambda inputs: inputs.endpoint.encode() + b"\0", WRONG_NAME, True),
    ("mbed.EndpointName", "newline", lambda inputs: inputs.endpoint.encode() + b"\n", WRONG_NAME, True),
    ("mbed.EndpointName", "empty", lambda inputs: b"", "Item empty:mbed.EndpointName\n", False),
    ("mbed.BootstrapServerURI", "empty", lambda inputs: b"", "Item empty:mbed.BootstrapServerURI\n", False),
    ("mbed.BootstrapServerURI", "http", lambda inputs: b"http://x?aid=1", WRONG_URI, False),
    ("mbed.BootstrapServerURI", "case", lambda inputs: b"COAPS://x?aid=1", WRONG_URI, False),
    ("mbed.BootstrapServerURI", "blank", lambda inputs: b" coaps://x?aid=1", WRONG_URI, False),
    ("mbed.BootstrapServerURI", "bare", lambda inputs: b"www.example.com", WRONG_URI, False),
    ("mbed.BootstrapServerURI", "no aid", lambda inputs: b"coaps://example.com:5684", WRONG_URI, False),
    *(
        (item, str(size), lambda inputs, size=size: b"1" * size, f"Item size is wrong:{item}\n", True)
        for item in ("mbed.VendorId", "mbed.ClassId")
        for size in (0, 15, 17, 32)
    ),
]


@pytest.mark.parametrize(
    ("item", "make", "error", "random"),
    [pytest.param(item, make, error, random, id=f"{item} {name}") for item, name, make, error, random in REJECTED],
)
def test_rejected_by_status(board: Board, first: Inputs, item: str, make: Make, error: str, random: bool) -> None:
    assert board.provision(first.with_value(item, make)).code == 0
    assert board.status() == Answer(1, QUERYING + (board.random_line if random else ""), error)


@pytest.mark.skipif(bool(OTHER_UTILITY), reason="where another utility keeps its time is not known")
@pytest.mark.parametrize("item", ["mbed.BootstrapDeviceCert", "mbed.UpdateAuthCert"])
def test_expired_once_the_time_is_known(board: Board, first: Inputs, item: str) -> None:
    old = der(certificate(first.endpoint, first.key, start=-2 * YEAR, end=-YEAR))
    assert board.provision(first.with_value(item, old)).code == 0
    board.assert_configured()
    with (board.storage / "flashSim").open("r+b") as file:
        file.seek(56)
        file.write(int(NOW.timestamp()).to_bytes(8, "little"))
    assert board.status() == Answer(1, QUERYING + board.random_line, f"Certificate expired:{item}\n")


# Accepted by both


def from_certificate(**changes: Any) -> Make:
    return lambda inputs: der(certificate(inputs.endpoint, inputs.key, **changes))


def value(item: str) -> Make:
    return lambda inputs: inputs.values[item]


def flipped(item: str, offset: int) -> Make:
    def make(inputs: Inputs) -> bytes:
        data = bytearray(inputs.values[item])
        data[offset] ^= 0x01
        return bytes(data)

    return make


DEVICE, CA, KEY = "mbed.BootstrapDeviceCert", "mbed.BootstrapServerCACert", "mbed.BootstrapDevicePrivateKey"
URI, MEMORY = "mbed.BootstrapServerURI", "mbed.MemoryTotalKB"
METADATA = ["mbed.Manufacturer", "mbed.ModelNumber", "mbed.SerialNumber", "mbed.DeviceType", "mbed.HardwareVersion"]
ACCEPTED = [
    *((MEMORY, repr(data[:12]), lambda inputs, data=data: data) for data in (
        b"0", b"1048576", b"not a number", b"\1\0\0\0", b"\0\0\0\1", b"12345", b"x" * 200, b""
    )),
    *((item, "empty", lambda inputs: b"") for item in METADATA),
    (METADATA[0], "10 MiB", lambda inputs: b"m" * (10 << 20)),
    (KEY, "sec1", lambda inputs: sec1(inputs.key)),
    *((item, "NUL", lambda inputs, item=item: inputs.values[item] + b"\0") for item in (DEVICE, CA, KEY, URI)),
    (DEVICE, "two", lambda inputs: inputs.values[DEVICE] + inputs.values[CA]),
    (DEVICE, "junk", lambda inputs: inputs.values[DEVICE] + b"junk"),
    (DEVICE, "no usage", from_certificate()),
    (DEVICE, "expired", from_certificate(start=-2 * YEAR, end=-YEAR)),
    (DEVICE, "not yet", from_certificate(start=YEAR, end=2 * YEAR)),
    (DEVICE, "signature", flipped(DEVICE, -1)),
    (CA, "expired", lambda inputs: der(certificate("x", new_key(), start=-2 * YEAR, end=-YEAR))),
    (CA, "leaf", lambda inputs: inputs.values["mbed.UpdateAuthCert"]),
    *((URI, data.decode("latin-1"), lambda inputs, data=data: data) for data in (
        b"coaps://?aid=", b"coap://x?aid=1", b"coaps://x?a=b&aid=1", b"coaps://x?aid=other", b"coaps://x?aid=1\n",
        b"coaps://\xc3\xa9?aid=1",
    )),
]  # fmt: skip


@pytest.mark.parametrize(
    ("item", "make"), [pytest.param(item, make, id=f"{item} {name!a}") for item, name, make in ACCEPTED]
)
def test_accepted(board: Board, first: Inputs, item: str, make: Make) -> None:
    assert board.provision(first.with_value(item, make)) == Answer(
        0, PROVISIONING + board.random_line + PROVISIONED, ""
    )
    board.assert_configured()


# Storage


def corrupt_at(content: bytes, offset: int) -> bytes:
    changed = bytearray(content)
    changed[offset] ^= 1
    return bytes(changed)


def name_end(content: bytes) -> int:
    return 6 + struct.unpack_from("<H", content, 4)[0]


Damage = Callable[[bytes], bytes]
STORED_OVER: dict[str, Damage] = {
    "cut in the header": lambda content: content[:5],
    "cut in the name": lambda content: content[:10],
    "header only": lambda content: content[: name_end(content)],
    "truncated": lambda content: content[: len(content) // 2],
    "flipped": lambda content: corrupt_at(content, -20),
    "MAC": lambda content: corrupt_at(content, -1),
    "mode": lambda content: corrupt_at(content, 2),
    "longer": lambda content: content + b"x",
}
"""Damages that do not keep the utility from storing, in whichever copy."""
CUT_BEFORE_THE_MODE: dict[str, Damage] = {"empty": lambda content: b"", "three bytes": lambda content: content[:3]}
OTHER_VERSION: dict[str, Damage] = {
    "version": lambda content: corrupt_at(content, 0),
    "zeros": lambda content: bytes(300),
    "garbage": lambda content: b"no such file" * 20,
}
OTHER_NAME: dict[str, Damage] = {
    "length of the name": lambda content: corrupt_at(content, 4),
    "start of the name": lambda content: corrupt_at(content, 6),
    "end of the name": lambda content: corrupt_at(content, name_end(content) - 1),
    "another item's": lambda content: content.replace(b"_mbed.", b"_Mbed."),
    "another's, and cut": lambda content: corrupt_at(content[:12], 11),
}
UNREADABLE = {**STORED_OVER, **CUT_BEFORE_THE_MODE, **OTHER_VERSION}
"""Damages by which an item in use can't be read."""
DAMAGED_ITEMS = ["mbed.UseBootstrap", "mbed.Manufacturer", DEVICE, KEY, "mbed.UpdateAuthCert"]
"""One of each kind, and the first of each group."""
READ_BY_STATUS = [DEVICE, KEY, URI, *UPDATE_ITEMS]
"""The items of which the status check reads the value; of the others it asks only whether there is a good one."""


def damage_file(board: Board, copy: str, item: str, damage: Damage) -> Path:
    file = board.storage / copy / KCM_FILES[item]
    content = file.read_bytes()
    file.write_bytes(damage(content))
    assert file.read_bytes() != content
    return file


def assert_not_there(board: Board, item: str) -> None:
    """The status check does not miss what is for updates."""
    status = board.status()
    if item in UPDATE_ITEMS:
        assert status == Answer(0, QUERYING + board.random_line + CONFIGURED, "")
    else:
        assert (status.code, status.err) == (1, f"Item does not exist:{item}\n")


def assert_refused(board: Board, inputs: Inputs, item: str, text: str) -> None:
    """Now and at each further try: nothing heals that."""
    group = "Update" if item in UPDATE_ITEMS else "Developer"
    error = failed(item, text) + f"{group} Certificate Provisioning failed.\n"
    for _unused in range(2):
        assert board.provision(inputs) == Answer(1, PROVISIONING + board.random_line, error)


@pytest.mark.parametrize("item", DAMAGED_ITEMS)
@pytest.mark.parametrize("damage", UNREADABLE)
def test_damaged_item(provisioned: Board, first: Inputs, item: str, damage: str) -> None:
    damage_file(provisioned, "WORKING", item, UNREADABLE[damage])
    error = "General error" if item in READ_BY_STATUS else "Item does not exist"
    status = provisioned.status()
    assert (status.code, status.err) == (1, f"{error}:{item}\n")
    assert provisioned.provision(first).code == 0
    provisioned.assert_configured()


@pytest.mark.parametrize("item", ALL_ITEMS)
def test_lost_item(provisioned: Board, first: Inputs, item: str) -> None:
    (provisioned.storage / "WORKING" / KCM_FILES[item]).unlink()
    assert_not_there(provisioned, item)
    assert provisioned.provision(first).code == 0
    provisioned.assert_configured()


@pytest.mark.parametrize("item", DAMAGED_ITEMS)
@pytest.mark.parametrize("damage", OTHER_NAME)
def test_an_item_under_another_name_is_in_the_way(provisioned: Board, second: Inputs, item: str, damage: str) -> None:
    """The utility does not delete what says that it is another's, and does not store over it."""
    file = damage_file(provisioned, "WORKING", item, OTHER_NAME[damage])
    there = file.read_bytes()
    assert_not_there(provisioned, item)
    assert_refused(provisioned, second, item, "File name corrupted")
    assert file.read_bytes() == there


@pytest.mark.parametrize("item", DAMAGED_ITEMS)
@pytest.mark.parametrize("damage", [*OTHER_NAME, *OTHER_VERSION])
def test_a_damaged_factory_copy_is_in_the_way(provisioned: Board, second: Inputs, item: str, damage: str) -> None:
    """The item in use is deleted before that is found."""
    file = damage_file(provisioned, "BACKUP", item, {**OTHER_NAME, **OTHER_VERSION}[damage])
    there = file.read_bytes()
    provisioned.assert_configured()
    assert_refused(provisioned, second, item, "File name corrupted" if damage in OTHER_NAME else "File version invalid")
    assert item not in provisioned.items()
    assert file.read_bytes() == there


@pytest.mark.parametrize("item", DAMAGED_ITEMS)
@pytest.mark.parametrize("damage", STORED_OVER)
def test_a_damaged_factory_copy_is_stored_over(provisioned: Board, second: Inputs, item: str, damage: str) -> None:
    damage_file(provisioned, "BACKUP", item, STORED_OVER[damage])
    provisioned.assert_configured()
    assert provisioned.provision(second).code == 0
    provisioned.assert_configured()
    assert provisioned.items() == provisioned.items("BACKUP")


@pytest.mark.parametrize("item", DAMAGED_ITEMS)
@pytest.mark.parametrize("damage", CUT_BEFORE_THE_MODE)
def test_a_cut_factory_copy_makes_the_item_be_forgotten(
    provisioned: Board, second: Inputs, item: str, damage: str
) -> None:
    """The utility says that all is well. It goes by the mode that the file names, which is none: the item is not
    encrypted, and not put to use."""
    file = damage_file(provisioned, "BACKUP", item, CUT_BEFORE_THE_MODE[damage])
    assert provisioned.provision(second) == Answer(0, PROVISIONING + provisioned.random_line + PROVISIONED, "")
    assert set(ALL_ITEMS) - set(provisioned.items()) == {item}
    assert list(provisioned.items("BACKUP")) == ALL_ITEMS
    value = b"\1\0\0\0" if item == "mbed.UseBootstrap" else second.values[item]
    assert value in file.read_bytes()
    assert provisioned.provision(second).code == 0
    provisioned.assert_configured()


@pytest.mark.parametrize("item", [DEVICE, URI, "mbed.UpdateAuthCert"])
def test_a_factory_copy_that_says_the_contrary_of_its_encryption(provisioned: Board, second: Inputs, item: str) -> None:
    damage_file(provisioned, "BACKUP", item, lambda content: corrupt_at(content, 3))
    if item == URI:
        assert provisioned.provision(second).code == 0
        status = provisioned.status()
        assert (status.code, status.err) == (1, f"General error:{item}\n")
    else:
        group = "Update" if item in UPDATE_ITEMS else "Developer"
        error = failed(item, "File operation general error") + f"{group} Certificate Provisioning failed.\n"
        assert provisioned.provision(second) == Answer(1, PROVISIONING + provisioned.random_line, error)
        assert item not in provisioned.items()
    assert provisioned.provision(second).code == 0
    provisioned.assert_configured()


@pytest.mark.parametrize("item", [DEVICE, "mbed.Manufacturer", "mbed.UpdateAuthCert"])
@pytest.mark.parametrize("copy", ["WORKING", "BACKUP"])
def test_a_directory_in_an_items_place(provisioned: Board, second: Inputs, item: str, copy: str) -> None:
    file = provisioned.storage / copy / KCM_FILES[item]
    file.unlink()
    file.mkdir()
    status = provisioned.status()
    if copy == "WORKING":
        error = "General error" if item in READ_BY_STATUS else "Item does not exist"
        assert (status.code, status.err) == (1, f"{error}:{item}\n")
    else:
        assert status.code == 0
    answer = provisioned.provision(second)
    action = "delete" if copy == "WORKING" else "store"
    assert answer.code == 1
    assert answer.err.startswith(
        f"Failed to {action} KCM Item! Item name: {item}\nError status is: File operation general error:\n"
    )


@pytest.mark.parametrize("item", ALL_ITEMS)
def test_the_factory_copy_is_not_asked(provisioned: Board, item: str) -> None:
    (provisioned.storage / "BACKUP" / KCM_FILES[item]).unlink()
    provisioned.assert_configured()


def test_lost_root_of_trust(provisioned: Board, first: Inputs) -> None:
    (provisioned.storage / "flashSim").unlink()
    error = "Item does not exist:mbed.UseBootstrap\n"
    assert provisioned.status() == Answer(1, QUERYING + provisioned.random_line, error)
    assert provisioned.status() == Answer(1, QUERYING, error)
    assert provisioned.provision(first).code == 0
    provisioned.assert_configured()


def test_other_items_stay(provisioned: Board, second: Inputs) -> None:
    other = provisioned.storage / "WORKING/IfhptCHa"
    other.write_bytes(b"left by a bootstrap")
    assert provisioned.provision(second).code == 0
    provisioned.assert_configured()
    assert other.read_bytes() == b"left by a bootstrap"
