# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that stay in a token: what names them, and that they sign as those do that the store has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cloud_access import store_at
from credential_samples import NOW, a_certificate, a_key, update_values
from hypothesis import given
from hypothesis import strategies as st
from soft_token import PIN, SoftToken

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.rules import UPDATE_CERTIFICATE, CredentialError
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.signing_files import (
    SigningFiles,
    SigningFilesError,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.signing_key import is_signed, key_in_token, sign
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.token_key import TokenError, TokenKey
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.signers import read_signers
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.signing import UpdateSigner
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.update_keeper import (
    NotRenewableError,
    Renewal,
    UpdateKeeper,
)

KEY = a_key(number=31)
VALUES = {**update_values(), UPDATE_CERTIFICATE: a_certificate("example.com", None, key=KEY)}
DER = VALUES[UPDATE_CERTIFICATE]
URI = "pkcs11:token=fleet;object=update"


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    """One for all tests: a process sees the tokens that there were when it first looked."""
    token = SoftToken.made_in(tmp_path_factory.mktemp("token"))
    token.bring(KEY, "update", "01")
    token.bring(a_key(number=32), "other key", "ff02")
    kept = dict(os.environ)
    os.environ |= token.environment
    yield token
    os.environ.clear()
    os.environ |= kept


@pytest.mark.parametrize("uri", [URI, "pkcs11:token=fleet;object=update;type=private", "pkcs11:token=fleet;id=%01"])
def test_a_key_in_a_token_signs_as_any_other(token: SoftToken, uri: str) -> None:
    assert key_in_token(uri, DER) == uri.encode()
    signature = sign(uri.encode(), b"content")
    assert is_signed(DER, b"content", signature)
    assert not is_signed(DER, b"other content", signature)


def test_the_key_must_belong_to_the_certificate(token: SoftToken) -> None:
    with pytest.raises(CredentialError, match="does not belong to the certificate"):
        key_in_token("pkcs11:token=fleet;object=other%20key", DER)
    with pytest.raises(CredentialError, match="does not belong to the certificate"):
        key_in_token("pkcs11:token=fleet;id=%FF%02", DER)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("pkcs11:token=nowhere;object=update", "NoSuchToken"),
        ("pkcs11:token=fleet;object=nothing", "NoSuchKey"),
    ],
)
def test_what_is_not_there_is_told(token: SoftToken, uri: str, said: str) -> None:
    with pytest.raises(TokenError, match=said):
        sign(uri.encode(), b"content")


def test_a_wrong_pin_or_module_is_told_without_the_pin(
    token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "pin"
    wrong.write_text("wrong and secret")
    monkeypatch.setenv("PELION_PKCS11_PIN_FILE", str(wrong))
    with pytest.raises(TokenError, match="does not sign") as refused:
        sign(URI.encode(), b"content")
    assert "secret" not in str(refused.value) and PIN not in str(refused.value)
    monkeypatch.setenv("PELION_PKCS11_PIN_FILE", str(tmp_path / "none"))
    with pytest.raises(TokenError, match="cannot be read"):
        sign(URI.encode(), b"content")
    monkeypatch.delenv("PELION_PKCS11_MODULE")
    with pytest.raises(TokenError, match="Set PELION_PKCS11_MODULE"):
        sign(URI.encode(), b"content")


def test_the_store_keeps_the_uri_and_all_that_signs_works_with_it(
    token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_at(tmp_path / "store")
    given_ = UpdateResources(VALUES, key_in_token(URI, DER))
    keeper = UpdateKeeper(store, "bench")
    outcome = keeper.present(given=given_, now=NOW)
    assert outcome.facts["has_private_key"] is True
    read = store.read(UpdateResources, "bench")
    assert read and read.private_key == URI.encode()
    read.check(NOW)
    number = KEY.private_numbers().private_value.to_bytes(32, "big")
    assert number not in repr(read.to_document()).encode() and "PRIVATE" not in repr(read.to_document())
    signer = UpdateSigner(store, "bench")
    assert signer.has_signed(b"x", signer.sign(b"x"))
    assert [s.signs for s in read_signers(store).by_fingerprint.values()] == [True]
    with pytest.raises(SigningFilesError, match="is in a token"):
        SigningFiles(tmp_path / "signing").write(read)
    written = SigningFiles(tmp_path / "signing", signing_tool=Path("/sign")).write(read)
    assert not [path for path in written if number in Path(path).read_bytes()]
    with pytest.raises(NotRenewableError, match="key is in a token"):
        keeper.present(renewal=Renewal(before_days=7000), valid_days=7200, now=NOW + timedelta(days=1))
    monkeypatch.delenv("PELION_PKCS11_MODULE")
    [untried] = read_signers(store).by_fingerprint.values()
    assert untried.signs is None and "PELION_PKCS11_MODULE" in untried.untried
    assert not read_signers(store).without_key


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("update.pem", "begins with pkcs11:"),
        ("pkcs11:token=fleet", "object or id is missing"),
        ("pkcs11:object=update", "token or serial is missing"),
        ("pkcs11:token=t;object=a?module-path=/tmp/evil.so", "no part behind a question mark"),
        ("pkcs11:token=t;object=a?pin-value=1234", "no part behind a question mark"),
        ("pkcs11:token=t;object=a;slot-id=3", "has 'slot-id'"),
        ("pkcs11:token=t;object=a;type=cert", "type private"),
        ("pkcs11:token=t;object=%FF", "not UTF-8"),
        ("pkcs11:object=\u00e9", "begins with pkcs11:"),
    ],
)
def test_uris_that_are_none_are_refused(uri: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        TokenKey.of(uri)
    assert "1234" not in str(refused.value) and "evil" not in str(refused.value)


@given(st.text())
def test_any_uri_is_read_or_refused(text: str) -> None:
    try:
        TokenKey.of("pkcs11:" + text)
    except ValueError as error:
        assert str(error)
