# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the boards' cloud client (C) says to update manifests: as Arm's clients were observed to."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from manifests import manifest_for, signed_for

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import (
    Recipe,
    derive_ids,
    make_update_resources,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_manifest import make_probe
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources

SOURCE = Path(__file__).parents[2] / "simulator/board/manifest.c"
EARLY, R, M = 0, 1, 2
"""The client 2.0.1, and those that were observed: 3.0.0 and 4.1.0."""
BOTH = (R, M)
NONE = -1
RESOURCES = make_update_resources(Recipe(*derive_ids("example.com", "board")))
OTHER = make_update_resources(Recipe(*derive_ids("example.com", "board")))
FINGERPRINT = bytes.fromhex(RESOURCES.fingerprint)

UNKNOWN = ("Unknown", 1)
ROLLBACK = ("UpdateWarningRollbackProtection", 520)
SIGNATURE = ("UpdateWarningSignatureInvalid", 515)
CERTIFICATE = ("UpdateWarningCertificateNotFound", 512)
VENDOR = ("UpdateWarningVendorMismatch", 516)
CLASS = ("UpdateWarningClassMismatch", 517)
IDENTITY = ("UpdateWarningIdentityNotFound", 513)
ADDRESS = ("UpdateWarningURINotFound", 519)


class Bytes(ctypes.Structure):
    """struct bytes."""

    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]


class Facts(ctypes.Structure):
    """struct board_facts."""

    _fields_ = [
        ("client", ctypes.c_uint),
        ("certificate", Bytes),
        ("vendor", Bytes),
        ("class_id", Bytes),
        ("active_version", ctypes.c_uint64),
    ]


class Verdict(ctypes.Structure):
    """struct verdict."""

    _fields_ = [
        ("processed", ctypes.c_bool),
        ("accepted", ctypes.c_bool),
        ("result", ctypes.c_int),
        ("error", ctypes.c_char_p),
        ("error_code", ctypes.c_int),
        ("version", ctypes.c_uint64),
    ]


@dataclass(frozen=True)
class Said:
    """``state_2``: reported before the result. ``error``: the log's name and number."""

    state_2: bool
    result: int
    error: tuple[str, int] | None
    accepted: bool = False


