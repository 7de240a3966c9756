# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What credentials must fulfil before a board may get them.

A board's own tool stores nearly anything and deletes the old values first; what is wrong then shows
as a board that never connects. So everything that the tool's status check, the cloud client or the
cloud would refuse later is refused here first, by the two tables at the end.

Sources: "util" is pelion-provisioning-util of MBL 0.10 and of the head of development, its behaviour
as observed; "client" is mbed-cloud-client 3.0 to 4.1; "cloud" is Pelion Device Management's API 3.
"""

from __future__ import annotations

import base64
import hashlib
import re
import textwrap
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

from ..errors import PelionError
from ..libraries import Absent, AbsentError, is_installed
from .asn1 import for_strict_parsers, length_of, signed_with_ecdsa

if TYPE_CHECKING or is_installed("cryptography"):
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_der_private_key
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID
else:
    InvalidSignature = UnsupportedAlgorithm = AbsentError
    x509 = hashes = ec = Absent()
    load_der_private_key = ExtendedKeyUsageOID = NameOID = Absent()
    SignatureAlgorithmOID = Absent()


ENDPOINT_NAME = "MBED_CLOUD_DEV_BOOTSTRAP_ENDPOINT_NAME"
ACCOUNT_ID = "MBED_CLOUD_DEV_ACCOUNT_ID"
SERVER_URI = "MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI"
DEVICE_CERTIFICATE = "MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE"
SERVER_CA = "MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE"
LWM2M_CA = "MBED_CLOUD_DEV_LWM2M_SERVER_ROOT_CA_CERTIFICATE"
PRIVATE_KEY = "MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY"
MEMORY_TOTAL_KB = "MBED_CLOUD_DEV_MEMORY_TOTAL_KB"
METADATA = tuple(
    f"MBED_CLOUD_DEV_{name}"
    for name in ("MANUFACTURER", "MODEL_NUMBER", "SERIAL_NUMBER", "DEVICE_TYPE", "HARDWARE_VERSION")
)

UPDATE_CERTIFICATE = "arm_uc_default_certificate"
VENDOR_ID = "arm_uc_vendor_id"
CLASS_ID = "arm_uc_class_id"

Values = Mapping[str, bytes]


class CredentialError(PelionError):
    """A value breaks a rule. Names the field, the rule and where the value came from."""

    def __init__(self, field: str, source: str, rule: str, problem: str) -> None:
        super().__init__(f"{field} of {source}: {problem}.", field=field, source=source, rule=rule)


@dataclass(frozen=True)
class CredentialRule:
    """One rule: ``problem`` gives None, or says what is wrong with ``field`` among the values.

    A rule may rely on those above it in its table.
    """

    field: str
    name: str
    problem: Callable[[bytes, Values], str | None]
    source: str


def require(rules: Iterable[CredentialRule], values: Values, source: str) -> None:
    """Raise CredentialError for the first of ``rules`` that ``values`` break."""
    for rule in rules:
        problem = rule.problem(values[rule.field], values)
        if problem:
            raise CredentialError(rule.field, source, rule.name, problem)


def validity_notices(
    field: str, certificate: x509.Certificate, source: str, now: datetime, warn_days: int
) -> list[str]:
    """Notices on a certificate's period. Raises CredentialError when it has ended.

    With an update certificate that has ended, a board's client does not start any more (client), and
    the cloud takes no device with a developer certificate that has.
    """
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now >= end:
        raise CredentialError(field, source, "not expired", f"the certificate ended on {end:%Y-%m-%d %H:%M} UTC")
    if now < begin:
        return [
            f"{field} of {source} is not valid before {begin:%Y-%m-%d %H:%M} UTC; is the clock of this machine right?"
        ]
    if (end - now).days < warn_days:
        return [f"{field} of {source} ends in {(end - now).days} days, on {end:%Y-%m-%d}; renew it in time."]
    return []


def load_certificate(der: bytes) -> x509.Certificate:
    """The certificate in ``der``, for reading: asn1 says why its own bytes may not be those of ``der``.

    Raises ValueError with a text for users.
    """
    _require_der(der, "certificate")
    try:
        # What the library finds odd is for the rules to judge, and Ansible shows warnings as errors of the task.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(for_strict_parsers(der))
            # These are parsed when they are asked for, and would fail then.
            for part in (
                "subject",
                "issuer",
                "extensions",
                "signature_algorithm_oid",
                "not_valid_before_utc",
                "not_valid_after_utc",
            ):
                getattr(certificate, part)
    except Exception as error:  # damaged input meets many kinds: InvalidVersion, DuplicateExtension, ValueError, …
        raise ValueError("is not an X.509 certificate, or is damaged") from error
    return certificate


def load_private_key(der: bytes) -> ec.EllipticCurvePrivateKey:
    """The P-256 key in ``der`` (PKCS#8 or SEC1). Raises ValueError with a text for users, and no secret."""
    _require_der(der, "private key")
    try:
        key = load_der_private_key(der, password=None)
    except Exception:  # as above
        # Without a cause: a parser's message may quote what it could not parse.
        raise ValueError("is not a private key in PKCS#8 or SEC1 form, or is damaged or encrypted") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("is not an elliptic curve key on P-256, the only curve that boards accept")
    return key


def pem(label: str, der: bytes) -> str:
    """``der`` as PEM; any bytes come back unchanged from ``pem_bytes``."""
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))


