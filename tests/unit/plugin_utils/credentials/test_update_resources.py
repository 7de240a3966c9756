# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
import yaml
from credential_samples import NOW, a_certificate, a_key, c_source, developer_values, update_values
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials import rules
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.c_errors import CSourceError
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.rules import CredentialError
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import (
    MAX_VALID_DAYS,
    Recipe,
    RecipeError,
    common_name,
    derive_ids,
    make_update_resources,
    parse_id,
    private_key_pem,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources

VENDOR = uuid.UUID("cfbff0d1-9375-5685-968c-48ce8b15ae17")
CLASS = uuid.UUID("dddd16dc-89ba-57bf-821b-db7f8a06c389")
KEY = private_key_pem(a_key(number=2))


def test_good_resources() -> None:
    resources = replace(UpdateResources.from_c_source(c_source(update_values()), "x.c"), private_key=KEY)
    assert dict(resources.values) == update_values()
    assert (resources.vendor_id, resources.class_id) == (VENDOR, CLASS)
    assert resources.not_after == NOW + timedelta(days=3000)
    assert resources.fingerprint == resources.certificate.fingerprint(hashes.SHA256()).hex()
    assert resources.check(NOW) == []
    (notice,) = resources.check(NOW + timedelta(days=2980))
    assert "ends in 20 days" in notice
    with pytest.raises(CredentialError, match="ended on"):
        resources.check(NOW + timedelta(days=3000))
    assert "PRIVATE" not in repr(resources) and "private_key" not in repr(resources)


def test_other_variables_are_dropped_but_must_agree() -> None:
    fingerprint = UpdateResources(update_values()).fingerprint
    more = {"arm_uc_default_fingerprint": bytes.fromhex(fingerprint), "arm_uc_default_psk": b"", "arm_uc_other": b"1"}
    resources = UpdateResources.from_c_source(c_source({**update_values(), **more}), "x.c")
    assert dict(resources.values) == update_values()
    unused = {**more, "arm_uc_default_fingerprint": b"\0"}  # manifest-tool 2.x
    assert UpdateResources.from_c_source(c_source({**update_values(), **unused}), "x.c") == resources
    for name in ("arm_uc_default_fingerprint", "arm_uc_update_public_key"):
        with pytest.raises(CSourceError, match=f"line .*{name} is not that of"):
            UpdateResources.from_c_source(c_source({**update_values(), name: b"\1" * 32}), "x.c")


def with_another_end(signed: bytes) -> bytes:
    return signed[:-1] + bytes([signed[-1] ^ 1])


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        (rules.UPDATE_CERTIFICATE, b"", "DER X.509"),
        (rules.UPDATE_CERTIFICATE, b"\0", "DER X.509"),
        (rules.UPDATE_CERTIFICATE, a_certificate()[:-1], "DER X.509"),
        (rules.UPDATE_CERTIFICATE, a_certificate(key=a_key(ec.SECP521R1)), "P-256"),
        (rules.UPDATE_CERTIFICATE, a_certificate(hash_=hashes.SHA512()), "SHA-256"),
        (rules.UPDATE_CERTIFICATE, with_another_end(a_certificate()), "intact"),
        (rules.VENDOR_ID, b"\1" * 15, "16 bytes"),
        (rules.VENDOR_ID, b"\1" * 17, "16 bytes"),
        (rules.VENDOR_ID, VENDOR.hex.encode(), "16 bytes"),
        (rules.CLASS_ID, b"", "16 bytes"),
        (rules.CLASS_ID, b"\0" * 16, "16 bytes"),
    ],
)
def test_broken_rules(field: str, value: bytes, rule: str) -> None:
    with pytest.raises(CredentialError) as caught:
        UpdateResources.from_c_source(c_source({**update_values(), field: value}), "x.c")
    assert caught.value.facts == {"field": field, "source": "x.c", "rule": rule}
    assert str(caught.value).startswith(f"{field} of x.c: ")


