# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""DER, as far as it is needed: its values, and certificates read as mbed TLS reads them, and so a board: INTEGERs as
unsigned numbers.

DER has a zero byte before a positive number whose highest bit is set. Some tools, the Mbed online compiler among
them, leave it out in serial numbers and signatures. Strict parsers take such numbers as negative and refuse them.
"""

from __future__ import annotations

from dataclasses import dataclass

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, ENUMERATED, UTF8_STRING = 0x01, 0x02, 0x03, 0x04, 0x0A, 0x0C
SEQUENCE, VERSION = 0x30, 0xA0


@dataclass(frozen=True)
class Signed:
    """What a certificate's signature is over (DER, as it stands), and the signature."""

    content: bytes
    signature: bytes


def length_of(der: bytes) -> int | None:
    """How many bytes the value that ``der`` begins with has by its own word, its header included. None where it does
    not say."""
    if len(der) < 2:
        return None
    if der[1] < 0x80:
        return 2 + der[1]
    octets = der[1] & 0x7F
    if not 1 <= octets <= 4 or len(der) < 2 + octets:
        return None
    return 2 + octets + int.from_bytes(der[2 : 2 + octets], "big")


def for_strict_parsers(certificate: bytes) -> bytes:
    """``certificate`` with a serial number that strict parsers take. It is for reading only: its signature does not
    hold any more. Raises ValueError."""
    body, *rest = parts_of(inside(certificate, SEQUENCE))
    fields = parts_of(inside(body, SEQUENCE))
    at = 1 if fields and fields[0][0] == VERSION else 0
    if len(fields) <= at:
        raise ValueError("has no serial number")
    serial = _unsigned(fields[at])
    if serial == fields[at]:
        return certificate
    fields[at] = serial
    return encode(SEQUENCE, encode(SEQUENCE, b"".join(fields)) + b"".join(rest))


def signed_with_ecdsa(certificate: bytes) -> Signed:
    """The signed part of ``certificate``, with its ECDSA signature in strict DER. Raises ValueError."""
    content, algorithm, bits = parts_of(inside(certificate, SEQUENCE))
    inner = next((field for field in parts_of(inside(content, SEQUENCE)) if field[0] == SEQUENCE), None)
    signature = inside(bits, BIT_STRING)
    if inner != algorithm or signature[:1] != b"\0":
        raise ValueError("has two kinds of signature, or one of no whole bytes")
    r, s = parts_of(inside(signature[1:], SEQUENCE))
    return Signed(content, encode(SEQUENCE, _unsigned(r) + _unsigned(s)))


def parts_of(content: bytes) -> list[bytes]:
    """The values that ``content`` consists of, with their headers. Raises ValueError."""
    values = []
    while content:
        length = length_of(content)
        if length is None or length > len(content):
            raise ValueError("ends in the middle of a value")
        values.append(content[:length])
        content = content[length:]
    return values


def inside(value: bytes, tag: int) -> bytes:
    """What is in ``value``, which must be all of one value of the kind ``tag``. Raises ValueError."""
    if value[:1] != bytes([tag]) or length_of(value) != len(value):
        raise ValueError("has a value of another kind")
    return value[2 if value[1] < 0x80 else 2 + (value[1] & 0x7F) :]


def encode(tag: int, content: bytes) -> bytes:
    """The value of the kind ``tag`` with ``content`` in it."""
    size = len(content)
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, size] if size < 0x80 else [tag, 0x80 | len(octets), *octets]) + content


def _unsigned(integer: bytes) -> bytes:
    """``integer`` as the positive number of its bytes. Zero, which no serial number and no part of a signature may
    be, comes out as 1: that is as wrong in a signature, and nobody asks for a serial number."""
    octets = inside(integer, INTEGER).lstrip(b"\0") or b"\1"
    return encode(INTEGER, b"\0" + octets if octets[0] & 0x80 else octets)
