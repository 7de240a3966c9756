# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe, and that nothing else gets through."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from credential_samples import a_key
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import assume, example, given
from hypothesis import strategies as st
from manifests import Manifest, manifest_for, number, signed_for, value
from test_signing_files import a_tool

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import (
    Recipe,
    derive_ids,
    make_update_resources,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_manifest import (
    LONGEST,
    ManifestError,
    make_probe,
    require_probe,
)

RESOURCES = make_update_resources(Recipe(*derive_ids("example.com", "board")))
PROBE = make_probe(RESOURCES)
FINGERPRINT = bytes.fromhex(RESOURCES.fingerprint)


def is_let_through(manifest: bytes) -> bool:
    try:
        require_probe(manifest)
    except ManifestError:
        return False
    return True


def test_it_is_what_a_board_is_known_to_answer_221_to() -> None:
    resource = manifest_for(RESOURCES).resource
    assert PROBE[4:].startswith(resource)
    assert hashlib.sha256(resource).digest() in PROBE and FINGERPRINT in PROBE
    assert is_let_through(signed_for(RESOURCES))


def test_every_client_takes_its_length() -> None:
    # Of a signature, each of the two numbers is as long as it happens to be: 72 bytes is the most for both.
    longest = make_probe(RESOURCES, lambda content: bytes(72))
    assert len(PROBE) <= len(longest) == 314 < LONGEST


def test_its_signature_is_the_keys() -> None:
    resource = manifest_for(RESOURCES).resource
    made: list[bytes] = []

    def sign(content: bytes) -> bytes:
        made.append(content)
        return a_key().sign(content, ec.ECDSA(hashes.SHA256()))

    probe = make_probe(replace(RESOURCES, private_key=None), sign)
    assert made == [resource]  # the whole value, its tag and length included
    assert is_let_through(probe)
    key = RESOURCES.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    start = next(place for place in range(len(PROBE)) if PROBE[place] == 0x30 and PROBE[place + 2 : place + 3] == b"\2")
    key.verify(PROBE[start : start + 2 + PROBE[start + 1]], resource, ec.ECDSA(hashes.SHA256()))


def test_without_a_key_there_is_none() -> None:
    with pytest.raises(ManifestError, match="private key"):
        make_probe(replace(RESOURCES, private_key=None))


def test_manifest_tool_2_takes_it(tmp_path: Path) -> None:
    tool = a_tool("2.6.2", [sys.executable]) / "manifest-tool"
    (tmp_path / "probe").write_bytes(PROBE)
    (tmp_path / "certificate").write_bytes(RESOURCES.der)
    other = make_update_resources(Recipe(*derive_ids("example.com", "board")))
    (tmp_path / "other").write_bytes(other.der)

    def parse(certificate: str) -> subprocess.CompletedProcess[str]:
        command = [tool, "parse", "-c", certificate, "probe"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    shown = parse("certificate")
    assert shown.returncode == 0, shown.stderr
    assert RESOURCES.vendor_id.hex in shown.stdout.replace("-", "")
    assert "update-proof.invalid" in shown.stdout
    assert parse("other").returncode != 0


# --- nothing else gets through


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp": 1},
        {"timestamp": -1},
        {"timestamp": 2**64},
        {"timestamp": 1_700_000_000},
        {"size": 0},
        {"size": 2},
        {"digest": b"\1" + bytes(31)},
        {"digest": b""},
        {"uri": "https://update-proof.invalid/nonf"},
        {"uri": "https://example.com/none"},
        {"uri": ""},
        {"version": 2},
        {"encryption": 1},
        {"format_": 5},
        {"storage": "other"},
        {"device": bytes(16)},
        {"nonce": bytes(16)},
        {"vendor_info": b"x"},
        {"validity": (0, 1)},
        {"priority": 1},
        {"apply_immediately": False},
        {"vendor": b""},
        {"vendor": bytes(16)},
        {"class_": b""},
        {"class_": bytes(15)},
        {"kind": 1},
    ],
    ids=str,
)
def test_another_manifest_is_refused_though_it_is_signed(changes: dict[str, object]) -> None:
    assert not is_let_through(signed_for(RESOURCES, **changes))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
