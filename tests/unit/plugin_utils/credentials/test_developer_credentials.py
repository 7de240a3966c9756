# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json
import os
import random
from collections.abc import Callable
from datetime import timedelta

import pytest
import yaml
from credential_samples import (
    ACCOUNT,
    ENDPOINT,
    NOW,
    a_certificate,
    a_key,
    c_source,
    developer_values,
    key_der,
    mutated,
    update_values,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials import rules
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.c_errors import CSourceError
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.developer_credentials import DeveloperCredentials
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.rules import CredentialError

OTHER = x509.Name.from_rfc4514_string("CN=other")


def read(**changes: bytes | None) -> DeveloperCredentials:
    return DeveloperCredentials.from_c_source(c_source(developer_values(**changes)), "x.c", name="bench")


def rsa_certificate() -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    return a_certificate(key=key)  # type: ignore[arg-type]


def rsa_key() -> bytes:
    return rsa.generate_private_key(65537, 2048).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


P256 = bytes.fromhex("2a8648ce3d030107")
"""The curve's identifier."""


def pem(der: bytes) -> bytes:
    return rules.pem("CERTIFICATE", der).encode()


def flipped(der: bytes, at: int) -> bytes:
    octets = bytearray(der)
    octets[at] ^= 1
    return bytes(octets)


def test_good_credentials() -> None:
    credentials = read()
    assert dict(credentials.values) == developer_values()
    assert credentials.check(NOW) == []
    assert credentials.endpoint_name == ENDPOINT
    assert credentials.account_id == ACCOUNT
    assert credentials.uri.endswith(f"?aid={ACCOUNT}")
    assert credentials.not_after == NOW + timedelta(days=3000)
    assert credentials.not_before == NOW - timedelta(days=100)
    assert credentials.fingerprint == credentials.certificate.fingerprint(hashes.SHA256()).hex()


# Each rule of the table is broken at least once, so that none of them is there for show.
BROKEN: list[tuple[str, Callable[[], bytes], str, str]] = [
    ("DEVICE_CERTIFICATE", lambda: b"", "DER X.509", "is empty"),
    ("DEVICE_CERTIFICATE", lambda: b"\0", "DER X.509", "template"),
    ("DEVICE_CERTIFICATE", lambda: pem(a_certificate()), "DER X.509", "PEM"),
    ("DEVICE_CERTIFICATE", lambda: a_certificate()[:-1], "DER X.509", "its last 1 bytes"),
    ("DEVICE_CERTIFICATE", lambda: b"\n" + pem(a_certificate()), "DER X.509", "PEM"),
    ("DEVICE_CERTIFICATE", lambda: b"\x30\x80" + a_certificate()[4:] + b"\0\0", "DER X.509", "not a DER certificate"),
    ("DEVICE_CERTIFICATE", lambda: a_certificate() + b"\0", "DER X.509", "1 extra bytes"),
    ("DEVICE_CERTIFICATE", lambda: b"\x30\x03\x02\x01\x00", "DER X.509", "not an X.509"),
    ("DEVICE_CERTIFICATE", lambda: b"junk", "DER X.509", "is not a DER"),
    ("DEVICE_CERTIFICATE", lambda: a_certificate(key=a_key(ec.SECP384R1)), "P-256", "secp384r1"),
    ("DEVICE_CERTIFICATE", rsa_certificate, "P-256", "RSA"),
    ("DEVICE_CERTIFICATE", lambda: a_certificate(hash_=hashes.SHA384()), "SHA-256", "SHA384"),
    ("DEVICE_CERTIFICATE", lambda: flipped(a_certificate(), -1), "intact", "damaged"),
    ("DEVICE_CERTIFICATE", lambda: a_certificate(issuer=OTHER), "self-signed", "not self-signed"),
    (
        "DEVICE_CERTIFICATE",
        lambda: a_certificate(extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])]),
        "clientAuth",
        "clientAuth",
    ),
    ("DEVICE_CERTIFICATE", lambda: a_certificate(key=a_key(number=9)), "pair", "does not belong"),
    ("ENDPOINT_NAME", lambda: b"", "not empty", "empty"),
    ("ENDPOINT_NAME", lambda: ENDPOINT.upper().encode(), "equals CN", ENDPOINT),
    ("ENDPOINT_NAME", lambda: ENDPOINT.encode() + b"\n", "equals CN", "must be equal"),
    ("DEVICE_CERTIFICATE", lambda: a_certificate(None), "equals CN", "0 common names"),
    ("PRIVATE_KEY", lambda: b"", "DER P-256", "is empty"),
    ("PRIVATE_KEY", lambda: b"\0", "DER P-256", "template"),
    ("PRIVATE_KEY", lambda: key_der(a_key()) + b"\n", "DER P-256", "extra bytes"),
    ("PRIVATE_KEY", lambda: key_der(a_key())[:-3], "DER P-256", "cut off"),
    ("PRIVATE_KEY", lambda: key_der(a_key(ec.SECP384R1)), "DER P-256", "P-256"),
    ("PRIVATE_KEY", a_certificate, "DER P-256", "not a private key"),
    ("PRIVATE_KEY", rsa_key, "DER P-256", "P-256"),
    ("PRIVATE_KEY", lambda: key_der(a_key(number=1)), "pair", "does not belong"),
    ("DEVICE_CERTIFICATE", lambda: a_certificate().replace(b"ARM Ltd", b"\xff" * 7), "DER X.509", "not an X.509"),
    ("DEVICE_CERTIFICATE", lambda: a_certificate().replace(b"\2\1\2", b"\2\1\3", 1), "DER X.509", "not an X.509"),
    ("SERVER_CA", lambda: a_certificate()[:-1], "DER X.509", "cut off"),
    ("SERVER_CA", rsa_certificate, "P-256", "RSA"),
    ("SERVER_CA", lambda: a_certificate().replace(P256, P256[:-1] + b"\x09"), "P-256", "cannot be read"),
    ("SERVER_CA", lambda: a_certificate(hash_=hashes.SHA512()), "SHA-256", "SHA512"),
    ("SERVER_CA", lambda: flipped(a_certificate(), -1), "intact", "damaged"),
    ("SERVER_URI", lambda: b"", "bootstrap URI", "empty"),
    ("SERVER_URI", lambda: b"www.example.com", "bootstrap URI", "coaps://"),
    ("SERVER_URI", lambda: b"COAPS://h?aid=1", "bootstrap URI", "coaps://"),
    ("SERVER_URI", lambda: b" coaps://h?aid=1", "bootstrap URI", "blanks"),
    ("SERVER_URI", lambda: b"coaps://h?aid=1\n", "bootstrap URI", "blanks"),
    ("SERVER_URI", lambda: b"coaps://?aid=1", "bootstrap URI", "host name"),
    ("SERVER_URI", lambda: b"coaps://h:5684", "bootstrap URI", "aid"),
    ("SERVER_URI", lambda: b"coaps://h?aid=", "bootstrap URI", "aid"),
    ("SERVER_URI", lambda: b"coaps://h\xc3\xa9?aid=1", "bootstrap URI", "not allowed in a URI"),
]


