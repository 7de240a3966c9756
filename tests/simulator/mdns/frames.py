# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ethernet frames with multicast DNS in them, to and from bytes."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass

A, PTR, TXT, AAAA, SRV = 1, 12, 16, 28, 33
GROUPS = {4: "224.0.0.251", 6: "ff02::fb"}
_MAC = {4: bytes.fromhex("01005e0000fb"), 6: bytes.fromhex("3333000000fb")}
_ETHERTYPE = {4: 0x0800, 6: 0x86DD}
PORT = 5353


@dataclass(frozen=True)
class Record:
    name: str
    kind: int
    data: bytes
    ttl: int = 120

    def encode(self) -> bytes:
        # Only one pointer names its target for all: unique records carry the cache-flush bit.
        cls = 1 if self.kind == PTR else 0x8001
        return name(self.name) + struct.pack("!HHIH", self.kind, cls, self.ttl, len(self.data)) + self.data


@dataclass(frozen=True)
class Query:
    """``source``: MAC, address and port of who asks."""

    version: int
    source: tuple[bytes, str, int]
    id: int
    truncated: bool
    questions: tuple[tuple[str, int], ...]
    known: frozenset[str]


def name(text: str) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in text.encode().rstrip(b".").split(b".")) + b"\0"


def message(answers: list[Record], additional: Sequence[Record] = (), *, id: int = 0) -> bytes:
    header = struct.pack("!HHHHHH", id, 0x8400, 0, len(answers), 0, len(additional))
    return header + b"".join(record.encode() for record in (*answers, *additional))


def frame(
    payload: bytes,
    mac: bytes,
    source: str,
    *,
    to: tuple[bytes, str, int] | None = None,
    port: int = PORT,
    hops: int = 255,
) -> bytes:
    """UDP from ``source``, to the group or to the MAC, address and port ``to``."""
    address = ipaddress.ip_address(source)
    version = address.version
    to_mac, to_address, to_port = to or (_MAC[version], GROUPS[version], PORT)
    target = ipaddress.ip_address(to_address).packed
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", port, to_port, length, 0)
    if version == 4:
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, hops, 17, 0) + address.packed + target
        header = header[:10] + struct.pack("!H", _checksum(header)) + header[12:]
    else:
        header = struct.pack("!IHBB", 6 << 28, length, 17, hops) + address.packed + target
        pseudo = address.packed + target + struct.pack("!II", length, 17)
        udp = udp[:6] + struct.pack("!H", _checksum(pseudo + udp + payload) or 0xFFFF)
    return to_mac + mac + struct.pack("!H", _ETHERTYPE[version]) + header + udp + payload


def payload(data: bytes) -> tuple[str, bytes]:
    """The source's address and what UDP carries, of a frame that frame() made."""
    if data[12:14] == b"\x08\x00":
        return str(ipaddress.ip_address(data[26:30])), data[42:]
    return str(ipaddress.ip_address(data[22:38])), data[62:]


def query(data: bytes) -> Query | None:
    """The query in a frame; None when it holds none."""
    kind = int.from_bytes(data[12:14], "big")
    if kind == 0x0800 and data[23] == 17:
        version, start, source = 4, 14 + (data[14] & 15) * 4, str(ipaddress.ip_address(data[26:30]))
    elif kind == 0x86DD and data[20] == 17:
        version, start, source = 6, 54, str(ipaddress.ip_address(data[22:38]))
    else:
        return None
    port, to_port = struct.unpack_from("!HH", data, start)
    message = data[start + 8 :]
    if to_port != PORT or len(message) < 12:
        return None
    id, flags, asked, answers, _authorities, _additional = struct.unpack_from("!HHHHHH", message)
    if flags & 0x8000:
        return None
    at, questions, known = 12, [], []
    for _question in range(asked):
        text, at = _name(message, at)
        questions.append((text.lower(), struct.unpack_from("!H", message, at)[0]))
        at += 4
    for _answer in range(answers):
        _text, at = _name(message, at)
        kind, _class, _ttl, length = struct.unpack_from("!HHIH", message, at)
        if kind == PTR:
            known.append(_name(message, at + 10)[0].lower())
        at += 10 + length
    return Query(version, (data[6:12], source, port), id, bool(flags & 0x0200), tuple(questions), frozenset(known))


def _name(message: bytes, at: int) -> tuple[str, int]:
    labels, after = [], None
    while length := message[at]:
        if length >= 0xC0:
            after = after or at + 2
            at = int.from_bytes(message[at : at + 2], "big") & 0x3FFF
        else:
            labels.append(message[at + 1 : at + 1 + length].decode(errors="replace"))
            at += 1 + length
    return ".".join(labels) + ".", after or at + 1


def _checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
