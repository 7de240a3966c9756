# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a store's update resources to what is wanted, without ever losing a key."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ..credentials.rules import CLASS_ID, UPDATE_CERTIFICATE, VENDOR_ID, CredentialError
from ..credentials.update_certificate import (
    DEFAULT_SUBJECT,
    DEFAULT_VALID_DAYS,
    Recipe,
    RecipeError,
    make_update_resources,
)
from ..credentials.update_resources import SigningPair, UpdateResources
from ..errors import PelionError
from ..store.store import Store, StoreError
from ..times import parse_time, time_text
from .outcome import Outcome


class NothingToMakeError(PelionError):
    """The store has no such entry, and nothing says what to make."""


class KeyNeededError(PelionError):
    """An entry is not removed, since a private key would be lost with it.

    ``facts``: ``fingerprints``, the certificates whose keys these are; ``needed_by``, the names of other entries
    that have one of these certificates without its key.
    """


@dataclass(frozen=True)
class Renewal:
    """When a certificate is followed by a new one: it ends within ``before_days``, or was made before ``made_before``.

    The latter is how a new one is had at once, and only once: after that, the certificate is younger.
    """

    before_days: int | None = None
    made_before: datetime | None = None

    @classmethod
    def of(cls, before_days: int | None, made_before: str | None) -> Renewal:
        """From what a user wrote. Raises RecipeError for a moment that is none."""
        try:
            return cls(before_days, parse_time(made_before) if made_before else None)
        except ValueError as error:
            raise RecipeError(f"renew_if_made_before is {made_before!r}, which {error}.") from None

    def check(self, valid_days: int, now: datetime) -> None:
        """Raises RecipeError for what would make another certificate at each run."""
        if self.before_days is not None and self.before_days >= valid_days:
            raise RecipeError(
                f"renew_before_days is {self.before_days}, but a new certificate is valid for {valid_days} days "
                "(valid_days): it would be followed by another at each run."
            )
        if self.made_before is not None and self.made_before > now:
            raise RecipeError(
                f"renew_if_made_before is {time_text(self.made_before)}, which is yet to come (it is "
                f"{time_text(now)}): until then, each run would make another certificate."
            )

    def is_due(self, resources: UpdateResources, now: datetime) -> bool:
        ending = self.before_days is not None and resources.not_after - now < timedelta(self.before_days)
        # A certificate's times have whole seconds.
        return ending or (
            self.made_before is not None and resources.not_before < self.made_before.replace(microsecond=0)
        )


