# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which key of the store signs, and that what it makes is what others verify."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cloud_access import store_at
from credential_samples import NOW, update_values
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import derive_ids
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import NoSecretError, Vault
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.signing import SigningError, UpdateSigner
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.update_keeper import Renewal, UpdateKeeper

IDS = derive_ids("example.com", "model1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_at(tmp_path / "store")


def test_openssl_verifies_what_is_signed(store: Store, tmp_path: Path) -> None:
    made = UpdateKeeper(store, "gateway").present(ids=IDS).credentials
    (tmp_path / "content").write_bytes(b"a manifest")
    (tmp_path / "signature").write_bytes(UpdateSigner(store, "gateway").sign(b"a manifest"))
    public = made.certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "content"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "Verified OK\n"


def test_a_certificate_is_named_by_its_fingerprint_former_ones_too(store: Store) -> None:
    keeper = UpdateKeeper(store, "gateway")
    first = keeper.present(ids=IDS, valid_days=100, now=NOW).credentials
    second = keeper.present(valid_days=100, renewal=Renewal(before_days=50), now=NOW + timedelta(days=60)).credentials
    store.write("copy", UpdateResources(first.values))
    assert UpdateSigner(store, "gateway").resources.fingerprint == second.fingerprint
    for key in (first.fingerprint, first.fingerprint[:16], first.fingerprint.upper()):
        signer = UpdateSigner(store, key)
        assert (signer.name, signer.resources.fingerprint) == ("gateway", first.fingerprint), "copy has no key"
        assert signer.has_signed(b"x", signer.sign(b"x"))
    assert not UpdateSigner(store, second.fingerprint).has_signed(
        b"x", UpdateSigner(store, first.fingerprint).sign(b"x")
    )


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("gatewy", "no update resources named 'gatewy', and no certificate with .* Did you mean 'gateway'"),
        ("0" * 64, "no update resources named '0"),
        ("abc", "no update resources named 'abc'"),
    ],
)
def test_what_is_not_there_is_named(store: Store, key: str, said: str) -> None:
    UpdateKeeper(store, "gateway").present(ids=IDS)
    with pytest.raises(SigningError, match=said):
        UpdateSigner(store, key)


def test_without_its_key_or_with_another_nothing_is_signed(store: Store) -> None:
    store.write("file", UpdateResources(update_values()))
    with pytest.raises(SigningError, match=r"no signing key for the certificate .* of 'file'"):
        UpdateSigner(store, "file")
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    store.write("damaged", UpdateResources(update_values(), other))
    with pytest.raises(SigningError, match=r"does not verify with its certificate"):
        UpdateSigner(store, "damaged").sign(b"x")
    store.write("junk", UpdateResources(update_values(), b"junk"))
    with pytest.raises(SigningError, match=r"The key of 'junk' in the team store is not a PEM private key\.$"):
        UpdateSigner(store, "junk").sign(b"x")


def test_without_a_vault_secret_nothing_is_signed(store: Store) -> None:
    UpdateKeeper(store, "good").present(ids=IDS)
    for key in ("good", "0" * 64):
        with pytest.raises(NoSecretError):
            UpdateSigner(Store(store.directory, Vault([])), key)
