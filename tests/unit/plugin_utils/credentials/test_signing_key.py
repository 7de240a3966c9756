# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from credential_samples import a_certificate, a_key
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from online_compiler import high_signature

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.manifest_tool import SIGNING_KEYS, find_signing_key
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.rules import CredentialError
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.signing_key import signing_key

KEY = a_key(number=2)
CERTIFICATE = a_certificate(key=KEY)
PKCS8, SEC1 = (
    KEY.private_bytes(Encoding.PEM, form, NoEncryption())
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
)
PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


@pytest.mark.parametrize("pem", [PKCS8, SEC1, PARAMETERS + SEC1, b"Our key\n" + SEC1, SEC1.replace(b"\n", b"\r\n")])
def test_a_key_in_ascii_stays_as_it_is(pem: bytes) -> None:
    assert signing_key(pem, "key.pem", CERTIFICATE) == pem


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", "Schlüssel\n".encode(), "Schlüssel\n".encode("latin-1")])
@pytest.mark.parametrize("after", [b"", "\nfür updates".encode()])
def test_what_other_programs_skip_is_left_out(tmp_path: Path, before: bytes, after: bytes) -> None:
    assert signing_key(before + PKCS8 + after, "key.pem", CERTIFICATE) == PKCS8
    path = tmp_path / SIGNING_KEYS[0]
    path.parent.mkdir()
    path.write_bytes(before + PKCS8 + after)
    assert find_signing_key(tmp_path / "x.c", CERTIFICATE) == (path, PKCS8)


def test_the_key_of_any_certificate_that_boards_take_is_found() -> None:
    assert signing_key(SEC1, "key.pem", high_signature()) == SEC1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a PEM private key"),
        (b"\xff" * 100, "is not a PEM private key"),
        (PKCS8.decode().encode("utf-16"), "is UTF-16 text"),
        (PKCS8.replace(b"\nM", b"\nN", 1), "is not a PEM private key, or is damaged"),
        (PKCS8[:80], "is not a PEM private key"),
        (PKCS8.replace(b"\n", "\nü".encode()), "is not a PEM private key"),
        (KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")), "openssl pkey"),
        (
            KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")),
            "openssl pkey",
        ),
        (a_key(number=3).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "does not belong"),
        (
            rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "does not belong",
        ),
    ],
    # The keys are other ones in each process.
    ids=["empty", "bytes", "utf-16", "damaged", "cut", "umlauts", "encrypted", "encrypted-sec1", "other", "rsa"],
)
def test_one_error_names_the_keys_file_and_no_content(content: bytes, said: str) -> None:
    with pytest.raises(CredentialError, match=rf"^private_key of a/key\.pem: .*({said})") as caught:
        signing_key(content, "a/key.pem", CERTIFICATE)
    assert "MIG" not in str(caught.value) and caught.value.__cause__ is None