class UpdateKeeper:
    """Cares for the entry ``name`` of ``store``. A ``dry_run`` tells what would be done."""

    def __init__(self, store: Store, name: str, *, dry_run: bool = False) -> None:
        self._store = store
        self._name = name
        self._dry_run = dry_run

    def present(
        self,
        *,
        given: UpdateResources | None = None,
        ids: tuple[uuid.UUID, uuid.UUID] | None = None,
        subject: str | None = None,
        valid_days: int = DEFAULT_VALID_DAYS,
        renewal: Renewal | None = None,
        warn_days: int = 30,
        require: Callable[[UpdateResources], None] | None = None,
        now: datetime | None = None,
    ) -> Outcome:
        """Make sure of an entry that holds what was ``given``, or the vendor and class ``ids``, or any at all.

        A certificate is made where there is none, with ``subject`` and ``valid_days``. One for which ``renewal`` is
        due is followed by a new one. ``require`` may raise what is amiss with the resources, before the store is
        changed. The outcome's source is ``store``, ``file`` or ``made``.

        Raises NothingToMakeError, RecipeError, StoreError, and CredentialError for a certificate that must not
        reach a device.
        """
        now = now or datetime.now(timezone.utc)
        renewal = renewal or Renewal()
        renewal.check(valid_days, now)

        def decide(stored: UpdateResources | None) -> Outcome:
            recipe = _recipe(given or stored, ids, subject, valid_days)
            if recipe is None:
                raise NothingToMakeError(
                    f"The team store {self._store.directory} has no update resources named {self._name!r}. "
                    "Give src (a C file), vendor_domain and device_class, or vendor_id and class_id."
                )
            wanted = given.succeeding(stored) if given and stored else given or _kept(stored, recipe)
            source = "store" if wanted == stored or not given else "file"
            if wanted is None or renewal.is_due(wanted, now):
                source = "made"
                if self._dry_run:
                    planned = _planned(recipe, stored)
                    return Outcome(True, source, planned, _facts(stored), planned)
                wanted = make_update_resources(recipe, now)
                wanted = wanted.succeeding(stored) if stored else wanted
            notices = self._check(wanted, source, now, warn_days)
            if require:
                require(wanted)
            facts = _facts(wanted)
            return Outcome(wanted != stored, source, facts, _facts(stored), facts, notices, wanted)

        stored = self._store.read(UpdateResources, self._name)
        outcome = decide(stored)
        if not outcome.changed:
            return outcome
        if self._dry_run:
            if stored is None:
                self._store.knows_secret()
            return outcome
        # Two runs at once must not both make a certificate: one of the two keys would be lost.
        with self._store.locked():
            there = self._store.read(UpdateResources, self._name)
            if there != stored:
                outcome = decide(there)
            if outcome.changed:
                self._store.write(self._name, outcome.credentials)
        return outcome

    def absent(self, *, force: bool = False) -> Outcome:
        """Make sure that there is no such entry.

        Raises KeyNeededError when it holds a private key that no other entry has: with ``force`` only while another
        entry needs that key. Raises StoreError for an entry that cannot be read, which ``force`` removes unread.
        """
        if not self._store.has(UpdateResources, self._name):
            return Outcome()
        with contextlib.nullcontext() if self._dry_run else self._store.locked():
            try:
                stored = self._store.read(UpdateResources, self._name)
            except StoreError as error:
                if not force:
                    raise StoreError(
                        f"{error} It may hold private keys, so it is not removed. Without it, boards that hold its "
                        "certificate may never take an update again. If that is known and wanted, give force: true.",
                        **error.facts,
                    ) from error
                stored = None
            if stored:
                self._require_not_needed(stored, force)
            if not self._dry_run:
                self._store.remove(UpdateResources, self._name)
        return Outcome(True, before={"name": self._name, **_facts(stored)})

    def _require_not_needed(self, stored: UpdateResources, force: bool) -> None:
        others = [
            (found.name, found.entry)
            for found in self._store.entries(UpdateResources)
            if found.entry is not None and found.name != self._name
        ]
        kept = {pair.private_key for _name, other in others for pair in _pairs(other)}
        lost = {pair.fingerprint for pair in _pairs(stored) if pair.private_key not in kept}
        needed_by = sorted(str(name) for name, other in others if other.fingerprint in lost)
        facts = {"fingerprints": sorted(lost), "needed_by": needed_by}
        if needed_by:
            raise KeyNeededError(
                f"The update resources {self._name!r} hold the only private key for the certificate of "
                f"{', '.join(map(repr, needed_by))}, which could sign no update without it. Give the key to that "
                "entry first (src and private_key_src), or remove that entry first.",
                **facts,
            )
        if lost and not force:
            keys = "1 private key" if len(lost) == 1 else f"{len(lost)} private keys"
            raise KeyNeededError(
                f"The update resources {self._name!r} hold {keys} that the team store has nowhere else, "
                f"for the certificates {', '.join(_short(sorted(lost)))}. A board that holds one of these "
                "certificates takes only updates that its key signed, so without the key it can never be updated "
                "again. The cloud does not know which boards these are; update_certificate of "
                "pelion.mbl.mbl_pelion_status tells it of each. When there are none, or the keys are kept elsewhere "
                "(export_dir writes the present one), give force: true.",
                **facts,
            )

    def _check(self, wanted: UpdateResources, source: str, now: datetime, warn_days: int) -> list[str]:
        try:
            return wanted.check(now, warn_days)
        except CredentialError as error:
            if error.facts["rule"] != "not expired":
                raise
            advice = (
                "make a new one with the manifest tool's init"
                if source == "file"
                else "with renew_before_days, a new one is made under the same ids"
            )
            problem = f"the certificate ended on {wanted.not_after:%Y-%m-%d}; {advice}"
            raise CredentialError(UPDATE_CERTIFICATE, wanted.source, "not expired", problem) from error


def _kept(stored: UpdateResources | None, recipe: Recipe) -> UpdateResources | None:
    """What is stored, with the ids of ``recipe``; None where there is nothing yet."""
    if stored is None:
        return None
    # The certificate is not bound to the ids, so with other ids it stays, and its key with it.
    ids = {VENDOR_ID: recipe.vendor_id.bytes, CLASS_ID: recipe.class_id.bytes}
    return replace(stored, values={**stored.values, **ids})


def _pairs(resources: UpdateResources) -> tuple[SigningPair, ...]:
    """All certificates of ``resources`` whose private keys it has, the oldest first."""
    pair = resources.signing_pair
    return (*resources.former, pair) if pair else resources.former


def _short(fingerprints: Iterable[str]) -> Iterable[str]:
    return (f"{fingerprint[:16]}…" for fingerprint in fingerprints)


def _recipe(
    stored: UpdateResources | None,
    ids: tuple[uuid.UUID, uuid.UUID] | None,
    subject: str | None,
    valid_days: int,
) -> Recipe | None:
    """How a certificate would be made now; None where nothing tells the ids."""
    if stored:
        ids = ids or (stored.vendor_id, stored.class_id)
        subject = subject or stored.certificate.subject.rfc4514_string()
    return Recipe(*ids, subject or DEFAULT_SUBJECT, valid_days) if ids else None


def _facts(resources: UpdateResources | None) -> dict[str, Any]:
    if resources is None:
        return {}
    return {
        "vendor_id": str(resources.vendor_id),
        "class_id": str(resources.class_id),
        "fingerprint": resources.fingerprint,
        "subject": resources.certificate.subject.rfc4514_string(),
        "not_before": time_text(resources.not_before),
        "not_after": time_text(resources.not_after),
        "has_private_key": resources.private_key is not None,
        "former_certificates": [pair.fingerprint for pair in resources.former],
    }


def _planned(recipe: Recipe, stored: UpdateResources | None) -> dict[str, Any]:
    """The facts of what would be made in the place of ``stored``, as far as they can be known."""
    return {
        "vendor_id": str(recipe.vendor_id),
        "class_id": str(recipe.class_id),
        "fingerprint": None,
        "subject": recipe.name().rfc4514_string(),
        "not_before": None,
        "not_after": None,
        "has_private_key": True,
        "former_certificates": [pair.fingerprint for pair in _pairs(stored)] if stored else [],
    }