def test_an_id_may_have_a_zero_in_it() -> None:
    values = {**update_values(), rules.VENDOR_ID: bytes(range(16))}
    assert UpdateResources.from_c_source(c_source(values), "x.c").vendor_id.bytes == bytes(range(16))


def test_a_file_that_is_none_is_told_as_such() -> None:
    with pytest.raises(CSourceError) as caught:
        UpdateResources.from_c_source(b"\n- name: a play;\n", "x.c")
    assert str(caught.value).startswith("x.c is not an update_default_resources.c of the manifest tool: line 2: ")
    assert caught.value.facts == {"source": "x.c", "line": 2}
    with pytest.raises(CSourceError, match=r"^x\.c: is empty$"):
        UpdateResources.from_c_source(b" \n", "x.c")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (c_source(developer_values()), "holds developer credentials"),
        (b"int a = 1;", "holds no update resources"),
        (c_source({k: v for k, v in update_values().items() if k != rules.CLASS_ID}), "does not have arm_uc_class_id"),
    ],
)
def test_files_that_hold_something_else(text: bytes, said: str) -> None:
    with pytest.raises(CSourceError, match=said):
        UpdateResources.from_c_source(text, "x.c")


@pytest.mark.parametrize("key", [b"", b"junk", private_key_pem(a_key(number=3)), private_key_pem(a_key(ec.SECP384R1))])
def test_a_key_that_is_not_the_certificates_is_refused(key: bytes) -> None:
    with pytest.raises(CredentialError, match=r"private_key of x.c: (is not a PEM|does not belong)"):
        UpdateResources(update_values(), key, source="x.c").check(NOW)


