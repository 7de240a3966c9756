# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing updates with a key of the store, which is on no disk in clear."""

from __future__ import annotations

import re

from ..credentials.signing_key import is_signed, sign
from ..credentials.update_resources import UpdateResources
from ..errors import PelionError
from ..store.store import Store
from ..words import nearest

_FINGERPRINT = re.compile("[0-9a-f]{16,64}")


class SigningError(PelionError):
    """There is no such key, or it does not sign."""


class UpdateSigner:
    """Signs with what ``key`` names: update resources of ``store``, or one of their certificates by its SHA-256 (hex,
    at least the first 16 digits), former ones included.

    ``name`` and ``resources`` are what was found. Raises SigningError and StoreError, and NoSecretError when the run
    has no vault secret.
    """

    def __init__(self, store: Store, key: str) -> None:
        self.name, self.resources = _find(store, key)
        if self.resources.private_key is None:
            raise SigningError(
                f"The team store has no signing key for the certificate {self.resources.fingerprint[:16]}… of "
                f"{self.name!r}. If you have it, add it with pelion.mbl.mbl_update_resources (its options name, src "
                "and private_key_src)."
            )
        self._key = self.resources.private_key

    def sign(self, content: bytes) -> bytes:
        """A signature in DER that was verified with the certificate, as boards do."""
        try:
            signature = sign(self._key, content)
        except ValueError as error:
            raise SigningError(f"The key of {self.name!r} in the team store {error}.") from None
        if not self.has_signed(content, signature):
            raise SigningError(
                f"What the key of {self.name!r} signs does not verify with its certificate. Take that entry of the "
                "team store from a backup."
            )
        return signature

    def has_signed(self, content: bytes, signature: bytes) -> bool:
        return is_signed(self.resources.der, content, signature)


def _find(store: Store, key: str) -> tuple[str, UpdateResources]:
    """A name comes before a fingerprint, a certificate that an entry has before one that it had."""
    if named := store.read(UpdateResources, key):
        return key, named
    entries = [(found.name or "", found.entry) for found in store.entries(UpdateResources) if found.entry]
    if _FINGERPRINT.fullmatch(key.lower()):
        held = [(name, old) for name, entry in entries for old in reversed(entry.all_held)]
        fitting = [(name, old) for name, old in held if old.fingerprint.startswith(key.lower())]
        # The same certificate may be in several entries, in some without its key.
        if fitting:
            return next(((name, old) for name, old in fitting if old.private_key), fitting[0])
    near = nearest(key, [name for name, _entry in entries])
    raise SigningError(
        f"The team store {store.place} has no update resources named {key!r}, and no certificate with such a "
        "fingerprint." + (f" Did you mean {near!r}?" if near else "")
    )
