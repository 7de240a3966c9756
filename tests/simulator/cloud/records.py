# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service keeps, and how its answers show it.

Fields and their forms: Pelion's OpenAPI document of 2020-07 (TrustedCertificateResp,
DeveloperCertificateResponseData, DeviceData, DeviceGroup, AccountInfo).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509

from .issuing import pem
from .times import now, rfc3339

DEVELOPER_MODE = 1
#: ``tier`` of an account -> how many trusted certificates it may hold (managing-trusted-certificates.html).
CERTIFICATES_OF_TIER = {"0": 10, "1": 50}
DEVICES_PER_DEVELOPER_CERTIFICATE = 100


@dataclass
class Account:
    id: str
    tier: str
    certificate_limit: int
    created_at: datetime = field(default_factory=now)

    def to_json(self, include: set[str]) -> dict[str, Any]:
        answer = {
            "object": "account",
            "id": self.id,
            "etag": "1",
            "status": "ACTIVE",
            "tier": self.tier,
            "end_market": "IOT",
            "display_name": "Lab",
            "aliases": [],
            "created_at": rfc3339(self.created_at),
        }
        if "limits" in include:
            # The name is inferred from that of the field in the answer of an exceeded limit.
            answer["limits"] = {"cert-count": str(self.certificate_limit)}
        return answer


@dataclass
class ApiKey:
    account_id: str
    owner: str


@dataclass
class TrustedCertificate:
    """A certificate that devices' certificates are checked against; ``private_key``: a developer certificate."""

    id: str
    account_id: str
    name: str
    description: str | None
    service: str
    der: bytes
    owner_id: str | None
    private_key: bytes | None = field(default=None, repr=False)
    endpoint_name: str | None = None
    status: str = "ACTIVE"
    created_at: datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        self.revision = 0
        self.hold(self.der)

    def hold(self, der: bytes) -> None:
        """Make ``der`` the certificate. Raises ValueError when it is none."""
        parsed = x509.load_der_x509_certificate(der)
        self.der = der
        self.subject = parsed.subject.rfc4514_string()
        self.issuer = parsed.issuer.rfc4514_string()
        self.not_after = parsed.not_valid_after_utc
        self.pem = pem("CERTIFICATE", der)
        self.fingerprint = hashlib.sha256(der).hexdigest()
        self.changed()

    def changed(self) -> None:
        self.revision += 1
        self.updated_at = now()

    @property
    def is_developer(self) -> bool:
        return self.private_key is not None

    @property
    def execution_mode(self) -> int:
        return DEVELOPER_MODE if self.is_developer else 0

    @property
    def valid(self) -> bool:
        return now() < self.not_after

    def to_json(self) -> dict[str, Any]:
        return {
            "object": "trusted-cert",
            "id": self.id,
            "etag": str(self.revision),
            "account_id": self.account_id,
            "owner_id": self.owner_id,
            "name": self.name,
            "description": self.description,
            "service": self.service,
            "status": self.status,
            "device_execution_mode": self.execution_mode,
            "enrollment_mode": False,
            "certificate": self.pem,
            "certificate_fingerprint": self.fingerprint,
            "issuer": self.issuer,
            "subject": self.subject,
            "validity": f"{self.not_after:%Y-%m-%dT%H:%M:%SZ}",
            "valid": self.valid,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
        }

    def to_developer_json(self, security_file_content: str) -> dict[str, Any]:
        assert self.private_key is not None
        return {
            "object": "trusted-cert",
            "id": self.id,
            "etag": str(self.revision),
            "account_id": self.account_id,
            "name": self.name,
            "description": self.description,
            "created_at": rfc3339(self.created_at),
            "developer_certificate": self.pem,
            "developer_private_key": pem("PRIVATE KEY", self.private_key),
            "security_file_content": security_file_content,
        }


