# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private key that stays in a token behind PKCS#11: an HSM, a smart card. It is named by a URI (RFC 7512).

The URI is kept where many may write, and a PKCS#11 module is code. So neither module nor PIN is ever taken from it, but
from the environment of who signs: ``PELION_PKCS11_MODULE``, the module's file, and ``PELION_PKCS11_PIN_FILE``, a file
with the PIN in it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from ..errors import PelionError
from ..libraries import Absent, is_installed

if TYPE_CHECKING or is_installed("cryptography"):
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
else:
    encode_dss_signature = Absent()

SCHEME = "pkcs11:"
MODULE, PIN_FILE = "PELION_PKCS11_MODULE", "PELION_PKCS11_PIN_FILE"
_ATTRIBUTES = ("token", "serial", "object", "id", "type")


class TokenError(PelionError):
    """The token cannot be asked, or has no such key: nothing is known of the key then."""


@dataclass(frozen=True)
class TokenKey:
    """``token`` and ``serial`` say which token it is in, ``label`` and ``id`` which of its keys it is, each None where
    the URI does not say it."""

    token: str | None = None
    serial: bytes | None = None
    label: str | None = None
    id: bytes | None = None

    @classmethod
    def of(cls, uri: str) -> TokenKey:
        """Raises ValueError, with a text that goes on after the name of a field."""
        path, has_query, _query = uri.partition("?")
        if not path.startswith(SCHEME) or not uri.isascii():
            raise ValueError("is not a URI that begins with pkcs11:")
        if has_query:
            raise ValueError(f"must have no part behind a question mark: module and PIN come from {MODULE}, {PIN_FILE}")
        given = dict(part.partition("=")[::2] for part in path.removeprefix(SCHEME).split(";") if part)
        if unknown := [name for name in given if name not in _ATTRIBUTES]:
            raise ValueError(f"has {unknown[0]!r}, but may have {', '.join(_ATTRIBUTES)} only")
        if given.get("type", "private") != "private":
            raise ValueError("must be of the type private")
        if not given.keys() & {"token", "serial"}:
            raise ValueError("does not say in which token the key is: token or serial is missing")
        if not given.keys() & {"object", "id"}:
            raise ValueError("does not say which key it is: object or id is missing")
        try:
            values = {name: unquote_to_bytes(value) for name, value in given.items()}
            texts = {name: values[name].decode() for name in ("token", "object") if name in values}
        except UnicodeDecodeError:
            raise ValueError("has a name that is not UTF-8") from None
        return cls(texts.get("token"), values.get("serial"), texts.get("object"), values.get("id"))

    def sign(self, content: bytes) -> bytes:
        """ECDSA with SHA-256 over ``content``, in DER, made by the token. Raises TokenError."""
        library = _library()
        module, pin = os.environ.get(MODULE), os.environ.get(PIN_FILE)
        if not module:
            raise TokenError(f"The key is in a token. Set {MODULE} to the file of its PKCS#11 module.")
        try:
            token = library.lib(module).get_token(
                **_given(token_label=self.token, token_serial=self.serial),
            )
            with token.open(user_pin=_pin(pin) if pin else None) as session:
                key = session.get_key(
                    object_class=library.ObjectClass.PRIVATE_KEY, **_given(label=self.label, id=self.id)
                )
                signature = key.sign(hashlib.sha256(content).digest(), mechanism=library.Mechanism.ECDSA)
        except (library.exceptions.PKCS11Error, RuntimeError, OSError) as error:
            # Its own words are often empty, and the class tells: PinIncorrect, NoSuchKey.
            said = f"{type(error).__name__} {error}".strip()
            raise TokenError(
                f"The token does not sign ({said}). Check {MODULE}, {PIN_FILE} and the key's URI."
            ) from None
        half = len(signature) // 2
        return encode_dss_signature(*(int.from_bytes(part, "big") for part in (signature[:half], signature[half:])))


def _library() -> Any:
    """Needed by few, so it is no requirement of the collection."""
    try:
        import pkcs11
    except ImportError as error:
        raise TokenError(
            "The key is in a token, for which the Python library python-pkcs11 is missing on the controller: install "
            "it with pip."
        ) from error
    return pkcs11


def _given(**names: object) -> dict[str, object]:
    return {name: value for name, value in names.items() if value is not None}


def _pin(file: str) -> str:
    try:
        return Path(file).expanduser().read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError):
        raise TokenError(f"{PIN_FILE} names a file that cannot be read: {file}.") from None