def name_of(value: object) -> str | None:
    return value[:30] if isinstance(value, str) else None


@pytest.mark.parametrize(("field", "value", "rule", "said"), BROKEN, ids=name_of)
def test_a_broken_rule_names_field_and_source(field: str, value: Callable[[], bytes], rule: str, said: str) -> None:
    changes = {field: value()}
    if rule == "pair" and field == "DEVICE_CERTIFICATE":
        field = "PRIVATE_KEY"
    if rule == "equals CN":
        field = "ENDPOINT_NAME"
    # NUL and line ends cannot come out of a C file as strings; they can out of a store.
    credentials = DeveloperCredentials(developer_values(**changes), source="x.c of somewhere")
    with pytest.raises(CredentialError) as caught:
        credentials.check(NOW)
    name = getattr(rules, field)
    assert str(caught.value).startswith(f"{name} of x.c of somewhere: ")
    assert said in str(caught.value)
    assert caught.value.facts == {"field": name, "source": "x.c of somewhere", "rule": rule}
    for secret in (developer_values()[rules.PRIVATE_KEY], changes.get("PRIVATE_KEY") or b"no secret"):
        assert secret.hex() not in str(caught.value) and repr(secret) not in str(caught.value)


@pytest.mark.parametrize("field", ["MANUFACTURER", "SERIAL_NUMBER"])
def test_metadata_is_text(field: str) -> None:
    with pytest.raises(CredentialError, match="NUL"):
        DeveloperCredentials(developer_values(**{field: b"a\0b"})).check(NOW)
    assert DeveloperCredentials(developer_values(**{field: b""})).check(NOW) == []


