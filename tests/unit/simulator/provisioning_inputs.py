# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The 14 files that pelion-provisioning-util reads, good ones and bad ones."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
P256 = ec.SECP256R1()
NOW = datetime.datetime.now(datetime.timezone.utc)
YEAR = datetime.timedelta(days=365)


def new_key(kind: ec.EllipticCurve | str = P256) -> Key:
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(kind)


def certificate(
    name: str | None,
    key: Key,
    *,
    digest: hashes.HashAlgorithm | None = None,
    usage: list[x509.ObjectIdentifier] | None = None,
    start: datetime.timedelta = -YEAR,
    end: datetime.timedelta = YEAR,
) -> x509.Certificate:
    """A self-signed one, unless there is a SIGNER; START and END count from now."""
    names = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "a" * 32)]
    if name is not None:
        names.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(x509.Name(names))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + start)
        .not_valid_after(NOW + end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    return builder.sign(key, digest or hashes.SHA256())


def der(what: x509.Certificate | Key) -> bytes:
    """A certificate, or a private key as PKCS#8."""
    if isinstance(what, x509.Certificate):
        return what.public_bytes(serialization.Encoding.DER)
    return _private(what, serialization.Encoding.DER, serialization.PrivateFormat.PKCS8)


def pem(what: x509.Certificate | Key) -> bytes:
    if isinstance(what, x509.Certificate):
        return what.public_bytes(serialization.Encoding.PEM)
    return _private(what, serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)


def sec1(key: Key) -> bytes:
    return _private(key, serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL)


def _private(key: Key, encoding: serialization.Encoding, form: serialization.PrivateFormat) -> bytes:
    return key.private_bytes(encoding, form, serialization.NoEncryption())


class Inputs:
    """A complete good set. ``values`` maps the KCM item to its bytes; tests change them."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.key = new_key()
        self.ca_key = new_key()
        client = [ExtendedKeyUsageOID.CLIENT_AUTH]
        self.values = {
            "mbed.EndpointName": endpoint.encode(),
            "mbed.BootstrapDeviceCert": der(certificate(endpoint, self.key, usage=client)),
            "mbed.BootstrapServerCACert": der(certificate("CA", self.ca_key)),
            "mbed.BootstrapDevicePrivateKey": der(self.key),
            "mbed.BootstrapServerURI": b"coaps://bootstrap.example.com:5684?aid=" + b"a" * 32,
            "mbed.Manufacturer": b"dev_manufacturer",
            "mbed.ModelNumber": b"dev_model_num",
            "mbed.SerialNumber": b"0",
            "mbed.DeviceType": b"dev_device_type",
            "mbed.HardwareVersion": b"dev_hardware_version",
            "mbed.MemoryTotalKB": b"\0\0\0\0",
            "mbed.UpdateAuthCert": der(certificate("update", new_key())),
            "mbed.VendorId": b"v" * 16,
            "mbed.ClassId": b"c" * 16,
        }

    def with_value(self, item: str, value: bytes | Callable[[Inputs], bytes]) -> Inputs:
        """A copy that differs in one item."""
        other = Inputs.__new__(Inputs)
        other.__dict__.update(self.__dict__)
        other.values = {**self.values, item: value(self) if callable(value) else value}
        return other


# In the order in which the utility stores them, after mbed.UseBootstrap: eleven and three.
FILES = {
    "mbed.EndpointName": "MBED_CLOUD_DEV_BOOTSTRAP_ENDPOINT_NAME",
    "mbed.BootstrapDeviceCert": "MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE",
    "mbed.BootstrapServerCACert": "MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE",
    "mbed.BootstrapDevicePrivateKey": "MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY",
    "mbed.BootstrapServerURI": "MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI",
    "mbed.Manufacturer": "MBED_CLOUD_DEV_MANUFACTURER",
    "mbed.ModelNumber": "MBED_CLOUD_DEV_MODEL_NUMBER",
    "mbed.SerialNumber": "MBED_CLOUD_DEV_SERIAL_NUMBER",
    "mbed.DeviceType": "MBED_CLOUD_DEV_DEVICE_TYPE",
    "mbed.HardwareVersion": "MBED_CLOUD_DEV_HARDWARE_VERSION",
    "mbed.MemoryTotalKB": "MBED_CLOUD_DEV_MEMORY_TOTAL_KB",
    "mbed.UpdateAuthCert": "arm_uc_default_certificate",
    "mbed.VendorId": "arm_uc_vendor_id",
    "mbed.ClassId": "arm_uc_class_id",
}
UPDATE_ITEMS = ["mbed.UpdateAuthCert", "mbed.VendorId", "mbed.ClassId"]
DEVELOPER_ITEMS = ["mbed.UseBootstrap", *(item for item in FILES if item not in UPDATE_ITEMS)]
ALL_ITEMS = [*DEVELOPER_ITEMS, *UPDATE_ITEMS]

# The names of the items' files in the KCM, as observed (mbed-cloud-client 3.0.0 and 4.1.0).
KCM_FILES = {
    "mbed.UseBootstrap": "yF8c_T0h",
    "mbed.EndpointName": "sB1fRsia",
    "mbed.BootstrapDeviceCert": "4iiZZ2xW",
    "mbed.BootstrapServerCACert": "zKDGGDlf",
    "mbed.BootstrapDevicePrivateKey": "1Wb0msBi",
    "mbed.BootstrapServerURI": "uH9ZLyF9",
    "mbed.Manufacturer": "YBGSQ1nq",
    "mbed.ModelNumber": "Gm7jDsmK",
    "mbed.SerialNumber": "wafaQ3vg",
    "mbed.DeviceType": "J8l2_i8P",
    "mbed.HardwareVersion": "ywgsx6pv",
    "mbed.MemoryTotalKB": "#pn5eqZN",
    "mbed.UpdateAuthCert": "97LymtR#",
    "mbed.VendorId": "GDSoyydx",
    "mbed.ClassId": "4JEqG30B",
}
