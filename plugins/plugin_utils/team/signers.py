# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who can sign updates: the update certificates of a store, each with what a board that holds it asks of an update."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..credentials.signing_key import is_signed, sign
from ..credentials.token_key import TokenError
from ..credentials.update_resources import UpdateResources
from ..store.errors import StoreError
from ..store.store import Store

_TRIAL = b"whether the key signs for the certificate"


@dataclass(frozen=True)
class Signer:
    """A certificate (its SHA-256) of the update resources ``name``, and the ids (32 hexadecimal digits) of the boards
    that hold it. ``signs`` tells whether the team's key signs for it, None when the team has no key of it. ``former``
    is one that the entry held before. ``untried`` says why its key, which is in a token, could not be tried."""

    name: str
    fingerprint: str
    vendor_id: str
    class_id: str
    not_after: datetime
    signs: bool | None = None
    former: bool = False
    untried: str = ""

    @classmethod
    def of(cls, name: str, resources: UpdateResources, *, former: bool = False) -> Signer:
        """Tries the key."""
        untried = ""
        try:
            signs = _signs(resources)
        except TokenError as error:
            signs, untried = None, str(error)
        return cls(
            name,
            resources.fingerprint,
            resources.vendor_id.hex,
            resources.class_id.hex,
            resources.not_after,
            signs,
            former,
            untried,
        )


@dataclass(frozen=True)
class Signers:
    """Those of a store ``by_fingerprint``. ``whole`` tells that there are no more, since every entry could be read.
    ``locked`` says that no vault secret of the run opens any entry of the store; it is empty otherwise."""

    by_fingerprint: Mapping[str, Signer] = field(default_factory=dict)
    whole: bool = True
    locked: str = ""

    @classmethod
    def of(cls, entries: Iterable[tuple[str, UpdateResources]], *, whole: bool = True) -> Signers:
        """From update resources with their names. A certificate that one entry has and another had is the former's, and
        a key that one of several entries has is there."""
        found: dict[str, Signer] = {}
        for signer in sorted(_signers(entries), key=lambda signer: signer.former):
            first = found.setdefault(signer.fingerprint, signer)
            if first.signs is None and (signer.signs is not None or signer.untried):
                found[signer.fingerprint] = replace(first, signs=signer.signs, untried=signer.untried)
        return cls(found, whole)

    @property
    def without_key(self) -> dict[str, str]:
        """The names of the update resources whose key the team does not have, by their certificates' fingerprints."""
        return {signer.fingerprint: signer.name for signer in self._keyless}

    @property
    def _keyless(self) -> Iterator[Signer]:
        return (s for s in self.by_fingerprint.values() if s.signs is None and not s.untried)


def read_signers(store: Store) -> Signers:
    """All of ``store``, former ones included. Raises StoreError for a store that cannot be listed, and NoSecretError
    when the run has no vault secret for one that has entries."""
    entries = list(store.entries(UpdateResources))
    readable = [(found.name or "", found.entry) for found in entries if found.entry is not None]
    found = Signers.of(readable, whole=len(readable) == len(entries))
    return found if readable or found.whole else replace(found, locked=_why_locked(store))


def _why_locked(store: Store) -> str:
    """Empty where a secret opens an entry of any kind, or where none is whole enough to tell."""
    try:
        store.require_secret()
    except StoreError as error:
        return str(error)
    return ""


def _signers(entries: Iterable[tuple[str, UpdateResources]]) -> Iterator[Signer]:
    for name, entry in entries:
        *former, present = entry.all_held
        yield from (Signer.of(name, held, former=True) for held in former)
        yield Signer.of(name, present)


def _signs(resources: UpdateResources) -> bool | None:
    if resources.private_key is None:
        return None
    try:
        return is_signed(resources.der, _TRIAL, sign(resources.private_key, _TRIAL))
    except ValueError:
        return False
