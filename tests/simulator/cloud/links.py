# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a device tells of its resources when it registers: link format (RFC 6690), and Arm's client puts values in.

``</10252/0/2>;rt="State";v="1";aobs="2"``: the value is 1, and notifications of it come with 2 as their token.
"""

from __future__ import annotations

import base64
import re
import uuid
from dataclasses import dataclass, field

STATE, RESULT, VERSION = "10252/0/2", "10252/0/3", "10252/0/6"
_VENDOR, _CLASS = "10255/0/3", "10255/0/4"
_LINK = re.compile(r"<([^>]*)>((?:;[^,;\"]*(?:\"[^\"]*\")?)*)")
_ATTRIBUTE = re.compile(r";([^=;]*)(?:=\"?([^;\"]*)\"?)?")


@dataclass(frozen=True)
class Told:
    """``observed``: resources by the tokens of their notifications. ``vendor_id`` with dashes and ``device_class``
    without, or None; ``version`` is the timestamp of the installed manifest, None when there is none."""

    observed: dict[bytes, str] = field(default_factory=dict)
    vendor_id: str | None = None
    device_class: str | None = None
    version: int | None = None
    state: int | None = None

    @classmethod
    def of(cls, payload: bytes) -> Told:
        """What ``payload`` tells; what cannot be read in it is left out."""
        links = {
            path.strip("/"): dict(_ATTRIBUTE.findall(attributes))
            for path, attributes in _LINK.findall(payload.decode("utf-8", "replace"))
        }
        observed = {
            int(number).to_bytes(2, "big"): path
            for path, number in ((path, attributes.get("aobs", "")) for path, attributes in links.items())
            if re.fullmatch("[0-9]{1,5}", number) and int(number) < 1 << 16
        }
        vendor, device_class = (_id(links.get(path, {}).get("v", "")) for path in (_VENDOR, _CLASS))
        version = _number(links.get(VERSION, {}).get("v", ""))
        return cls(
            observed,
            str(vendor) if vendor else None,
            device_class.hex if device_class else None,
            version if version is not None and version >= 0 else None,
            _number(links.get(STATE, {}).get("v", "")),
        )


def _id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(bytes=base64.b64decode(text, validate=True))
    except ValueError:
        return None


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch("-?[0-9]{1,18}", text) else None
