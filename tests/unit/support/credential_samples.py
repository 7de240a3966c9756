# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials as the cloud and the manifest tool make them, for tests."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID, ObjectIdentifier

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials import rules

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
ENDPOINT = "0161dbbcdd660a580a010c3403c00000"
ACCOUNT = "015843e32ec902420a015e0700000000"


@functools.cache
def a_key(curve: type[ec.EllipticCurve] = ec.SECP256R1, number: int = 0) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


def a_certificate(
    common_name: str | None = ENDPOINT,
    unit: str | None = ACCOUNT,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    begin: datetime = NOW - timedelta(days=100),
    end: datetime = NOW + timedelta(days=3000),
    hash_: hashes.HashAlgorithm | None = None,
    extensions: Iterable[x509.ExtensionType] = (),
    issuer: x509.Name | None = None,
) -> bytes:
    """DER of a certificate in the cloud's profile, self-signed if ``issuer`` does not say otherwise."""
    key = key or a_key()
    attributes = [(NameOID.COUNTRY_NAME, "GB"), (NameOID.ORGANIZATION_NAME, "ARM Ltd")]
    attributes += [(NameOID.ORGANIZATIONAL_UNIT_NAME, unit)] if unit else []
    attributes += [(NameOID.COMMON_NAME, common_name)] if common_name else []
    name = x509.Name([x509.NameAttribute(*attribute) for attribute in attributes])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer or name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.4128.201"), bytes.fromhex("0203400091")),
            critical=False,
        )
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hash_ or hashes.SHA256()).public_bytes(Encoding.DER)


def key_der(key: ec.EllipticCurvePrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.DER, form, NoEncryption())


@functools.cache
def _developer_values() -> dict[str, bytes]:
    return {
        rules.ENDPOINT_NAME: ENDPOINT.encode(),
        rules.ACCOUNT_ID: ACCOUNT.encode(),
        rules.SERVER_URI: f"coaps://bootstrap.example.com:5684?aid={ACCOUNT}".encode(),
        rules.DEVICE_CERTIFICATE: a_certificate(),
        rules.SERVER_CA: a_certificate("Bootstrap CA", None, key=a_key(number=1)),
        rules.PRIVATE_KEY: key_der(a_key()),
        **dict(
            zip(
                rules.METADATA,
                (b"dev_manufacturer", b"dev_model_num", b"0", b"dev_device_type", b"dev_hardware_version"),
                strict=True,
            )
        ),
        rules.MEMORY_TOTAL_KB: b"\0\0\0\0",
    }


def developer_values(**changes: bytes | None) -> dict[str, bytes]:
    """Good values, some of them changed or (None) left out, by the last part of their names in ``rules``."""
    values = dict(_developer_values())
    for constant, value in changes.items():
        name = getattr(rules, constant, f"MBED_CLOUD_DEV_{constant}")
        if value is None:
            del values[name]
        else:
            values[name] = value
    return values


@functools.cache
def update_certificate() -> bytes:
    return a_certificate("example.com", None, key=a_key(number=2))


def update_values() -> dict[str, bytes]:
    return {
        rules.UPDATE_CERTIFICATE: update_certificate(),
        rules.VENDOR_ID: bytes.fromhex("cfbff0d1937556 85968c48ce8b15ae17"),
        rules.CLASS_ID: bytes.fromhex("dddd16dc89ba57bf821bdb7f8a06c389"),
    }


def c_source(values: dict[str, bytes]) -> bytes:
    """``values`` as the cloud writes them into a C file."""
    lines = ["#ifndef __GUARD_H__", "#define __GUARD_H__", "#include <inttypes.h>", ""]
    for name, value in values.items():
        if name == rules.MEMORY_TOTAL_KB:
            lines.append(f"const uint32_t {name} = {int.from_bytes(value, 'little')};")
        elif "CERTIFICATE" in name.upper() or "KEY" in name or name.startswith("arm_uc"):
            lines.append(f"const uint8_t {name}[] = \n{{ {', '.join(f'0x{octet:02x}' for octet in value)} }};")
            lines.append(f"const uint32_t {name}_SIZE = sizeof({name});")
        else:
            text = "".join(chr(c) if 32 <= c < 127 and c not in b'"\\?' else f"\\{c:03o}" for c in value)
            lines.append(f'const char {name}[] = "{text}";')
    lines.append("#endif //__GUARD_H__")
    return "\n".join(lines).encode() + b"\n"


def mutated(random_: random.Random, text: bytes) -> bytes:
    """``text`` with a few changes of the kinds that editors, downloads and disks make."""
    octets = bytearray(text)
    for _unused in range(random_.choice([1, 1, 1, 2, 3, 8])):
        at = random_.randrange(len(octets))
        length = random_.choice([1, 1, 1, 2, 5, 30, 200])
        how = random_.randrange(7)
        if how == 0:
            octets[at] = random_.randrange(256)
        elif how == 1:
            del octets[at : at + length]
        elif how == 2:
            octets[at:at] = random_.choice(b"{}[]()\"'\\,;#/*=0x19\n\r\0 ae-".decode()).encode()
        elif how == 3:
            octets[at:at] = octets[at : at + length]
        elif how == 4:
            octets[at] ^= 1 << random_.randrange(8)
        elif how == 5:
            del octets[at:]
        else:
            other = random_.randrange(len(octets))
            octets[at : at + length] = octets[other : other + length]
        if not octets:
            return b""
    return bytes(octets)
