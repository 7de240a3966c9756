# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Update manifests of all kinds, for what must take or refuse them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources


def value(tag: int, *contents: bytes) -> bytes:
    """A value in DER."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def number(value_: int) -> bytes:
    """As the content of an INTEGER or ENUMERATED."""
    return value_.to_bytes(value_.bit_length() // 8 + 1, "big", signed=True)


@dataclass(frozen=True)
class Manifest:
    """A manifest of version 1; as it stands, it is that of a probe for the ids."""

    vendor: bytes
    class_: bytes
    version: int = 1
    timestamp: int = 0
    device: bytes = b""
    nonce: bytes = b""
    vendor_info: bytes = b""
    validity: tuple[int, int] | None = None
    apply_immediately: bool = True
    priority: int | None = None
    encryption: int = 2
    format_: int = 1
    storage: str = "default"
    digest: bytes = bytes(32)
    uri: str = "https://update-proof.invalid/none"
    size: int = 1
    kind: int = 0

    @property
    def resource(self) -> bytes:
        """What is signed."""
        validity = [value(0x30, *(value(2, number(time)) for time in self.validity))] if self.validity else []
        priority = [] if self.priority is None else [value(2, number(self.priority))]
        firmware = value(0x30, value(4, self.digest), value(0xC, self.uri.encode()), value(2, number(self.size)))
        manifest = value(
            0x30,
            value(0xA, number(self.version)),
            value(2, number(self.timestamp)),
            *(value(4, octets) for octets in (self.vendor, self.class_, self.device, self.nonce, self.vendor_info)),
            *validity,
            value(1, b"\xff" if self.apply_immediately else b"\0"),
            *priority,
            value(0xA, number(self.encryption)),
            value(0x30) * 2,
            value(0x30, value(0xA, number(self.format_)), value(0xC, self.storage.encode()), firmware),
        )
        return value(0x30, value(0xA, number(self.kind)), manifest)

    def signed(
        self, key: ec.EllipticCurvePrivateKey | bytes, *fingerprints: bytes, digest: bytes | None = None
    ) -> bytes:
        """By ``key`` (or its PEM), once for each of the certificates whose ``fingerprints`` these are."""
        if isinstance(key, bytes):
            loaded = load_pem_private_key(key, None)
            assert isinstance(loaded, ec.EllipticCurvePrivateKey)
            key = loaded
        resource = self.resource
        signatures = [
            value(
                0x30,
                value(4, key.sign(resource, ec.ECDSA(hashes.SHA256()))),
                value(0x30, value(0x30, value(4, fingerprint), value(0xC))),
            )
            for fingerprint in fingerprints
        ]
        hash_ = hashlib.sha256(resource).digest() if digest is None else digest
        return value(0x30, resource, value(0x30, value(4, hash_), value(0x30, *signatures)))


def manifest_for(resources: UpdateResources, **changes: object) -> Manifest:
    """The probe's for boards that hold ``resources``, but for the ``changes``."""
    return Manifest(**{"vendor": resources.vendor_id.bytes, "class_": resources.class_id.bytes, **changes})  # type: ignore[arg-type]


def signed_for(resources: UpdateResources, **changes: object) -> bytes:
    """``manifest_for``, signed with their key."""
    assert resources.private_key
    fingerprint = bytes.fromhex(resources.fingerprint)
    return manifest_for(resources, **changes).signed(resources.private_key, fingerprint)