def pem_bytes(text: str) -> bytes:
    """The bytes inside a single PEM block. Raises ValueError."""
    match = re.fullmatch(r"\s*-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]*)-----END \1-----\s*", text)
    if not match:
        raise ValueError("is not PEM text")
    return base64.b64decode("".join(match[2].split()), validate=True)


def _require_der(der: bytes, what: str) -> None:
    if not der:
        raise ValueError("is empty")
    # mbl-cli 2.0 stored a template's { 0x0 } as that text.
    if not der.strip(b"\x000x"):
        raise ValueError(f"holds only zeros: this is a template, not a {what}")
    if der.lstrip().startswith(b"-----BEGIN"):
        raise ValueError("is PEM text, but boards accept DER only")
    length = length_of(der) if der[0] == 0x30 else None
    if length is None:
        raise ValueError(f"is not a DER {what}")
    if length != len(der):
        surplus = len(der) - length
        raise ValueError(
            f"has {surplus} extra bytes after the {what}" if surplus > 0 else f"is cut off: its last {-surplus} bytes"
        )


# --- what the tables are made of; each gives None or what is wrong ---


def _loads(load: Callable[[bytes], object]) -> Callable[[bytes, Values], str | None]:
    def problem(value: bytes, values: Values) -> str | None:
        try:
            load(value)
        except ValueError as error:
            return str(error)
        return None

    return problem


def _on_p256(value: bytes, values: Values) -> str | None:
    try:
        key = load_certificate(value).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "its public key cannot be read"
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return None
    kind = key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__
    return f"its key is {kind}, but boards accept only elliptic curve keys on P-256"


def _signed_with_sha256(value: bytes, values: Values) -> str | None:
    algorithm = load_certificate(value).signature_algorithm_oid
    if algorithm == SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        return None
    return f"it is signed with {algorithm._name}, but boards accept only ecdsa-with-SHA256"


