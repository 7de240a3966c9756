# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated service's certificates, keys and C files, against the real service's profile."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from api_calls import Call, ClientOf
from cloud import Cloud
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)


@pytest.fixture(scope="module")
def cloud_and_made(client_of: ClientOf) -> Iterator[tuple[Cloud, dict[str, Any]]]:
    with Cloud() as cloud:
        yield cloud, client_of(cloud)("POST", "/v3/developer-certificates", json={"name": "bench"}).json()


@pytest.fixture(scope="module")
def certificate(cloud_and_made: tuple[Cloud, dict[str, Any]]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(cloud_and_made[1]["developer_certificate"].encode())


@pytest.fixture(scope="module")
def source(cloud_and_made: tuple[Cloud, dict[str, Any]]) -> str:
    return cloud_and_made[1]["security_file_content"]


def text_of(source: str, name: str) -> str:
    return re.search(rf'^const char MBED_CLOUD_DEV_{name}\[\] = "(.*)";$', source, re.MULTILINE).group(1)


# --- the certificate


def test_the_subject_is_in_the_services_order_and_self_signed(
    cloud_and_made: tuple[Cloud, dict[str, Any]], certificate: x509.Certificate, source: str
) -> None:
    cloud, _unused = cloud_and_made
    assert [(attribute.rfc4514_attribute_name, attribute.value) for attribute in certificate.subject] == [
        ("C", "GB"),
        ("ST", "Cambridgeshire"),
        ("L", "Cambridge"),
        ("O", "ARM Ltd"),
        ("OU", cloud.account_id),
        ("CN", text_of(source, "BOOTSTRAP_ENDPOINT_NAME")),
    ]
    certificate.verify_directly_issued_by(certificate)
    assert certificate.signature_algorithm_oid.dotted_string == "1.2.840.10045.4.3.2"  # ecdsa-with-SHA256
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    assert certificate.public_key().curve.name == "secp256r1"


def test_serial_and_validity(certificate: x509.Certificate) -> None:
    assert certificate.version is x509.Version.v3
    assert certificate.serial_number.bit_length() == 128
    lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert timedelta(days=3650) <= lasts <= timedelta(days=3653)
    assert abs(certificate.not_valid_before_utc - datetime.now(timezone.utc)) < timedelta(minutes=5)


def test_the_extensions(certificate: x509.Certificate) -> None:
    arm, constraints, usage = certificate.extensions
    assert (arm.oid.dotted_string, arm.critical) == ("1.3.6.1.4.1.4128.201", False)
    assert arm.value.value == bytes.fromhex("0203400091")
    assert (constraints.value, constraints.critical) == (x509.BasicConstraints(ca=True, path_length=0), True)
    assert list(usage.value) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]


def test_the_key_is_the_certificates_in_the_services_form(
    cloud_and_made: tuple[Cloud, dict[str, Any]], certificate: x509.Certificate
) -> None:
    pem = cloud_and_made[1]["developer_private_key"]
    key = load_pem_private_key(pem.encode(), None)
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    assert key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)
    assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert max(len(line) for line in pem.splitlines()) == 64


# --- the C file

NAMES_IN_ORDER = [
    "BOOTSTRAP_ENDPOINT_NAME",
    "ACCOUNT_ID",
    "BOOTSTRAP_SERVER_URI",
    "BOOTSTRAP_DEVICE_CERTIFICATE",
    "BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE",
    "LWM2M_SERVER_ROOT_CA_CERTIFICATE",
    "BOOTSTRAP_DEVICE_PRIVATE_KEY",
    "MANUFACTURER",
    "MODEL_NUMBER",
    "SERIAL_NUMBER",
    "DEVICE_TYPE",
    "HARDWARE_VERSION",
    "MEMORY_TOTAL_KB",
    "BOOTSTRAP_DEVICE_CERTIFICATE_SIZE",
    "BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE_SIZE",
    "LWM2M_SERVER_ROOT_CA_CERTIFICATE_SIZE",
    "BOOTSTRAP_DEVICE_PRIVATE_KEY_SIZE",
]


