# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The credentials that let a board bootstrap: the values of ``mbed_cloud_dev_credentials.c``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from ..libraries import Absent, is_installed
from .c_errors import CSourceError
from .c_source import parse_c_source
from .certified import Certified, first_name
from .rules import (
    ACCOUNT_ID,
    DEVELOPER_RULES,
    DEVICE_CERTIFICATE,
    ENDPOINT_NAME,
    LWM2M_CA,
    MEMORY_TOTAL_KB,
    METADATA,
    PRIVATE_KEY,
    SERVER_CA,
    SERVER_URI,
    CredentialError,
    load_certificate,
    pem,
    pem_bytes,
    readable,
    require,
    validity_notices,
)

if TYPE_CHECKING or is_installed("cryptography"):
    from cryptography.x509.oid import NameOID
else:
    NameOID = Absent()


REQUIRED = (
    ENDPOINT_NAME,
    SERVER_URI,
    DEVICE_CERTIFICATE,
    SERVER_CA,
    PRIVATE_KEY,
    *METADATA,
    MEMORY_TOTAL_KB,
)
# ACCOUNT_ID is for people; the LwM2M CA was in the files of 2018 and no device reads it.
OPTIONAL = (ACCOUNT_ID, LWM2M_CA)

_PEM_LABELS = {DEVICE_CERTIFICATE: "CERTIFICATE", SERVER_CA: "CERTIFICATE", LWM2M_CA: "CERTIFICATE"}


