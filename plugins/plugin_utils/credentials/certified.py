# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certificates can tell: to the code (Certified), and to people and scripts (describe_certificate)."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..libraries import Absent, is_installed
from ..times import time_text
from .rules import load_certificate, sha256_hex

if TYPE_CHECKING or is_installed("cryptography"):
    from cryptography import x509
    from cryptography.x509.oid import NameOID
else:
    x509 = NameOID = Absent()


class Certified:
    """Something with a certificate, whose DER is ``der``."""

    if TYPE_CHECKING:  # a field here, a property there

        @property
        def der(self) -> bytes: ...

    @cached_property
    def certificate(self) -> x509.Certificate:
        return load_certificate(self.der)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate's DER, 64 hex digits."""
        return sha256_hex(self.der)

    @property
    def not_before(self) -> datetime:
        return self.certificate.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        return self.certificate.not_valid_after_utc


def describe_certificate(der: bytes) -> dict[str, Any]:
    """JSON-able facts of a certificate: ``fingerprint`` (SHA-256, hex), ``common_name`` (a developer certificate's is
    the endpoint name), ``account_id`` (the subject's organizational unit), ``not_before`` and ``not_after``.

    What the certificate does not have is None; of one that cannot be read, all but the fingerprint.
    """
    facts: dict[str, Any] = {"fingerprint": sha256_hex(der)}
    try:
        certificate = load_certificate(der)
    except ValueError:
        return facts | dict.fromkeys(("common_name", "account_id", "not_before", "not_after"))
    return facts | {
        "common_name": first_name(certificate.subject, NameOID.COMMON_NAME),
        "account_id": first_name(certificate.subject, NameOID.ORGANIZATIONAL_UNIT_NAME),
        "not_before": time_text(certificate.not_valid_before_utc),
        "not_after": time_text(certificate.not_valid_after_utc),
    }


def first_name(subject: x509.Name, kind: x509.ObjectIdentifier) -> str | None:
    """The first name of that ``kind`` (a NameOID) in ``subject``."""
    names = subject.get_attributes_for_oid(kind)
    return str(names[0].value) if names else None