@dataclass
class Device:
    """An entry of the device directory. ``lifetime`` of a registration in seconds; without one it has no end."""

    id: str
    account_id: str
    ca_id: str | None
    state: str
    device_execution_mode: int
    device_key: str = ""
    name: str = ""
    description: str = ""
    endpoint_type: str = ""
    host_gateway: str = ""
    serial_number: str = ""
    vendor_id: str = ""
    device_class: str = ""
    manifest_timestamp: datetime | None = None
    deployment: str | None = None
    update_answer: int | None = None  # of a device that has no connection: its result to any manifest, 0 for none
    custom_attributes: dict[str, str] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    operator_suspended: bool = False
    last_operator_suspended_category: str | None = None
    last_operator_suspended_description: str | None = None
    bootstrapped_timestamp: datetime | None = None
    bootstrap_expiration: datetime | None = None
    connector_expiration: datetime | None = None
    lifetime: float | None = None
    registered_until: datetime | None = None
    created_at: datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        # A device with a developer certificate has no endpoint name of its own; the service takes its id
        # (device-identity.html).
        self.endpoint_name = self.id
        self.changed()

    def changed(self) -> None:
        self.updated_at = now()

    def register(self, lifetime: float | None = None) -> None:
        """From now on, for ``lifetime`` seconds or as many as before."""
        self.lifetime = lifetime or self.lifetime
        self.registered_until = now() + timedelta(seconds=self.lifetime) if self.lifetime else None
        self.state = "registered"
        self.changed()

    def end_registration(self) -> None:
        """If its time is over."""
        if self.state == "registered" and self.registered_until and self.registered_until <= now():
            self.state = "deregistered"
            self.updated_at = self.registered_until

    def to_json(self) -> dict[str, Any]:
        return {
            "object": "device",
            "id": self.id,
            # the directory's etags are times
            "etag": rfc3339(self.updated_at),
            "account_id": self.account_id,
            "auto_update": False,
            "bootstrap_expiration_date": _date(self.bootstrap_expiration),
            "bootstrapped_timestamp": self.bootstrapped_timestamp and rfc3339(self.bootstrapped_timestamp),
            "ca_id": self.ca_id,
            "connector_expiration_date": _date(self.connector_expiration),
            "created_at": rfc3339(self.created_at),
            "custom_attributes": self.custom_attributes,
            "deployment": self.deployment,
            "description": self.description,
            "device_class": self.device_class,
            "device_execution_mode": self.device_execution_mode,
            "device_key": self.device_key,
            "endpoint_name": self.endpoint_name,
            "endpoint_type": self.endpoint_type,
            "enrolment_list_timestamp": None,
            "firmware_checksum": None,
            "groups": list(self.groups),
            "host_gateway": self.host_gateway,
            "last_operator_suspended_category": self.last_operator_suspended_category,
            "last_operator_suspended_description": self.last_operator_suspended_description,
            "lifecycle_status": "blocked" if self.operator_suspended else "enabled",
            "manifest": None,
            "manifest_timestamp": self.manifest_timestamp and rfc3339(self.manifest_timestamp),
            "mechanism": "connector",
            "mechanism_url": "",
            "name": self.name,
            "operator_suspended": self.operator_suspended,
            "serial_number": self.serial_number,
            "state": self.state,
            "updated_at": rfc3339(self.updated_at),
            "vendor_id": self.vendor_id,
        }


@dataclass
class Group:
    """A group of devices. Each of them notes it as well: ``Device.groups``."""

    id: str
    account_id: str
    name: str
    description: str
    custom_attributes: dict[str, str]
    devices: list[str] = field(default_factory=list)
    created_at: datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        self.changed()

    def changed(self) -> None:
        self.updated_at = now()

    def to_json(self) -> dict[str, Any]:
        return {
            "object": "device-group",
            "id": self.id,
            "etag": rfc3339(self.updated_at),
            "name": self.name,
            "description": self.description,
            "custom_attributes": self.custom_attributes,
            "devices_count": len(self.devices),
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
        }


def _date(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%d}" if moment else None