anything = st.builds(
    Manifest,
    vendor=st.binary(max_size=17),
    class_=st.binary(min_size=16, max_size=16),
    version=st.integers(0, 3),
    timestamp=st.integers(-3, 2**65) | st.just(0),
    device=st.just(b"") | st.binary(max_size=16),
    nonce=st.just(b"") | st.binary(max_size=16),
    vendor_info=st.just(b"") | st.binary(max_size=4),
    validity=st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
    apply_immediately=st.booleans(),
    priority=st.none() | st.integers(0, 3),
    encryption=st.integers(0, 3),
    format_=st.integers(0, 5),
    storage=st.just("default") | texts,
    digest=st.just(bytes(32)) | st.binary(max_size=32),
    uri=st.just("https://update-proof.invalid/none") | texts,
    size=st.integers(0, 3),
)


@given(anything)
def test_of_all_manifests_only_probes_get_through(manifest: Manifest) -> None:
    probe = Manifest(manifest.vendor, manifest.class_)
    good = manifest == probe and len(manifest.vendor) == 16 and any(manifest.vendor) and any(manifest.class_)
    assert is_let_through(manifest.signed(a_key(), FINGERPRINT)) == good


@given(
    st.integers(0, len(PROBE) - 1),
    st.binary(max_size=6),
    st.integers(0, 6),
)
@example(0, b"\x30\x83\x00", 2)  # its length told in three bytes instead of two
@example(len(PROBE) - 1, b"\x0c\x00\x00", 2)  # more behind it
def test_a_probe_that_was_meddled_with_says_the_same_to_a_board(place: int, new: bytes, gone: int) -> None:
    """What gets through has, for all that changed, the same resource but for its ids."""
    meddled = PROBE[:place] + new + PROBE[place + gone :]
    assume(meddled != PROBE)
    if is_let_through(meddled):
        vendor, class_ = (meddled[start : start + 16] for start in (21, 39))
        resource = Manifest(vendor, class_).resource
        assert meddled[4:].startswith(resource)
        assert meddled[4 + len(resource) :].count(hashlib.sha256(resource).digest()) == 1


@given(st.binary(max_size=700))
def test_bytes_of_no_meaning_are_refused(junk: bytes) -> None:
    assert not is_let_through(junk)


@pytest.mark.parametrize("timestamp", [b"\x02\x02\x00\x00", b"\x02\x00", b"\x02\x81\x01\x00", b"\x0a\x01\x00"])
def test_a_zero_that_is_spelled_in_another_way_is_refused(timestamp: bytes) -> None:
    """A board's parser and ours could read it differently."""
    manifest = manifest_for(RESOURCES)
    spelled = replace(manifest, timestamp=0)
    resource = spelled.resource
    content = resource[2 + 1 :] if resource[1] < 0x80 else resource[3 + 3 :]
    inner = content[3:] if content[1] >= 0x80 else content[2:]
    assert inner.startswith(b"\x0a\x01\x01\x02\x01\x00")
    changed = value(0x30, b"\x0a\x01\x00", value(0x30, inner.replace(b"\x02\x01\x00", timestamp, 1)))
    assert RESOURCES.private_key
    whole = value(
        0x30,
        changed,
        value(0x30, value(4, hashlib.sha256(changed).digest()), value(0x30, _signature(changed))),
    )
    assert not is_let_through(whole)
    good = value(0x30, b"\x0a\x01\x00", value(0x30, inner))
    assert good == resource and number(0) == b"\0"


def _signature(content: bytes) -> bytes:
    signature = a_key().sign(content, ec.ECDSA(hashes.SHA256()))
    return value(0x30, value(4, signature), value(0x30, value(0x30, value(4, FINGERPRINT), value(0xC))))


def test_a_second_signature_is_refused() -> None:
    assert RESOURCES.private_key
    twice = manifest_for(RESOURCES).signed(RESOURCES.private_key, FINGERPRINT, FINGERPRINT)
    assert not is_let_through(twice)
    assert not is_let_through(manifest_for(RESOURCES).signed(RESOURCES.private_key))
