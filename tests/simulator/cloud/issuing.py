# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and X.509 certificates, of the profiles that the real service issues."""

from __future__ import annotations

import base64
import secrets
import textwrap
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

DEVELOPER_DAYS = 3652

# INTEGER 0x400091, as in the examples of Pelion's OpenAPI document.
_DEVELOPER_EXTENSION = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.4128.201"), bytes.fromhex("0203400091"))

# PKCS#8 around a SEC1 key that names its curve, which is how the service writes P-256 keys (150 bytes).
# The usual encoders leave the curve out of the inner key (138 bytes).
_PKCS8_P256 = bytes.fromhex("308193020100301306072a8648ce3d020106082a8648ce3d0301070479")


@dataclass(frozen=True)
class Identity:
    """A certificate and its private key, both DER; the key as PKCS#8."""

    certificate: bytes
    private_key: bytes = field(repr=False)

    @property
    def sec1(self) -> bytes:
        """The private key as SEC1, which is how LwM2M hands it to a device."""
        return self.private_key[len(_PKCS8_P256) :]


class Authority:
    """A root CA of the lab, and what it issues."""

    def __init__(self, common_name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _builder(name, name, self._key, _now(), DEVELOPER_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
        builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        public = self._key.public_key()
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.certificate = self._certificate.public_bytes(Encoding.DER)

    def issue_server(self, host: str) -> Identity:
        """For the TLS server ``host`` (a DNS name)."""
        names = [x509.NameAttribute(NameOID.COMMON_NAME, host)]
        return self._issue(names, ExtendedKeyUsageOID.SERVER_AUTH, x509.SubjectAlternativeName([x509.DNSName(host)]))

    def issue_device(self, endpoint_name: str, device_id: str) -> Identity:
        """For a device at the LwM2M server. Its id is in the place of a locality."""
        names = [
            x509.NameAttribute(NameOID.LOCALITY_NAME, device_id),
            x509.NameAttribute(NameOID.COMMON_NAME, endpoint_name),
        ]
        return self._issue(names, ExtendedKeyUsageOID.CLIENT_AUTH)

    def issued(self, certificate: x509.Certificate) -> bool:
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except Exception:  # the library raises one of several, each of which says no
            return False
        return True

    def _issue(
        self, names: list[x509.NameAttribute], usage: ObjectIdentifier, *extensions: x509.ExtensionType
    ) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(x509.Name(names), self._certificate.subject, key, _now(), DEVELOPER_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        builder = builder.add_extension(_usage(digital_signature=True), critical=True)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        for extension in (issuer, x509.ExtendedKeyUsage([usage]), *extensions):
            builder = builder.add_extension(extension, critical=False)
        return _identity(builder.sign(self._key, hashes.SHA256()), key)


def issue_developer(account_id: str, endpoint_name: str, *, days_left: int = DEVELOPER_DAYS) -> Identity:
    """A developer certificate, self-signed, with its key.

    Profile: the examples of Pelion's OpenAPI document (subject, serial of 16 bytes, extensions, 10 years);
    the extended key usage is what newer certificates have in addition (mbed-edge's sample of 2023).
    One with fewer days left than 10 years was made so much earlier; with none left it has just ended.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "GB"),
            x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "Cambridgeshire"),
            x509.NameAttribute(NameOID.LOCALITY_NAME, "Cambridge"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "ARM Ltd"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, account_id),
            x509.NameAttribute(NameOID.COMMON_NAME, endpoint_name),
        ]
    )
    builder = _builder(name, name, key, _now() - timedelta(days=DEVELOPER_DAYS - days_left), DEVELOPER_DAYS)
    builder = builder.add_extension(_DEVELOPER_EXTENSION, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(True, 0), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    return _identity(builder.sign(key, hashes.SHA256()), key)


def device_id_of(certificate: x509.Certificate) -> str:
    """The id in a certificate of ``Authority.issue_device``; "" when there is none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.LOCALITY_NAME)
    return str(names[0].value) if names else ""


def pem(label: str, der: bytes) -> str:
    """``der`` as PEM, with ``label`` such as ``CERTIFICATE``."""
    return f"-----BEGIN {label}-----\n{textwrap.fill(base64.b64encode(der).decode(), 64)}\n-----END {label}-----\n"


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        # 16 bytes, as the service's; never so small that it would be shorter
        .serial_number(secrets.randbits(127) | 1 << 127)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
    )


def _identity(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Identity:
    sec1 = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return Identity(certificate.public_bytes(Encoding.DER), _PKCS8_P256 + sec1)


def _usage(**bits: bool) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: bits.get(name, False) for name in names})


def _now() -> datetime:
    return datetime.now(timezone.utc)
