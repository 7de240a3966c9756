# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest that asks a board whether it would take an update, and that no board can take.

A board's client judges key, certificate, vendor and class of a manifest before its timestamp, which must be later than
that of what is installed. None is later than nothing with timestamp 0. So the board answers 221 when all else is right,
and does nothing. With any other timestamp it would go on to fetch, write and install.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import PelionError
from ..libraries import Absent, is_installed
from .asn1 import BOOLEAN, ENUMERATED, INTEGER, OCTET_STRING, SEQUENCE, UTF8_STRING, encode, inside, parts_of
from .rules import CLASS_ID, VENDOR_ID
from .signing_key import sign
from .update_resources import UpdateResources

if TYPE_CHECKING or is_installed("cryptography"):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
else:
    hashes = ec = Absent()


NOWHERE = "https://update-proof.invalid/none"
"""Where a probe's firmware would be: ``.invalid`` is nobody's (RFC 2606), and boards cannot read such a URI."""
LONGEST = 640
"""Bytes that every client takes."""

Sign = Callable[[bytes], bytes]
"""Gives the ECDSA signature (DER) with SHA-256 of what it is given."""


class ManifestError(PelionError):
    """These bytes must not be sent to a board, or there is nothing to sign them with."""


def make_probe(resources: UpdateResources, sign_with: Sign | None = None) -> bytes:
    """The probe (DER) for boards that hold ``resources``, signed with their key or by ``sign_with``. Raises
    ManifestError when there is neither."""
    resource = _resource(resources.values[VENDOR_ID], resources.values[CLASS_ID])
    signature = (sign_with or _with_key_of(resources))(resource)
    fingerprint = encode(SEQUENCE, _octets(bytes.fromhex(resources.fingerprint)) + encode(UTF8_STRING, b""))
    signatures = encode(SEQUENCE, encode(SEQUENCE, _octets(signature) + encode(SEQUENCE, fingerprint)))
    probe = encode(SEQUENCE, resource + encode(SEQUENCE, _octets(hashlib.sha256(resource).digest()) + signatures))
    require_probe(probe)
    return probe


def make_counterpart(resources: UpdateResources) -> bytes:
    """A probe like that of make_probe, but for its signature, by a key that nobody keeps. A board that takes it for a
    good one takes anything for that."""
    key = ec.generate_private_key(ec.SECP256R1())
    return make_probe(resources, lambda content: key.sign(content, ec.ECDSA(hashes.SHA256())))


def _resource(vendor_id: bytes, class_id: bytes) -> bytes:
    """What is signed: a manifest of version 1, with nothing in it but the ids that could matter to a board."""
    nothing = encode(SEQUENCE, b"")
    firmware = encode(SEQUENCE, _octets(bytes(32)) + encode(UTF8_STRING, NOWHERE.encode()) + encode(INTEGER, b"\1"))
    raw_binary, no_encryption = encode(ENUMERATED, b"\1"), encode(ENUMERATED, b"\2")
    manifest = (
        encode(ENUMERATED, b"\1") + encode(INTEGER, b"\0"),  # version, timestamp
        _octets(vendor_id) + _octets(class_id) + _octets(b"") * 3,  # device, nonce, vendor's own
        encode(BOOLEAN, b"\xff") + no_encryption + nothing * 2,  # apply immediately; aliases, dependencies
        encode(SEQUENCE, raw_binary + encode(UTF8_STRING, b"default") + firmware),
    )
    return encode(SEQUENCE, encode(ENUMERATED, b"\0") + encode(SEQUENCE, b"".join(manifest)))


def _octets(content: bytes) -> bytes:
    return encode(OCTET_STRING, content)


def _with_key_of(resources: UpdateResources) -> Sign:
    key = resources.private_key
    if key is None:
        raise ManifestError(f"{resources.source}: the store does not have the private key, so nothing can be signed.")
    return lambda content: sign(key, content)


# What a board must find in a probe, byte for byte and in this order; None: an id of 16 bytes. It is spelled out, and
# not made by what makes probes, so that one mistake cannot be in both.
_MANIFEST = (
    b"\x0a\x01\x01",  # version 1
    b"\x02\x01\x00",  # timestamp 0: what keeps every board from going on
    None,  # vendor
    None,  # class
    b"\x04\x00",
    b"\x04\x00",
    b"\x04\x00",
    b"\x01\x01\xff",
    b"\x0a\x01\x02",
    b"\x30\x00",
    b"\x30\x00",
    b"\x30\x56\x0a\x01\x01\x0c\x07default"
    b"\x30\x48\x04\x20" + 32 * b"\x00" + b"\x0c\x21https://update-proof.invalid/none\x02\x01\x01",  # of 1 byte
)


def require_probe(manifest: bytes) -> None:
    """Raises ManifestError unless ``manifest`` (DER) is a probe: timestamp 0, one byte of firmware that hashes to
    nothing, at an address where nothing is. To be called with the very bytes that are about to be sent."""
    try:
        problem = _why_not(manifest)
    except ValueError as error:
        problem = f"it {error}"
    if problem:
        raise ManifestError(f"This manifest is not sent, since it is not a probe that no board can install: {problem}.")


def _why_not(manifest: bytes) -> str | None:
    if len(manifest) > LONGEST:
        return f"it has {len(manifest)} bytes, more than {LONGEST}"
    resource, signature = _exactly(2, manifest)
    kind, content = _exactly(2, resource)
    if kind != b"\x0a\x01\x00":
        return "it is not a manifest"
    fields = _exactly(len(_MANIFEST), content)
    for number, (field, wanted) in enumerate(zip(fields, _MANIFEST, strict=True)):
        if wanted is None:
            if len(field) != 18 or field[:2] != b"\x04\x10" or not any(field[2:]):
                return f"its field {number} is not an id"
        elif field != wanted:
            return "its timestamp is not 0" if number == 1 else f"its field {number} is not that of a probe"
    digest, signatures = _exactly(2, signature)
    if digest != b"\x04\x20" + hashlib.sha256(resource).digest():
        return "its digest is that of something else"
    (signed,) = _exactly(1, signatures)
    value, certificates = _exactly(2, signed)
    (certificate,) = _exactly(1, certificates)
    fingerprint, address = _exactly(2, certificate)
    if (
        value != _octets(inside(value, OCTET_STRING))
        or fingerprint[:2] != b"\x04\x20"
        or len(fingerprint) != 34
        or address != b"\x0c\x00"
    ):
        return "its signature is not one with one certificate"
    return None


def _exactly(count: int, sequence: bytes) -> list[bytes]:
    """The values in ``sequence``: so many, each with its length in the one way that DER has. Raises ValueError."""
    content = inside(sequence, SEQUENCE)
    parts = parts_of(content)
    if len(parts) != count or encode(SEQUENCE, content) != sequence:
        raise ValueError("is built in another way")
    return parts