def test_memory_is_a_number_of_four_bytes() -> None:
    with pytest.raises(CredentialError, match="1 bytes, but a whole number has 4"):
        DeveloperCredentials(developer_values(MEMORY_TOTAL_KB=b"0")).check(NOW)


def test_every_rule_was_broken() -> None:
    tested = {(field, rule) for field, _value, rule, _said in BROKEN}
    tested |= {("ENDPOINT_NAME", "equals CN"), ("PRIVATE_KEY", "pair"), ("MEMORY_TOTAL_KB", "uint32")}
    names = {getattr(rules, field): field for field in dir(rules) if isinstance(getattr(rules, field), str)}
    for rule in rules.DEVELOPER_RULES:
        assert rule.field in rules.METADATA or (names[rule.field], rule.name) in tested, rule


@pytest.mark.parametrize(
    "changes",
    [
        {"PRIVATE_KEY": key_der(a_key(), PrivateFormat.TraditionalOpenSSL)},
        {"DEVICE_CERTIFICATE": a_certificate(extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])])},
        {"ACCOUNT_ID": None},
        {"LWM2M_CA": a_certificate("LwM2M CA", None)},
        {"SERVER_URI": f"coap://[fe80::1]:5684?x=1&aid={ACCOUNT}".encode()},
        {"MANUFACTURER": b"  Acme, Inc {rover} = \xff"},
        {"MEMORY_TOTAL_KB": b"\0\0\x10\0"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_other_good_values(changes: dict[str, bytes | None]) -> None:
    credentials = read(**changes)
    assert credentials.check(NOW) == []
    assert dict(credentials.values) == developer_values(**changes)
    assert DeveloperCredentials.from_document(credentials.to_document(), "x") == credentials


def test_end_of_validity() -> None:
    end = NOW + timedelta(days=3000)
    credentials = read()
    assert credentials.check(end - timedelta(days=30)) == []
    (notice,) = credentials.check(end - timedelta(days=29))
    assert "ends in 29 days" in notice
    assert credentials.check(end - timedelta(days=29), warn_days=10) == []
    with pytest.raises(CredentialError, match="the certificate ended on 2035-02-09"):
        credentials.check(end)
    assert credentials.check(NOW - timedelta(days=100)) == []
    (notice,) = credentials.check(NOW - timedelta(days=101))
    assert "not valid before" in notice


def test_a_pem_block_is_read_as_it_was_written_and_no_other() -> None:
    text = rules.pem("CERTIFICATE", bytes(100))
    assert rules.pem_bytes(text) == bytes(100)
    assert [len(line) for line in text.splitlines()] == [27, 64, 64, 8, 25]
    with pytest.raises(ValueError):
        rules.pem_bytes("-----BEGIN X-----\nQUI=QUI=\n-----END X-----\n")


def test_an_ended_ca_is_told() -> None:
    ca = a_certificate("CA", None, end=NOW - timedelta(days=1))
    (notice,) = read(SERVER_CA=ca).check(NOW)
    assert rules.SERVER_CA in notice


def test_a_ca_that_is_no_root_is_told() -> None:
    signed_by_another = flipped(a_certificate("CA", None, issuer=OTHER), -1)
    (notice,) = read(SERVER_CA=signed_by_another).check(NOW)
    assert "is not a root certificate" in notice and "CN=CA" in notice and "CN=other" in notice


def test_accounts_that_differ_are_told() -> None:
    assert read().check(NOW, account_id=ACCOUNT) == []
    (notice,) = read().check(NOW, account_id="f" * 32)
    assert "API key's account" in notice and ACCOUNT in notice
    (notice,) = read(SERVER_URI=b"coaps://h?aid=other").check(NOW)
    assert "'other'" in notice
    (notice,) = read(ACCOUNT_ID=b"another").check(NOW)
    assert "'another'" in notice


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (c_source(update_values()), "holds update resources"),
        (b"int a = 1;", "holds no developer credentials"),
        (c_source(developer_values(SERVER_CA=None)), f"does not have {rules.SERVER_CA}"),
        (b"#ifdef FOO\n" + c_source(developer_values()) + b"#endif\n", "lines 1 to"),
    ],
)
def test_files_that_hold_something_else(text: bytes, said: str) -> None:
    with pytest.raises(CSourceError, match=said):
        DeveloperCredentials.from_c_source(text, "x.c")


