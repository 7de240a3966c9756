# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates as the Mbed online compiler encodes them: INTEGERs without the zero byte before a high bit."""

from __future__ import annotations

import functools

from credential_samples import a_certificate, a_key
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

KEY = a_key(number=2)


def value(tag: int, content: bytes) -> bytes:
    """DER of one value of any length up to 64 kB."""
    size = len(content)
    length = (
        bytes([size]) if size < 0x80 else bytes([0x81, size]) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")
    )
    return bytes([tag]) + length + content


def certificate_from(signed: bytes) -> bytes:
    """A certificate of the TBSCertificate ``signed``, with both INTEGERs of its signature above 2**255."""
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")  # ecdsa-with-SHA256
    while True:
        r, s = decode_dss_signature(KEY.sign(signed, ec.ECDSA(hashes.SHA256())))
        if r >> 255 and s >> 255:
            signature = value(0x30, value(0x02, r.to_bytes(32, "big")) + value(0x02, s.to_bytes(32, "big")))
            return value(0x30, signed + algorithm + value(0x03, b"\0" + signature))


@functools.cache
def high_signature() -> bytes:
    """DER of a certificate whose signature's INTEGERs read as negative numbers."""
    return certificate_from(x509.load_der_x509_certificate(a_certificate(key=KEY)).tbs_certificate_bytes)


@functools.cache
def with_serial(content: bytes) -> bytes:
    """DER of a certificate whose serial number is the INTEGER ``content``."""
    certificate = x509.load_der_x509_certificate(a_certificate(key=KEY))
    body = certificate.tbs_certificate_bytes
    # SEQUENCE of 4 bytes' header, [0] { version }, then the serial number.
    fields = body[4:]
    after = fields[5 + 2 + fields[6] :]
    return certificate_from(value(0x30, fields[:5] + value(0x02, content) + after))