def test_the_variables_come_in_the_documented_order(source: str) -> None:
    assert re.findall(r"^const \w+ MBED_CLOUD_DEV_(\w+)", source, re.MULTILINE) == NAMES_IN_ORDER


def test_a_c_compiler_reads_the_values(
    cloud_and_made: tuple[Cloud, dict[str, Any]], certificate: x509.Certificate, source: str, tmp_path: Path
) -> None:
    cloud, _unused = cloud_and_made
    (tmp_path / "credentials.c").write_text(source)
    binary = [name.removesuffix("_SIZE") for name in NAMES_IN_ORDER if name.endswith("_SIZE")]
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "credentials.c"\nint main(void) {\n'
        + "".join(
            f"for (uint32_t i = 0; i < MBED_CLOUD_DEV_{name}_SIZE; i++)"
            f' printf("%02x", MBED_CLOUD_DEV_{name}[i]);\nputs("");\n'
            for name in binary
        )
        + "return MBED_CLOUD_DEV_MEMORY_TOTAL_KB; }\n"
    )
    compile_ = ["gcc", "-Wall", "-Wextra", "-Werror", "-o", tmp_path / "main", tmp_path / "main.c"]
    subprocess.run(compile_, check=True)
    out = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    values = dict(zip(binary, map(bytes.fromhex, out.split()), strict=True))
    assert values["BOOTSTRAP_DEVICE_CERTIFICATE"] == certificate.public_bytes(Encoding.DER)
    assert values["BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE"] == cloud.state.bootstrap_ca.certificate
    assert values["LWM2M_SERVER_ROOT_CA_CERTIFICATE"] == cloud.state.lwm2m_ca.certificate
    key = values["BOOTSTRAP_DEVICE_PRIVATE_KEY"]
    assert len(key) == 150
    assert load_der_private_key(key, None).public_key() == certificate.public_key()


def test_the_texts(cloud_and_made: tuple[Cloud, dict[str, Any]], source: str) -> None:
    cloud, _unused = cloud_and_made
    assert text_of(source, "ACCOUNT_ID") == cloud.account_id
    assert text_of(source, "BOOTSTRAP_SERVER_URI") == (
        f"coaps://bootstrap.lab.pelion.test:{cloud.bootstrap_port}?aid={cloud.account_id}"
    )
    assert {
        name: text_of(source, name)
        for name in ("MANUFACTURER", "MODEL_NUMBER", "SERIAL_NUMBER", "DEVICE_TYPE", "HARDWARE_VERSION")
    } == {
        "MANUFACTURER": "dev_manufacturer",
        "MODEL_NUMBER": "dev_model_num",
        "SERIAL_NUMBER": "0",
        "DEVICE_TYPE": "dev_device_type",
        "HARDWARE_VERSION": "dev_hardware_version",
    }


# --- seeded ones


@pytest.mark.parametrize("days_left", [0, 20])
def test_a_reissued_certificate_ends_when_told(cloud: Cloud, call: Call, days_left: int) -> None:
    (id_,) = cloud.state.seed_certificates(1)
    before = call("GET", f"/v3/developer-certificates/{id_}").json()
    cloud.state.reissue_certificate(id_, days_left)
    after = call("GET", f"/v3/developer-certificates/{id_}").json()
    certificate = x509.load_pem_x509_certificate(after["developer_certificate"].encode())
    left = certificate.not_valid_after_utc - datetime.now(timezone.utc)
    assert abs(left - timedelta(days=days_left)) < timedelta(minutes=5)
    assert text_of(before["security_file_content"], "BOOTSTRAP_ENDPOINT_NAME") == text_of(
        after["security_file_content"], "BOOTSTRAP_ENDPOINT_NAME"
    )
    assert call("GET", "/v3/trusted-certificates").json()["data"][0]["valid"] == (days_left > 0)
