# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board as an inspection found it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from . import kcm
from .client_log import ClientLog


@dataclass(frozen=True)
class Board:
    """What a board holds and how it is.

    ``certificates`` maps the complete KCM names of kcm.CERTIFICATES to the DER found; ``files`` are the
    KCM's file names; ``record`` is the record's lines as a mapping, empty without one; ``status_code`` is
    the utility's for `--get-pelion-status`, None when it was not asked; ``clock`` is the board's own time.
    """

    has_utility: bool
    files: frozenset[str] = frozenset()
    certificates: Mapping[str, bytes] = field(default_factory=dict)
    kcm_digest: str | None = None
    record: Mapping[str, str] = field(default_factory=dict)
    status_code: int | None = None
    status: str = ""
    client_runs: bool = False
    log: ClientLog = field(default_factory=ClientLog)
    clock: datetime | None = None
    recovered: bool = False
    interrupted: bool = False

    @property
    def missing_items(self) -> list[str]:
        """Names of the items that a provisioned board has and this one lacks."""
        return [name.split("_", 1)[1] for name in kcm.FACTORY_ITEMS if kcm.file_name(name) not in self.files]

    @property
    def configured(self) -> bool:
        """Whether the utility is content and no item is missing (it overlooks missing update items)."""
        return self.status_code == 0 and not self.missing_items

    @property
    def bootstrapped(self) -> bool:
        """Whether the client holds LwM2M credentials, so that it registers and does not bootstrap."""
        return kcm.file_name(kcm.LWM2M_SERVER_URI) in self.files

    @property
    def registered(self) -> bool:
        return self.client_runs and self.log.registered is True and self.log.device_id is not None

    @property
    def provisioned_by(self) -> str | None:
        """Who put the present content there: ``pelion.mbl``, ``another tool``, or None for an empty KCM."""
        if kcm.DEVELOPER_CERTIFICATE not in self.certificates and not self.certificates:
            return None
        return "pelion.mbl" if self.record and self.record.get("kcm") == self.kcm_digest else "another tool"

    def describe(self) -> dict[str, Any]:
        """JSON-able, without secrets: what the board holds, whoever put it there."""
        return {
            "developer_certificate": describe_certificate(self.certificates.get(kcm.DEVELOPER_CERTIFICATE)),
            "update_certificate": describe_certificate(self.certificates.get(kcm.UPDATE_CERTIFICATE)),
            "provisioned_by": self.provisioned_by,
            "missing_items": self.missing_items,
        }


def describe_certificate(der: bytes | None) -> dict[str, Any] | None:
    """Subject, SHA-256 fingerprint and end of a certificate; None for none."""
    if der is None:
        return None
    facts: dict[str, Any] = {"fingerprint": hashlib.sha256(der).hexdigest()}
    try:
        certificate = x509.load_der_x509_certificate(der)
        subject = certificate.subject
        facts["common_name"] = _first(subject, NameOID.COMMON_NAME)
        facts["account_id"] = _first(subject, NameOID.ORGANIZATIONAL_UNIT_NAME)
        facts["not_after"] = _not_after(certificate).isoformat()
    except ValueError:
        facts["common_name"] = facts["account_id"] = facts["not_after"] = None
    return facts


def _first(subject: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    attributes = subject.get_attributes_for_oid(oid)
    return str(attributes[0].value) if attributes else None


def _not_after(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_after_utc.astimezone(timezone.utc)