class Judge:
    """A board's client, as far as it judges."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def __call__(
        self, manifest: bytes, client: int = M, held: UpdateResources | None = RESOURCES, active_version: int = 0
    ) -> Said:
        values = (held.der, held.vendor_id.bytes, held.class_id.bytes) if held else (b"", *RESOURCES_IDS)
        facts = Facts(client, *(Bytes(value, len(value)) for value in values), active_version)
        verdict = Verdict()
        # A copy of just that size, so that nothing that follows can be taken for a part.
        place = ctypes.create_string_buffer(manifest, len(manifest))
        self._library.judge_manifest(place, ctypes.c_size_t(len(manifest)), ctypes.byref(facts), ctypes.byref(verdict))
        error = (verdict.error.decode(), verdict.error_code) if verdict.error else None
        return Said(verdict.processed, verdict.result, error, verdict.accepted)


RESOURCES_IDS = (RESOURCES.vendor_id.bytes, RESOURCES.class_id.bytes)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    library = tmp_path_factory.mktemp("manifest") / "manifest.so"
    command = ["gcc", "-std=gnu11", "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-lmbedx509", "-lmbedcrypto"]
    subprocess.run(command, check=True)
    return Judge(ctypes.CDLL(str(library)))


def with_other_key(fingerprint: str) -> bytes:
    assert OTHER.private_key
    return manifest_for(RESOURCES).signed(OTHER.private_key, bytes.fromhex(fingerprint))


@pytest.mark.parametrize("client", BOTH)
def test_the_probe(judge: Judge, client: int) -> None:
    assert judge(make_probe(RESOURCES), client) == Said(True, 221, ROLLBACK)
    assert judge(make_probe(RESOURCES), client, active_version=1_600_000_000) == Said(True, 221, ROLLBACK)


@pytest.mark.parametrize("client", BOTH)
@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (with_other_key(RESOURCES.fingerprint), Said(False, 210, SIGNATURE)),
        (with_other_key(OTHER.fingerprint), Said(False, 208, CERTIFICATE)),
        (manifest_for(RESOURCES).signed(RESOURCES.private_key or b"", b""), Said(False, 208, CERTIFICATE)),
        (signed_for(RESOURCES, vendor=b"v" * 16), Said(False, 215, VENDOR)),
        (signed_for(RESOURCES, vendor=b"v" * 16, class_=b"c" * 16), Said(False, 215, VENDOR)),
        (signed_for(RESOURCES, class_=b"c" * 16), Said(False, 216, CLASS)),
        (signed_for(RESOURCES, class_=b"c" * 16, device=bytes(16)), Said(False, 216, CLASS)),
        (signed_for(RESOURCES, class_=b""), Said(True, 221, ROLLBACK)),
        (signed_for(RESOURCES, device=b"d" * 16), Said(False, 200, IDENTITY)),
        (signed_for(RESOURCES, version=9), Said(False, 214, UNKNOWN)),
        (signed_for(RESOURCES, encryption=7), Said(False, 219, UNKNOWN)),
        (signed_for(RESOURCES, validity=(1, 2)), Said(True, 221, ROLLBACK)),
        (signed_for(RESOURCES, priority=1, nonce=b"n" * 16), Said(True, 221, ROLLBACK)),
        (signed_for(RESOURCES, timestamp=7), Said(True, 307, ADDRESS)),  # then only the address stops it
        (make_probe(RESOURCES)[:-1], Said(False, 218, UNKNOWN)),
        (b"garbage", Said(False, 218, UNKNOWN)),
        (b"", Said(False, NONE, None)),
        (signed_for(RESOURCES, vendor_info=b"x" * 700), Said(False, 218, UNKNOWN)),
    ],
)
def test_what_both_say(judge: Judge, client: int, manifest: bytes, said: Said) -> None:
    assert judge(manifest, client) == said


@pytest.mark.parametrize(
    ("manifest", "by_m", "by_r"),
    [
        (signed_for(RESOURCES, format_=4), Said(False, 218, UNKNOWN), Said(True, NONE, None)),
        (signed_for(RESOURCES, format_=0), Said(False, 218, UNKNOWN), Said(True, NONE, None)),
        (signed_for(RESOURCES, size=0), Said(True, 200, UNKNOWN), Said(True, 221, ROLLBACK)),
        (signed_for(RESOURCES, encryption=1), Said(True, 218, UNKNOWN), Said(True, 103, UNKNOWN)),
        (
            manifest_for(RESOURCES).signed(RESOURCES.private_key or b""),
            Said(False, 218, UNKNOWN),
            Said(False, 210, SIGNATURE),
        ),
        (signed_for(RESOURCES, vendor_info=b"x" * 380), Said(False, 103, UNKNOWN), Said(True, 221, ROLLBACK)),
    ],
)
def test_in_what_they_differ(judge: Judge, manifest: bytes, by_m: Said, by_r: Said) -> None:
    assert judge(manifest, M) == by_m
    assert judge(manifest, R) == by_r


@pytest.mark.parametrize("client", BOTH)
def test_the_certificate_counts_and_not_its_key(judge: Judge, client: int) -> None:
    probe = make_probe(RESOURCES)
    assert judge(probe, client, None) == Said(False, 208, CERTIFICATE)
    assert judge(probe, client, OTHER) == Said(False, 208, CERTIFICATE)


@pytest.mark.parametrize("client", BOTH)
def test_what_is_changed_after_it_was_signed(judge: Judge, client: int) -> None:
    assert RESOURCES.private_key
    changed = manifest_for(RESOURCES).signed(RESOURCES.private_key, FINGERPRINT, digest=b"d" * 32)
    assert judge(changed, client) == Said(False, 207, SIGNATURE)


@pytest.mark.parametrize("client", BOTH)
def test_all_signatures_must_hold(judge: Judge, client: int) -> None:
    assert RESOURCES.private_key
    manifest = manifest_for(RESOURCES)
    assert judge(manifest.signed(RESOURCES.private_key, FINGERPRINT, FINGERPRINT), client).result == 221
    assert judge(manifest.signed(RESOURCES.private_key, FINGERPRINT, b"f" * 32), client).result == 208


@pytest.mark.parametrize("client", BOTH)
def test_a_real_update_would_be_fetched(judge: Judge, client: int) -> None:
    """So whoever sends one to a board of the lab sees it."""
    real = signed_for(RESOURCES, timestamp=1, uri="http://example.com/firmware")
    assert judge(real, client) == Said(True, NONE, None, accepted=True)
    assert judge(real, client, active_version=1) == Said(True, 221, ROLLBACK)
    assert judge(real, client, active_version=2) == Said(True, 221, ROLLBACK)


def test_the_early_client_has_other_numbers_and_the_same_names(judge: Judge) -> None:
    probes = [make_probe(RESOURCES), make_probe(OTHER), with_other_key(RESOURCES.fingerprint)]
    assert [judge(probe, EARLY).result for probe in probes] == [15, 6, 7]
    assert judge(signed_for(RESOURCES, vendor=b"v" * 16), EARLY) == Said(False, 13, VENDOR)
    assert judge(make_probe(RESOURCES), EARLY).error == ROLLBACK


PROBE = make_probe(RESOURCES)
