# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which update certificates the team can sign for: tried with the store's own keys."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultSecret
from cloud_access import store_at
from credential_samples import NOW, a_key, update_values
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.signing_key import is_signed, sign
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import derive_ids
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import NoSecretError, Vault
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.signers import Signers, read_signers
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.update_keeper import Renewal, UpdateKeeper

IDS = derive_ids("example.com", "model1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_at(tmp_path / "store")


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_present_and_former_certificates_are_known_with_their_ids(store: Store) -> None:
    assert read_signers(store) == Signers()
    keeper = UpdateKeeper(store, "gateway")
    first = keeper.present(ids=IDS, valid_days=100, now=NOW).credentials
    second = keeper.present(valid_days=100, renewal=Renewal(before_days=50), now=NOW + timedelta(days=60)).credentials
    signers = read_signers(store)
    assert signers.whole
    told = {s.fingerprint: (s.name, s.former, s.signs) for s in signers.by_fingerprint.values()}
    assert told == {first.fingerprint: ("gateway", True, True), second.fingerprint: ("gateway", False, True)}
    present = signers.by_fingerprint[second.fingerprint]
    assert (present.vendor_id, present.class_id) == (IDS[0].hex, IDS[1].hex)
    assert present.not_after == second.not_after


def test_who_has_a_certificate_comes_before_who_had_it_and_a_key_is_there_for_both(store: Store) -> None:
    keeper = UpdateKeeper(store, "a")
    first = keeper.present(ids=IDS, valid_days=100, now=NOW).credentials
    keeper.present(valid_days=100, renewal=Renewal(before_days=50), now=NOW + timedelta(days=60))
    store.write("b", UpdateResources(first.values))
    signer = read_signers(store).by_fingerprint[first.fingerprint]
    assert (signer.name, signer.former, signer.signs) == ("b", False, True)


def test_certificates_without_a_key_are_those_that_no_entry_has_the_key_of(store: Store) -> None:
    keyless = UpdateResources(update_values())
    store.write("file", keyless)
    made = UpdateKeeper(store, "made").present(ids=IDS).credentials
    store.write("copy", UpdateResources(made.values))
    store.path(UpdateResources, "damaged").write_text("damaged")
    signers = read_signers(store)
    assert signers.without_key == {keyless.fingerprint: "file"}
    assert not signers.whole
    UpdateKeeper(store, "file").present(given=made, replace=True)
    assert read_signers(store).without_key == {keyless.fingerprint: "file"}


def test_without_a_vault_secret_they_are_not_known(store: Store) -> None:
    UpdateKeeper(store, "good").present(ids=IDS)
    with pytest.raises(NoSecretError):
        read_signers(Store(store.directory, Vault([])))


def test_a_secret_that_opens_no_entry_is_told_from_damage(store: Store) -> None:
    UpdateKeeper(store, "good").present(ids=IDS)
    assert not read_signers(store).locked
    mistyped = Store(store.directory, Vault([("default", VaultSecret(b"mistyped"))]))
    assert read_signers(mistyped).locked.startswith("No vault secret of this run opens any of the 1 entries")
    store.path(UpdateResources, "good").write_text("damaged")
    damaged = read_signers(store)
    assert (damaged.locked, damaged.whole) == ("", False)


@pytest.mark.parametrize(
    "key", [pem(ec.generate_private_key(ec.SECP256R1())), b"not a key", pem(ed25519.Ed25519PrivateKey.generate())]
)
def test_a_key_that_does_not_sign_for_its_certificate_is_told(key: bytes) -> None:
    damaged = UpdateResources(update_values(), key)
    [signer] = Signers.of([("a", damaged)]).by_fingerprint.values()
    assert signer.signs is False


def test_a_signature_is_of_one_key_and_one_content() -> None:
    key, other = a_key(number=2), ec.generate_private_key(ec.SECP256R1())
    resources = UpdateResources(update_values(), pem(key))
    signature = sign(pem(key), b"content")
    assert signature[0] == 0x30 and 68 <= len(signature) <= 72
    assert is_signed(resources.der, b"content", signature)
    assert not is_signed(resources.der, b"other content", signature)
    assert not is_signed(resources.der, b"content", sign(pem(other), b"content"))
    assert not is_signed(resources.der, b"content", b"no DER")


@pytest.mark.parametrize("key", [b"", b"secret text", pem(ed25519.Ed25519PrivateKey.generate())])
def test_what_is_no_key_is_refused_without_being_quoted(key: bytes) -> None:
    with pytest.raises(ValueError, match=r"^is not a ") as refused:
        sign(key, b"content")
    assert refused.value.__cause__ is None and "secret" not in str(refused.value)
