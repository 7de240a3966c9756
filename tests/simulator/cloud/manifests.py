# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service reads in an update manifest of version 1; it is not known to look at the signature."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timezone

from .service_error import ServiceError, invalid

LONGEST = 2048
"""Bytes of a manifest (manifest-tool and the OpenAPI document)."""


@dataclass(frozen=True)
class ManifestFacts:
    """``vendor_id`` with dashes, ``device_class`` without, as in the examples of the API."""

    timestamp: datetime
    vendor_id: str
    device_class: str


def read_manifest(der: bytes) -> ManifestFacts:
    """Raises ServiceError (400)."""
    if len(der) > LONGEST:
        raise invalid("datafile", f"The manifest is larger than {LONGEST} bytes.")
    try:
        resource, _signature = _values(_only(der))
        _kind, manifest = _values(resource[1])
        fields = _values(manifest[1])
        version, timestamp = (int.from_bytes(content, "big") for _tag, content in fields[:2])
        vendor, device_class = (uuid.UUID(bytes=content) for _tag, content in fields[2:4])
        if version != 1:
            raise ValueError("not version 1")
        moment = datetime.fromtimestamp(timestamp, timezone.utc)
    except (ValueError, IndexError, OverflowError, OSError):
        raise ServiceError(400, "validation_error", "Bad Request. The manifest did not validate.") from None
    return ManifestFacts(moment, str(vendor), device_class.hex)


def _only(der: bytes) -> bytes:
    """The content of the one value in ``der``."""
    ((_tag, content),) = _values(der)
    return content


def _values(content: bytes) -> list[tuple[int, bytes]]:
    """Tags and contents. Raises ValueError, IndexError."""
    values = []
    while content:
        tag, length, start = content[0], content[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(content[2:start], "big")
        if start + length > len(content):
            raise ValueError("cut off")
        values.append((tag, content[start : start + length]))
        content = content[start + length :]
    return values
