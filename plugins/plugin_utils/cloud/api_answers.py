# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Pelion API answers, checked before use: accounts, certificates, devices.

Shapes are those of the service's public OpenAPI description (Device Management API v3, 2020-07). Each
``from_answer`` takes a JSON object and raises ValueError that names the field, never its value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..credentials.certified import Certified
from ..credentials.rules import load_certificate, pem_bytes
from ..times import parse_time

ID = re.compile(r"[0-9a-f]{32}")

DEVELOPER_MODE = 1
"""``device_execution_mode`` of developer certificates and of the devices that hold one."""

_JSON_NAMES = {str: "a string", int: "a number", bool: "true or false", dict: "an object", list: "a list"}


def take(answer: Mapping[str, Any], name: str, kind: type, *, optional: bool = False) -> Any:
    """The field ``name``, which must be a ``kind``; null and missing count as the same."""
    value = answer.get(name)
    if value is None:
        if optional:
            return None
        raise ValueError(f"its field {name!r} is missing")
    # To Python, true is a number too.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"its field {name!r} is not {_JSON_NAMES[kind]}")
    return value


def take_id(answer: Mapping[str, Any], name: str) -> str:
    """The field ``name``, an id of 32 hexadecimal digits (so that it is safe as a part of a path)."""
    value: str = take(answer, name, str)
    if not ID.fullmatch(value):
        raise ValueError(f"its field {name!r} is not an id of 32 hexadecimal digits")
    return value


def take_time(answer: Mapping[str, Any], name: str) -> datetime | None:
    """The field ``name``, a time as RFC 3339 writes it, or None when it is missing."""
    text = take(answer, name, str, optional=True)
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise ValueError(f"its field {name!r} is not a time") from None


def take_hex(answer: Mapping[str, Any], name: str) -> str | None:
    """The field ``name``, an id with or without dashes, as small hexadecimal digits; None when missing or empty."""
    text = take(answer, name, str, optional=True)
    return text.replace("-", "").lower() or None if text else None


@dataclass(frozen=True)
class Account:
    """The account that a key belongs to; ``tier`` is "0" for free accounts."""

    id: str
    tier: str
    display_name: str | None

    # Source: the service's documentation, "Managing trusted certificates".
    FREE_TIER = "0"
    CERTIFICATES_FREE = 10
    CERTIFICATES_PAID = 50

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Account:
        tier = answer.get("tier")
        if not isinstance(tier, (str, int)) or isinstance(tier, bool):
            raise ValueError("its field 'tier' is missing or not a string")
        return cls(take_id(answer, "id"), str(tier), take(answer, "display_name", str, optional=True))

    @property
    def certificates_limit(self) -> int:
        """How many trusted certificates, developer and CA together, the account may have."""
        return self.CERTIFICATES_FREE if self.tier == self.FREE_TIER else self.CERTIFICATES_PAID


@dataclass(frozen=True)
class DeveloperCertificate(Certified):
    """A developer certificate as the account's list of trusted certificates has it: without private key."""

    id: str
    account_id: str
    name: str
    description: str
    active: bool
    created_at: datetime | None
    der: bytes = field(repr=False)

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> DeveloperCertificate:
        pem = take(answer, "certificate", str)
        try:
            der = pem_bytes(pem)
            load_certificate(der)
        except ValueError as error:
            raise ValueError(f"its field 'certificate' {error}") from error
        return cls(
            id=take_id(answer, "id"),
            account_id=take_id(answer, "account_id"),
            name=take(answer, "name", str),
            description=take(answer, "description", str, optional=True) or "",
            active=(take(answer, "status", str, optional=True) or "ACTIVE") == "ACTIVE",
            created_at=take_time(answer, "created_at"),
            der=der,
        )

    @property
    def status(self) -> str:
        return "ACTIVE" if self.active else "INACTIVE"


@dataclass(frozen=True)
class CertificateFile:
    """A developer certificate with its private key: ``c_source`` is ``mbed_cloud_dev_credentials.c``."""

    id: str
    name: str
    account_id: str
    c_source: bytes = field(repr=False)

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> CertificateFile:
        return cls(
            take_id(answer, "id"),
            take(answer, "name", str),
            take_id(answer, "account_id"),
            take(answer, "security_file_content", str).encode(),
        )


@dataclass(frozen=True)
class Device:
    """An entry of the Device Directory. ``certificate_id`` is its developer certificate's id (``ca_id``)."""

    id: str
    state: str
    name: str
    description: str
    endpoint_name: str | None
    serial_number: str | None
    certificate_id: str | None
    developer: bool
    bootstrapped_at: datetime | None
    created_at: datetime | None
    updated_at: datetime | None
    custom_attributes: Mapping[str, str]
    group_ids: tuple[str, ...]
    suspended: bool
    """Whether a user has suspended it, so that it cannot connect."""
    suspended_category: str | None
    """Why it was suspended last, if ever."""
    vendor_id: str | None
    """Whose updates it takes, as it told when it registered: 32 hexadecimal digits, None where that is not known."""
    device_class: str | None
    """For which kind of device, likewise."""
    manifest_timestamp: datetime | None
    """The version of the update that it took last, None where none is known."""
    answer: Mapping[str, Any] = field(repr=False, compare=False)
    """The whole entry as the service gave it."""

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Device:
        attributes = take(answer, "custom_attributes", dict, optional=True) or {}
        if not all(isinstance(value, str) for value in attributes.values()):
            raise ValueError("its field 'custom_attributes' has a value that is not a string")
        group_ids = take(answer, "groups", list, optional=True) or []
        if not all(isinstance(group_id, str) and ID.fullmatch(group_id) for group_id in group_ids):
            raise ValueError("its field 'groups' has an entry that is not an id of 32 hexadecimal digits")
        return cls(
            id=take_id(answer, "id"),
            state=take(answer, "state", str),
            name=take(answer, "name", str, optional=True) or "",
            description=take(answer, "description", str, optional=True) or "",
            endpoint_name=take(answer, "endpoint_name", str, optional=True),
            serial_number=take(answer, "serial_number", str, optional=True),
            certificate_id=take(answer, "ca_id", str, optional=True),
            developer=take(answer, "device_execution_mode", int, optional=True) == DEVELOPER_MODE,
            bootstrapped_at=take_time(answer, "bootstrapped_timestamp"),
            created_at=take_time(answer, "created_at"),
            updated_at=take_time(answer, "updated_at"),
            custom_attributes=attributes,
            group_ids=tuple(group_ids),
            suspended=take(answer, "operator_suspended", bool, optional=True) or False,
            suspended_category=take(answer, "last_operator_suspended_category", str, optional=True),
            vendor_id=take_hex(answer, "vendor_id"),
            device_class=take_hex(answer, "device_class"),
            manifest_timestamp=take_time(answer, "manifest_timestamp"),
            answer=answer,
        )


@dataclass(frozen=True)
class DeviceGroup:
    """A group of devices; the account has one of each name."""

    id: str
    name: str

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> DeviceGroup:
        return cls(take_id(answer, "id"), take(answer, "name", str, optional=True) or "")
