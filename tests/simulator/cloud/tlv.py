# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LwM2M's TLV encoding of an object instance (OMA-TS-LightweightM2M 1.0, section 6.4.3)."""

from __future__ import annotations

from collections.abc import Mapping

CONTENT_FORMAT = 11542  # application/vnd.oma.lwm2m+tlv
_INSTANCE, _RESOURCE = 0b00, 0b11


def object_instance(number: int, resources: Mapping[int, bytes | str | int]) -> bytes:
    """An object instance with single resources by id: opaque, string, or integer (booleans are 0 and 1)."""
    return _entry(_INSTANCE, number, b"".join(_entry(_RESOURCE, id_, _value(of)) for id_, of in resources.items()))


def _value(value: bytes | str | int) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    for size in (1, 2, 4):
        if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1:
            return value.to_bytes(size, "big", signed=True)
    return value.to_bytes(8, "big", signed=True)


def _entry(kind: int, id_: int, value: bytes) -> bytes:
    """One type byte, the id, the length if it does not fit into the type byte, and the value."""
    id_size = 1 if id_ < 1 << 8 else 2
    head = kind << 6 | (id_size - 1) << 5
    if len(value) < 8:
        return bytes([head | len(value)]) + id_.to_bytes(id_size, "big") + value
    length_size = (len(value).bit_length() + 7) // 8
    head |= length_size << 3
    return bytes([head]) + id_.to_bytes(id_size, "big") + len(value).to_bytes(length_size, "big") + value