def _self_signature_holds(value: bytes, values: Values) -> str | None:
    certificate = load_certificate(value)
    if certificate.issuer != certificate.subject:
        return None  # the issuer's key is not at hand
    try:
        signed = signed_with_ecdsa(value)
        key = cast("ec.EllipticCurvePublicKey", certificate.public_key())  # _on_p256 comes before
        key.verify(signed.signature, signed.content, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return "its own signature is not valid, so it is damaged"
    return None


def _self_signed(value: bytes, values: Values) -> str | None:
    certificate = load_certificate(value)
    if certificate.issuer == certificate.subject:
        return None
    return (
        "it is not self-signed, as the cloud's developer certificates are: it is damaged, or another kind of "
        "certificate"
    )


def _for_clients(value: bytes, values: Values) -> str | None:
    try:
        usage = load_certificate(value).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return None
    if ExtendedKeyUsageOID.CLIENT_AUTH in usage:
        return None
    return "its extended key usage does not include clientAuth"


def _named_like_endpoint(value: bytes, values: Values) -> str | None:
    names = load_certificate(values[DEVICE_CERTIFICATE]).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1:
        return f"the device certificate has {len(names)} common names, so it cannot equal the endpoint name"
    name = names[0].value
    if (name.encode() if isinstance(name, str) else name) == value:
        return None
    return f"is {readable(value)!r}, but the device certificate's common name is {name!r}, and they must be equal"


def _key_of_certificate(value: bytes, values: Values) -> str | None:
    certificate = load_certificate(values[DEVICE_CERTIFICATE])
    if load_private_key(value).public_key() == certificate.public_key():
        return None
    return "does not belong to the device certificate"


def _bootstrap_uri(value: bytes, values: Values) -> str | None:
    try:
        uri = value.decode("ascii")
    except UnicodeDecodeError:
        return "has characters that are not allowed in a URI"
    if not uri:
        return "is empty"
    if re.search(r"[\s\x00-\x1f\x7f]", uri):
        return f"is {uri!r}, with blanks or control characters in it"
    if not re.match(r"coaps?://[^/?#]", uri):
        return f"is {uri!r}, but must begin with coap:// or coaps:// and a host name"
    if not re.search(r"[?&]aid=[^&]", uri):
        return f"is {uri!r}, without ?aid=ACCOUNT, which says whose device this is"
    return None


def _text(value: bytes, values: Values) -> str | None:
    return "has a NUL character inside" if b"\0" in value else None


def _not_empty(value: bytes, values: Values) -> str | None:
    return None if value else "is empty; is this still the template?"


def _four_bytes(value: bytes, values: Values) -> str | None:
    return None if len(value) == 4 else f"has {len(value)} bytes, but a whole number has 4"


def _sixteen_bytes(value: bytes, values: Values) -> str | None:
    if len(value) != 16:
        return f"has {len(value)} bytes instead of 16"
    return None if any(value) else "holds only zeros: this is a template"


def readable(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


# --- the tables ---


def _certificate_rules(field: str, intact: str = "client: trusts its key") -> tuple[CredentialRule, ...]:
    return (
        CredentialRule(field, "DER X.509", _loads(load_certificate), "util 1.4: Certificate parse failed"),
        CredentialRule(field, "P-256", _on_p256, "util 1.4: Curve unsupported"),
        CredentialRule(field, "SHA-256", _signed_with_sha256, "util 1.4: General error"),
        CredentialRule(field, "intact", _self_signature_holds, intact),
    )


DEVELOPER_RULES: tuple[CredentialRule, ...] = (
    *_certificate_rules(DEVICE_CERTIFICATE, "cloud: compares developer certificates byte for byte"),
    CredentialRule(DEVICE_CERTIFICATE, "self-signed", _self_signed, "cloud: profile of developer certificates"),
    CredentialRule(DEVICE_CERTIFICATE, "clientAuth", _for_clients, "util 1.5: Certificate invalid"),
    CredentialRule(ENDPOINT_NAME, "not empty", _not_empty, "util 1.5: Item empty"),
    CredentialRule(ENDPOINT_NAME, "equals CN", _named_like_endpoint, "util 1.5: Certificate CN attribute invalid"),
    CredentialRule(PRIVATE_KEY, "DER P-256", _loads(load_private_key), "util 1.4: Public key format invalid"),
    CredentialRule(PRIVATE_KEY, "pair", _key_of_certificate, "util 1.5: Certificate public key validation failed"),
    *_certificate_rules(SERVER_CA),
    CredentialRule(SERVER_URI, "bootstrap URI", _bootstrap_uri, "util 1.5: URI format incorrect"),
    *(CredentialRule(field, "text", _text, "client: reads metadata as C strings") for field in METADATA),
    CredentialRule(MEMORY_TOTAL_KB, "uint32", _four_bytes, "client: fcc_dev_flow.c stores a uint32_t"),
)

UPDATE_RULES: tuple[CredentialRule, ...] = (
    *_certificate_rules(UPDATE_CERTIFICATE),
    CredentialRule(VENDOR_ID, "16 bytes", _sixteen_bytes, "util 1.5: Item size is wrong"),
    CredentialRule(CLASS_ID, "16 bytes", _sixteen_bytes, "util 1.5: Item size is wrong"),
)


def sha256_hex(der: bytes) -> str:
    """A certificate's fingerprint as the cloud and openssl give it: 64 hex digits."""
    return hashlib.sha256(der).hexdigest()
