# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making an update certificate and the ids that go with it, as the manifest tool does.

The profile is that of manifest-tool 1.3 to 2.6: X.509 v3, P-256, ecdsa-with-SHA256, self-signed, four
extensions, none of them critical. What is made here, those tools sign with.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from ..errors import PelionError
from ..libraries import Absent, is_installed
from .rules import CLASS_ID, UPDATE_CERTIFICATE, VENDOR_ID
from .update_resources import UpdateResources

if TYPE_CHECKING or is_installed("cryptography"):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
else:
    x509 = hashes = ec = Encoding = NoEncryption = PrivateFormat = Absent()
    PublicFormat = ExtendedKeyUsageOID = NameOID = Absent()


# What manifest-tool 2.x gives. With a certificate that has ended, a board's client does not start.
DEFAULT_VALID_DAYS = 7300
MAX_VALID_DAYS = 36500
DATED_BACK = timedelta(days=1)
"""How long before it was made a certificate begins, so that clocks that are behind take it."""

DEFAULT_SUBJECT = "CN=localhost"


class RecipeError(PelionError):
    """What was asked for cannot be made, since an ``option`` of pelion.mbl.mbl_update_resources has a ``problem``, in
    words that go on after it. ``advice`` is for who can set the module's other options."""

    def __init__(self, option: str, problem: str, advice: str = "") -> None:
        super().__init__(f"{option} {problem}{advice}.")
        self.option = option
        self.problem = problem


@dataclass(frozen=True)
class Recipe:
    """What a certificate is made for. ``subject`` is a name as in RFC 4514 (``CN=example.com,O=Example``)."""

    vendor_id: uuid.UUID
    class_id: uuid.UUID
    subject: str = DEFAULT_SUBJECT
    valid_days: int = DEFAULT_VALID_DAYS

    def __post_init__(self) -> None:
        if not 1 <= self.valid_days <= MAX_VALID_DAYS:
            raise RecipeError("valid_days", f"is {self.valid_days}, but must be from 1 to {MAX_VALID_DAYS}")
        for field, value in (("vendor_id", self.vendor_id), ("class_id", self.class_id)):
            if not value.int:
                raise RecipeError(field, f"is {value}, which stands for no ID")
        self.name()

    def name(self) -> x509.Name:
        """The subject, parsed. Raises RecipeError."""
        try:
            name = x509.Name.from_rfc4514_string(self.subject)
            _require_lengths(name)
        except ValueError as error:
            reason = f": {error}" if str(error) else ""
            raise RecipeError(
                "subject", f"is {self.subject!r}, but must be a name such as CN=example.com,O=Example{reason}"
            ) from error
        if not list(name):
            raise RecipeError("subject", "is empty; give at least CN=NAME")
        return name


def common_name(text: str) -> str:
    """The vendor domain ``text`` as a subject of nothing but a common name. Raises RecipeError."""
    try:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
        _require_lengths(name)
    except ValueError as error:
        problem = f"is {text!r}, which cannot be a certificate's common name ({error})"
        raise RecipeError("vendor_domain", problem, "; give subject") from error
    return name.rfc4514_string()


def _require_lengths(name: x509.Name) -> None:
    """The bound of X.520 on common names, which old versions of cryptography do not know."""
    if any(len(attribute.value) > 64 for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME)):
        raise ValueError("a common name has at most 64 characters")


def derive_ids(vendor_domain: str, device_class: str) -> tuple[uuid.UUID, uuid.UUID]:
    """Vendor and class id of a domain and the name of a device class (manifest-tool 1.x, init -d -m).

    Raises RecipeError for what that tool refuses, too: a domain without a dot, an empty name.
    """
    if "." not in vendor_domain.strip("."):
        raise RecipeError("vendor_domain", f"is {vendor_domain!r}, but must be a domain such as example.com")
    if not device_class:
        raise RecipeError("device_class", "is empty")
    vendor_id = uuid.uuid5(uuid.NAMESPACE_DNS, vendor_domain)
    return vendor_id, uuid.uuid5(vendor_id, device_class)


def parse_id(field: str, text: str) -> uuid.UUID:
    """The id in ``text`` (32 hex digits, with dashes or without). Raises RecipeError naming ``field``."""
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise RecipeError(field, f"is {text!r}, but must be a UUID (32 hexadecimal digits)") from error


def make_update_resources(recipe: Recipe, now: datetime | None = None) -> UpdateResources:
    """New resources with a key of their own."""
    now = (now or datetime.now(timezone.utc)).replace(microsecond=0)
    key = ec.generate_private_key(ec.SECP256R1())
    public_key = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    usages = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    extensions = (
        x509.KeyUsage(digital_signature=True, **usages),
        x509.SubjectAlternativeName([x509.DNSName("localhost")]),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]),
        x509.SubjectKeyIdentifier(hashlib.sha256(public_key).digest()[:20]),  # RFC 7093, method 1
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(recipe.name())
        .issuer_name(recipe.name())
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DATED_BACK)
        .not_valid_after(now + timedelta(days=recipe.valid_days))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return UpdateResources(
        {
            UPDATE_CERTIFICATE: certificate.public_bytes(Encoding.DER),
            VENDOR_ID: recipe.vendor_id.bytes,
            CLASS_ID: recipe.class_id.bytes,
        },
        private_key_pem(key),
        source="the certificate made now",
        made=now,
    )


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """``key`` in the form in which the manifest tool keeps keys (SEC1 PEM)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