def test_the_template_is_refused() -> None:
    template = developer_values()
    for name in (rules.DEVICE_CERTIFICATE, rules.SERVER_CA, rules.PRIVATE_KEY):
        template[name] = b"\0"
    with pytest.raises(CredentialError, match="template"):
        DeveloperCredentials.from_c_source(c_source(template), "x.c")


def test_no_truncated_file_passes() -> None:
    text = c_source(developer_values())
    for length in range(0, len(text) - 25, 97):
        with pytest.raises((CSourceError, CredentialError)):
            DeveloperCredentials.from_c_source(text[:length], "x.c")


def test_no_mutated_file_passes_as_something_else() -> None:
    random_ = random.Random(int(os.environ.get("PELION_FUZZ_SEED", "4")))
    good = developer_values()
    text = c_source(good)
    proven = (rules.DEVICE_CERTIFICATE, rules.PRIVATE_KEY, rules.ENDPOINT_NAME)
    read = 0
    for _unused in range(int(os.environ.get("PELION_FUZZ_FILES", "2000")) // 10):
        try:
            values = DeveloperCredentials.from_c_source(mutated(random_, text), "x.c").values
        except (CSourceError, CredentialError):
            continue
        read += 1
        assert {name: values[name] for name in proven} == {name: good[name] for name in proven}
        # A CA may be another's; the signature of that one cannot be checked without it.
        ca = rules.load_certificate(values[rules.SERVER_CA])
        assert values[rules.SERVER_CA] == good[rules.SERVER_CA] or ca.issuer != ca.subject
    assert read


def test_secrets_show_nowhere() -> None:
    shown = repr(read()) + str(read()) + json.dumps(read().values[rules.ENDPOINT_NAME].decode())
    key = developer_values()[rules.PRIVATE_KEY]
    assert key.hex() not in shown and base64.b64encode(key).decode() not in shown and "values" not in shown


def test_document_is_readable() -> None:
    document = read().to_document()
    assert document["certificate_name"] == "bench"
    assert document["values"][rules.DEVICE_CERTIFICATE].startswith("-----BEGIN CERTIFICATE-----\nMII")
    assert document["values"][rules.PRIVATE_KEY].startswith("-----BEGIN PRIVATE KEY-----\nMI")
    assert document["values"]["MBED_CLOUD_DEV_MANUFACTURER"] == "dev_manufacturer"
    assert document["values"][rules.MEMORY_TOTAL_KB] == 0
    sec1 = read(PRIVATE_KEY=key_der(a_key(), PrivateFormat.TraditionalOpenSSL)).to_document()
    assert sec1["values"][rules.PRIVATE_KEY].startswith("-----BEGIN EC PRIVATE KEY-----")


@settings(max_examples=60)
@given(
    st.binary(max_size=30) | st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(min_size=0, max_size=6),
)
def test_any_values_survive_the_document(text: bytes, other: bytes, number: bytes) -> None:
    values = developer_values(MANUFACTURER=text, MODEL_NUMBER=other, MEMORY_TOTAL_KB=number)
    credentials = DeveloperCredentials(values, "n\u00e4me", "0" * 32)
    document = yaml.safe_load(yaml.safe_dump(credentials.to_document(), allow_unicode=True))
    assert DeveloperCredentials.from_document(document, "x") == credentials


@pytest.mark.parametrize(
    "damage",
    [
        {},
        {"values": []},
        {"values": {}},
        {"values": {rules.DEVICE_CERTIFICATE: "-----BEGIN"}},
        {"values": {rules.MEMORY_TOTAL_KB: -1}},
        {"values": {"MBED_CLOUD_DEV_MANUFACTURER": 3.5}},
        {"values": {rules.DEVICE_CERTIFICATE: rules.pem("CERTIFICATE", b"junk")}},
        {"values": {rules.PRIVATE_KEY: None}},
    ],
)
def test_damaged_documents_are_refused(damage: dict) -> None:
    document = read().to_document()
    damage = {key: {**document[key], **value} if value and key in document else value for key, value in damage.items()}
    with pytest.raises(CredentialError, match="of the store"):
        DeveloperCredentials.from_document({"certificate_name": "x", **damage}, "the store")