@dataclass(frozen=True)
class DeveloperCredentials(Certified):
    """The values of one developer certificate, by the names of their C variables.

    ``values`` has the exact bytes that a device gets: text without a terminating NUL, DER, and
    MEMORY_TOTAL_KB as 4 little-endian bytes. ``name`` and ``certificate_id`` (32 hex digits) are the
    certificate's in the cloud, where they are known. ``source`` is how errors call all this.
    """

    KIND: ClassVar[str] = "developer-credentials"

    values: Mapping[str, bytes] = field(repr=False)
    name: str | None = None
    certificate_id: str | None = None
    source: str = field(default="the credentials", compare=False)

    @classmethod
    def from_c_source(
        cls, text: bytes, source: str, *, name: str | None = None, certificate_id: str | None = None
    ) -> DeveloperCredentials:
        """The credentials in the C file ``text``.

        Raises CSourceError when it is no such file, CredentialError when a value breaks a rule other
        than those on time.
        """
        file = parse_c_source(text, source)
        values = {key: file.constants[key].value for key in REQUIRED + OPTIONAL if key in file.constants}
        missing = [key for key in REQUIRED if key not in values]
        if missing:
            raise CSourceError(source, None, _what_it_is(list(file.constants), missing, file.left_out))
        credentials = cls(values, name, certificate_id, source)
        require(DEVELOPER_RULES, values, source)
        return credentials

    def check(self, now: datetime | None = None, warn_days: int = 30, account_id: str | None = None) -> list[str]:
        """Apply all rules; return notices for the user. Raises CredentialError for a broken rule.

        ``account_id`` is the API key's account, to be compared with the certificate's.
        """
        now = now or datetime.now(timezone.utc)
        require(DEVELOPER_RULES, self.values, self.source)
        notices = validity_notices(DEVICE_CERTIFICATE, self.certificate, self.source, now, warn_days)
        ca = load_certificate(self.values[SERVER_CA])
        if ca.not_valid_after_utc <= now:
            end = f"{ca.not_valid_after_utc:%Y-%m-%d}"
            notices.append(f"{SERVER_CA} of {self.source} ended on {end}; boards without a clock accept that.")
        if ca.issuer != ca.subject:
            names = f"{ca.subject.rfc4514_string()!r}, by {ca.issuer.rfc4514_string()!r}"
            notices.append(
                f"{SERVER_CA} of {self.source} is not a root certificate ({names}), so it cannot be checked whether "
                "it is intact."
            )
        others = {
            f"the URI's aid {self._aid!r}": self._aid,
            f"{ACCOUNT_ID} {readable(self.values.get(ACCOUNT_ID, b''))!r}": readable(self.values.get(ACCOUNT_ID, b"")),
            f"the API key's account {account_id!r}": account_id,
        }
        notices += [
            f"{DEVICE_CERTIFICATE} of {self.source} belongs to the account {self.account_id!r}, not to {what}."
            for what, account in others.items()
            if account and self.account_id and account != self.account_id
        ]
        return notices

    @property
    def der(self) -> bytes:
        """The bootstrap device certificate."""
        return self.values[DEVICE_CERTIFICATE]

    @property
    def endpoint_name(self) -> str:
        return readable(self.values[ENDPOINT_NAME])

    @property
    def account_id(self) -> str:
        """The account that the certificate names as its organizational unit, or an empty string."""
        return first_name(self.certificate.subject, NameOID.ORGANIZATIONAL_UNIT_NAME) or ""

    @property
    def uri(self) -> str:
        return readable(self.values[SERVER_URI])

    @property
    def _aid(self) -> str:
        return parse_qs(urlsplit(self.uri).query).get("aid", [""])[0]

    def to_document(self) -> dict[str, Any]:
        """Plain data for YAML: certificates and key as PEM, text as text, other bytes as they are."""
        document: dict[str, Any] = {"certificate_name": self.name, "certificate_id": self.certificate_id}
        values: dict[str, Any] = {}
        for key, value in sorted(self.values.items()):
            if key in _PEM_LABELS:
                values[key] = pem(_PEM_LABELS[key], value)
            elif key == PRIVATE_KEY:
                values[key] = pem("EC PRIVATE KEY" if _is_sec1(value) else "PRIVATE KEY", value)
            elif key == MEMORY_TOTAL_KB and len(value) == 4:
                values[key] = int.from_bytes(value, "little")
            else:
                values[key] = text_or_bytes(value)
        return {key: value for key, value in document.items() if value is not None} | {"values": values}

    @classmethod
    def from_document(cls, document: dict[str, Any], source: str) -> DeveloperCredentials:
        """The credentials that ``to_document`` gave. Raises CredentialError when something is amiss."""
        written = document.get("values")
        if not isinstance(written, dict):
            raise CredentialError("values", source, "complete", "is missing")
        values: dict[str, bytes] = {}
        for key, value in written.items():
            try:
                values[str(key)] = _stored_bytes(str(key), value)
            except (ValueError, OverflowError):
                raise CredentialError(str(key), source, "readable", "cannot be read") from None
        for key in REQUIRED:
            if key not in values:
                raise CredentialError(key, source, "complete", "is missing")
        for key in (DEVICE_CERTIFICATE, SERVER_CA):
            try:
                load_certificate(values[key])
            except ValueError as error:
                raise CredentialError(key, source, "DER X.509", str(error)) from error
        return cls(values, document.get("certificate_name"), document.get("certificate_id"), source)


def text_or_bytes(value: bytes) -> str | bytes:
    """``value`` as text where it is such, to be readable in YAML; else unchanged (YAML's !!binary)."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value
    return text if text.isprintable() else value


def _stored_bytes(key: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if key == MEMORY_TOTAL_KB and isinstance(value, int):
        return value.to_bytes(4, "little")
    if not isinstance(value, str):
        raise ValueError("of an unknown type")
    return pem_bytes(value) if key in _PEM_LABELS or key == PRIVATE_KEY else value.encode()


def _is_sec1(der: bytes) -> bool:
    """SEC1 keys begin with version 1, PKCS#8 ones with version 0."""
    return re.match(rb"\x30(?:[\x00-\x7f]|[\x81-\x84].{1,4}?)\x02\x01\x01", der, re.DOTALL) is not None


def _what_it_is(found: list[str], missing: list[str], left_out: tuple[str, ...]) -> str:
    if any(name.startswith("arm_uc_") for name in found):
        return "holds update resources (arm_uc_…), not developer credentials (MBED_CLOUD_DEV_…)"
    if len(missing) == len(REQUIRED):
        reason = "holds no developer credentials (MBED_CLOUD_DEV_…)"
    else:
        reason = f"does not have {', '.join(missing)}; download it again"
    return reason + (f". Left out by the preprocessor: {', '.join(left_out)}" if left_out else "")