def test_documents() -> None:
    old = make_update_resources(Recipe(VENDOR, CLASS), NOW)
    resources = make_update_resources(Recipe(VENDOR, CLASS), NOW).succeeding(old)
    document = yaml.safe_load(yaml.safe_dump(resources.to_document()))
    assert UpdateResources.from_document(document, "x") == resources
    assert document["vendor_id"] == str(VENDOR)
    assert document["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    for key in ("certificate", "vendor_id", "class_id"):
        for damaged in ({k: v for k, v in document.items() if k != key}, {**document, key: 7}, {**document, key: "x"}):
            with pytest.raises(CredentialError, match=f"{key} of the store"):
                UpdateResources.from_document(damaged, "the store")
    for damaged in ({**document, "former": 3}, {**document, "former": [{}]}, {**document, "private_key": 3}):
        with pytest.raises(CredentialError, match="of the store"):
            UpdateResources.from_document(damaged, "the store")


def test_no_key_is_lost_when_certificates_follow_each_other() -> None:
    first, second, third = (make_update_resources(Recipe(VENDOR, CLASS), NOW) for _unused in range(3))
    kept = third.succeeding(second.succeeding(first))
    assert kept.private_key == third.private_key
    assert kept.former == (first, second)
    from_file = UpdateResources(first.values).succeeding(kept)  # the file of an earlier one, without its key
    assert from_file.private_key == first.private_key
    assert from_file.former == (second, third)
    assert UpdateResources(third.values).succeeding(kept) == kept
    keyless = UpdateResources(third.values)
    assert UpdateResources(update_values()).succeeding(keyless).former == (keyless,)


def test_former_resources_keep_their_own_ids_with_or_without_key() -> None:
    first = make_update_resources(Recipe(VENDOR, CLASS), NOW)
    keyless = UpdateResources({**update_values(), rules.CLASS_ID: b"\1" * 16})
    last = make_update_resources(Recipe(CLASS, VENDOR), NOW).succeeding(keyless.succeeding(first))
    read = UpdateResources.from_document(yaml.safe_load(yaml.safe_dump(last.to_document())), "x")
    assert read == last and read.former == (first, keyless) and read.all_held[-1].former == ()


def test_when_it_was_made_is_known_although_it_is_dated_back() -> None:
    resources = make_update_resources(Recipe(VENDOR, CLASS), NOW)
    again = UpdateResources.from_document(yaml.safe_load(yaml.safe_dump(resources.to_document())), "x")
    assert resources.made_at == again.made_at == NOW
    given = UpdateResources(resources.values)
    assert given.made_at == given.not_before == NOW - timedelta(days=1)
    assert given.succeeding(again).made_at == NOW
    with pytest.raises(CredentialError, match="made of x: cannot be read"):
        UpdateResources.from_document({**resources.to_document(), "made": "soon"}, "x")


def test_stores_of_the_first_days_are_read() -> None:
    """There, a former certificate has a key, and no ids but the entry's."""
    former, present = (make_update_resources(Recipe(VENDOR, CLASS), NOW) for _unused in range(2))
    document = present.to_document()
    old = {name: former.to_document()[name] for name in ("certificate", "private_key")}
    assert UpdateResources.from_document({**document, "former": [old]}, "x") == present.succeeding(former)


def test_ids_are_those_of_manifest_tool_1() -> None:
    assert derive_ids("example.com", "model1") == (VENDOR, CLASS)
    assert str(derive_ids("arm.com", "x")[0]) == "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe"
    for domain, name in (("example", "x"), ("", "x"), (".", "x"), ("example.com", "")):
        with pytest.raises(RecipeError):
            derive_ids(domain, name)
    assert parse_id("vendor_id", VENDOR.hex.upper()) == VENDOR
    with pytest.raises(RecipeError, match="vendor_id is 'x'"):
        parse_id("vendor_id", "x")


def test_profile_of_what_is_made() -> None:
    resources = make_update_resources(Recipe(VENDOR, CLASS, "CN=example.com", 90), NOW)
    certificate = resources.certificate
    assert certificate.version == x509.Version.v3
    assert certificate.subject.rfc4514_string() == certificate.issuer.rfc4514_string() == "CN=example.com"
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    assert certificate.signature_algorithm_oid._name == "ecdsa-with-SHA256"
    # Dated back, since boards' clocks and other controllers' may be behind.
    assert (resources.not_before, resources.not_after) == (NOW - timedelta(days=1), NOW + timedelta(days=90))
    assert resources.check(NOW - timedelta(hours=23), warn_days=30) == []
    usage, name, purpose, identifier = certificate.extensions
    assert not any(extension.critical for extension in certificate.extensions)
    assert usage.value.digital_signature and not usage.value.key_cert_sign and not usage.value.key_agreement
    assert name.value == x509.SubjectAlternativeName([x509.DNSName("localhost")])
    assert purpose.value == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    assert len(identifier.value.digest) == 20
    assert load_pem_private_key(resources.private_key, None).public_key() == certificate.public_key()
    assert resources.private_key.startswith(b"-----BEGIN EC PRIVATE KEY-----")
    assert resources.check(NOW, warn_days=30) == []


@pytest.mark.parametrize(
    "recipe",
    [
        {"valid_days": 0},
        {"valid_days": -1},
        {"valid_days": 36501},
        {"subject": ""},
        {"subject": "example.com"},
        {"subject": "CN=" + "x" * 65},
        {"vendor_id": uuid.UUID(int=0)},
        {"class_id": uuid.UUID(int=0)},
    ],
)
def test_what_cannot_be_made_is_refused(recipe: dict) -> None:
    with pytest.raises(RecipeError, match=f"^{next(iter(recipe))} "):
        Recipe(**{"vendor_id": VENDOR, "class_id": CLASS, **recipe})


def test_any_domain_can_be_a_subject() -> None:
    for domain in ("example.com", "a+b,c.d", "\u00e9.com", "x" * 64):
        subject = Recipe(VENDOR, CLASS, common_name(domain), valid_days=MAX_VALID_DAYS).name()
        assert subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == domain
    with pytest.raises(RecipeError, match="give subject"):
        common_name("x" * 65)
