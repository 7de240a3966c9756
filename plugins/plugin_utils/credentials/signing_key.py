# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The private key that signs updates, out of the file that a user has it in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..libraries import Absent, AbsentError, is_installed
from .rules import CredentialError, load_certificate
from .token_key import SCHEME, TokenKey

if TYPE_CHECKING or is_installed("cryptography"):
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import (
        ECDSA,
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
else:
    InvalidSignature = UnsupportedAlgorithm = AbsentError
    ECDSA = SHA256 = load_pem_private_key = Absent()
    EllipticCurvePrivateKey = EllipticCurvePublicKey = Absent()


FIELD = "private_key"

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----[\x01-\x7f]{1,20000}?-----END \1-----")


def signing_key(content: bytes, source: str, certificate: bytes) -> bytes:
    """The private key of ``certificate`` (DER) in the file ``content``, as PEM of nothing but ASCII; ``source`` is how
    errors call the file.

    What other programs skip is left out: a byte order mark, and text beside the key. Raises CredentialError.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CredentialError(FIELD, source, "PEM", "is UTF-16 text; save it as UTF-8")
    block = _BLOCK.search(content)
    if block is None:
        raise CredentialError(FIELD, source, "PEM", "is not a PEM private key")
    if block[1] == b"ENCRYPTED PRIVATE KEY" or b"\nProc-Type: 4,ENCRYPTED" in block[0]:
        raise CredentialError(
            FIELD,
            source,
            "PEM",
            "is encrypted with a passphrase. Take that off (openssl pkey -in FILE -out NEW), and protect the new file "
            "with ansible-vault encrypt if it is to stay",
        )
    pem = content if content.isascii() else block[0] + b"\n"
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without a cause: a parser's message may quote what it could not parse.
        raise CredentialError(FIELD, source, "PEM", "is not a PEM private key, or is damaged") from None
    if key.public_key() != load_certificate(certificate).public_key():
        raise CredentialError(FIELD, source, "pair", "does not belong to the certificate")
    return pem


def is_in_token(private_key: bytes | None) -> bool:
    """Whether that is no key, but says where it is."""
    return private_key is not None and private_key.startswith(SCHEME.encode())


def key_in_token(uri: str, certificate: bytes) -> bytes:
    """The private key of ``certificate`` (DER) that ``uri`` names, as update resources keep it. It is tried. Raises
    CredentialError, and TokenError."""
    trial = b"whether the key belongs to the certificate"
    try:
        signature = TokenKey.of(uri).sign(trial)
    except ValueError as error:
        raise CredentialError(FIELD, uri, "URI", str(error)) from None
    if not is_signed(certificate, trial, signature):
        raise CredentialError(FIELD, uri, "pair", "does not belong to the certificate")
    return uri.encode()


def sign(private_key: bytes, content: bytes) -> bytes:
    """ECDSA with SHA-256 over ``content``, in DER, as a board's client checks it. ``private_key`` is PEM without a
    password, or the URI of a key in a token (see TokenKey). Raises ValueError for what is no key of an elliptic curve,
    and TokenError."""
    if is_in_token(private_key):
        return TokenKey.of(private_key.decode()).sign(content)
    try:
        key = load_pem_private_key(private_key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without a cause: a parser's message may quote what it could not parse.
        raise ValueError("is not a PEM private key") from None
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ValueError("is not a private key of an elliptic curve")
    return key.sign(content, ECDSA(SHA256()))


def is_signed(certificate: bytes, content: bytes, signature: bytes) -> bool:
    """Whether the key of ``certificate`` (DER) made that ``signature`` (DER) of ``content``."""
    key = load_certificate(certificate).public_key()
    if not isinstance(key, EllipticCurvePublicKey):
        return False
    try:
        key.verify(signature, content, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
