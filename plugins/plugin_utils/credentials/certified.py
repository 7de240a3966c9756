# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all credentials with a certificate can tell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import ClassVar

from ..libraries import Absent
from .rules import load_certificate, sha256_hex

try:
    from cryptography import x509
except ImportError:
    x509 = Absent("cryptography")


class Certified:
    """Credentials among whose ``values`` the one called ``CERTIFICATE`` is a certificate in DER."""

    CERTIFICATE: ClassVar[str]
    values: Mapping[str, bytes]

    @cached_property
    def certificate(self) -> x509.Certificate:
        return load_certificate(self.values[self.CERTIFICATE])

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate's DER, 64 hex digits."""
        return sha256_hex(self.values[self.CERTIFICATE])

    @property
    def not_before(self) -> datetime:
        return self.certificate.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        return self.certificate.not_valid_after_utc
