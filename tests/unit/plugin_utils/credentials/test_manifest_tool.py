# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The signing key beside a C file; test_signing_files.py has what the real tools leave there."""

from __future__ import annotations

from pathlib import Path

import pytest
from credential_samples import a_certificate, a_key
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.manifest_tool import (
    SIGNING_KEYS,
    find_signing_key,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import (
    Recipe,
    derive_ids,
    make_update_resources,
    private_key_pem,
)

RESOURCES = make_update_resources(Recipe(*derive_ids("example.com", "board")))
LOCKED = a_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


def put(directory: Path, name: str, content: bytes) -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", SIGNING_KEYS)
def test_the_key_that_fits_is_found(tmp_path: Path, name: str) -> None:
    assert RESOURCES.private_key
    for other in SIGNING_KEYS:
        put(tmp_path, other, private_key_pem(a_key(ec.SECP256R1, 7)))
    path = put(tmp_path, name, RESOURCES.private_key)
    assert find_signing_key(tmp_path / "x.c", RESOURCES.der) == (path, RESOURCES.private_key)


@pytest.mark.parametrize("content", [b"", b"junk", LOCKED, private_key_pem(a_key(ec.SECP256R1, 7)), None])
def test_what_does_not_fit_or_cannot_be_read_is_no_key(tmp_path: Path, content: bytes | None) -> None:
    for name in SIGNING_KEYS if content is not None else ():
        put(tmp_path, name, content or b"")
    assert find_signing_key(tmp_path / "x.c", RESOURCES.der) is None
    (tmp_path / SIGNING_KEYS[0]).unlink(missing_ok=True)
    (tmp_path / SIGNING_KEYS[0]).mkdir(parents=True)
    assert find_signing_key(tmp_path / "x.c", RESOURCES.der) is None


def test_a_certificate_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="last 1 byte"):
        find_signing_key(tmp_path / "x.c", a_certificate()[:-1])
