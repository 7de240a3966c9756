# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a store's update resources to what is wanted, without ever losing a key."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from ..credentials.rules import UPDATE_CERTIFICATE, CredentialError
from ..credentials.signing_key import is_in_token
from ..credentials.update_certificate import (
    DEFAULT_SUBJECT,
    DEFAULT_VALID_DAYS,
    Recipe,
    RecipeError,
    make_update_resources,
)
from ..credentials.update_resources import UpdateResources
from ..errors import PelionError
from ..store.errors import StoreError
from ..store.store import Store
from ..times import parse_time, time_text
from .outcome import Outcome


class NothingToMakeError(PelionError):
    """The store has no such entry, and nothing says what to make."""


class DifferentResourcesError(PelionError):
    """The store has other resources of that name than were given. ``facts``: ``stored`` and ``given``, with
    ``fingerprint``, ``vendor_id`` and ``class_id`` as far as they were given."""


class NotRenewableError(PelionError):
    """A certificate is to be followed by a new one, which is not made here."""


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
        """From what a user wrote. Raises RecipeError for text that is not a time."""
        try:
            return cls(before_days, parse_time(made_before) if made_before else None)
        except ValueError as error:
            raise RecipeError("renew_if_made_before", f"is {made_before!r}, which {error}") from None

    def check(self, valid_days: int, now: datetime) -> None:
        """Raises RecipeError for what would make another certificate at each run."""
        if self.before_days is not None and self.before_days >= valid_days:
            problem = f"is {self.before_days}, but a new certificate is valid for only {valid_days} days"
            raise RecipeError("renew_before_days", f"{problem}, so each run would replace it", " (see valid_days)")
        if self.made_before is not None and self.made_before > now:
            raise RecipeError(
                "renew_if_made_before",
                f"is {time_text(self.made_before)}, which is in the future (it is {time_text(now)} now): until then, "
                "each run would make another certificate",
            )

    def is_ending(self, resources: UpdateResources, now: datetime) -> bool:
        """Whether the certificate ends too soon."""
        return self.before_days is not None and resources.not_after - now < timedelta(self.before_days)

    def is_too_old(self, resources: UpdateResources) -> bool:
        """Whether it was made too long ago. These times have whole seconds."""
        return self.made_before is not None and resources.made_at < self.made_before.replace(microsecond=0)

    def is_due(self, resources: UpdateResources, now: datetime) -> bool:
        return self.is_ending(resources, now) or self.is_too_old(resources)


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
        replace: bool = False,
        warn_days: int = 30,
        require: Callable[[UpdateResources], None] | None = None,
        now: datetime | None = None,
    ) -> Outcome:
        """Make sure of an entry that holds what was ``given`` (of a file), or the vendor and class ``ids``, or any
        at all.

        These say how to make an entry that is not there; one that is never changes by them. Only with ``replace``,
        what was given takes its place. A certificate is made with ``subject`` and ``valid_days``. One for which
        ``renewal`` is due is followed by a new one under the same ids. ``require`` may raise what is amiss with the
        resources, before the store is changed. The outcome's source is ``store``, ``file`` or ``made``.

        Raises NothingToMakeError, DifferentResourcesError, NotRenewableError, RecipeError, StoreError, and
        CredentialError for a certificate that must not reach a board.
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
            if stored:
                self._require_same(stored, given, ids, replace)
            wanted = given.succeeding(stored) if given and stored else given or stored
            source = "store" if wanted == stored else "file"
            overdue = self._overdue(given, renewal, now)
            if wanted is None or (not given and renewal.is_due(wanted, now)):
                self._require_key_here(wanted)
                source = "made"
                if self._dry_run:
                    planned = _planned(recipe, stored)
                    return Outcome(True, source, planned, _facts(stored), planned)
                wanted = make_update_resources(recipe, now)
                wanted = wanted.succeeding(stored) if stored else wanted
            notices = [*overdue, *self._check(wanted, given is not None, now, warn_days)]
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
                self._store.try_secret()
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
                        "certificate may never take an update again. To remove it anyway, set force: true.",
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
        kept = {held.private_key for _name, other in others for held in _with_keys(other)}
        lost = {held.fingerprint for held in _with_keys(stored) if held.private_key not in kept}
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
                "again. The cloud does not know which boards these are; pelion.mbl.mbl_pelion_status returns each "
                "board's update_certificate. When no board holds one of them, or the keys are kept elsewhere "
                "(export_dir writes them, with fingerprint each of the former ones), set force: true.",
                **facts,
            )

    def _require_same(
        self,
        stored: UpdateResources,
        given: UpdateResources | None,
        ids: tuple[uuid.UUID, uuid.UUID] | None,
        replace: bool,
    ) -> None:
        """Certificate and ids are one thing under a name."""
        if given:
            wanted, former = _identity(given), any(old.values == given.values for old in stored.former)
            if replace and not former:
                return
        else:
            wanted, former = dict(zip(("vendor_id", "class_id"), map(str, ids), strict=True)) if ids else {}, False
        there = _identity(stored)
        differing = [name for name, value in wanted.items() if there[name] != value]
        if not differing:
            return
        if former:
            advice = "It is one that was replaced, and it stays so: give the present file, or none."
        elif given:
            advice = (
                "Give it another name (provision_pelion_update_resources), or rotate to it: pelion.mbl.rotate is the "
                "only way to change what a name stands for."
            )
        else:
            advice = "Other IDs need another name (provision_pelion_update_resources), with a certificate of its own."
        raise DifferentResourcesError(
            f"The update resources {self._name!r} are in the team store with {_shown(there, differing)}, but "
            f"{given.source if given else 'the variables'} {'has' if given else 'have'} {_shown(wanted, differing)}. "
            + advice,
            stored=there,
            given=wanted,
        )

    def _overdue(self, given: UpdateResources | None, renewal: Renewal, now: datetime) -> list[str]:
        """A notice of a file's certificate that ends sooner than was asked for. Raises NotRenewableError for one that
        must be replaced now."""
        if given is None or not renewal.is_due(given, now):
            return []
        text = (
            f"The update resources {self._name!r} are to get a new certificate, but they come from {given.source}, and "
            "only the manifest tool makes the next one of that: run its init in a new directory, and give the new file "
            "to pelion.mbl.rotate (-e provision_pelion_update_src=FILE)."
        )
        if renewal.is_too_old(given):
            raise NotRenewableError(text)
        return [f"{text} The present one ends on {given.not_after:%Y-%m-%d}."]

    def _require_key_here(self, stored: UpdateResources | None) -> None:
        """Raises NotRenewableError for one whose key was made in a token: the next one should be as safe."""
        if stored and is_in_token(stored.private_key):
            raise NotRenewableError(
                f"The update resources {self._name!r} are to get a new certificate, but their key is in a token, and "
                "none is made there. Make the next one with your token's own tools, and give its C file with src, "
                "private_key_uri and replace."
            )

    def _check(self, wanted: UpdateResources, from_file: bool, now: datetime, warn_days: int) -> list[str]:
        try:
            return wanted.check(now, warn_days)
        except CredentialError as error:
            if error.facts["rule"] != "not expired":
                raise
            advice = (
                "make a new one with the manifest tool's init, and rotate to it"
                if from_file
                else "with renew_before_days (of the role: in pelion.mbl.rotate), a new one is made under the same IDs"
            )
            problem = f"the certificate ended on {wanted.not_after:%Y-%m-%d}; {advice}"
            raise CredentialError(UPDATE_CERTIFICATE, wanted.source, "not expired", problem) from error


def _with_keys(resources: UpdateResources) -> list[UpdateResources]:
    """All that it holds and has the private keys of, the oldest first."""
    return [held for held in resources.all_held if held.private_key]


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


def _identity(resources: UpdateResources) -> dict[str, str]:
    return {
        "fingerprint": resources.fingerprint,
        "vendor_id": str(resources.vendor_id),
        "class_id": str(resources.class_id),
    }


def _shown(identity: Mapping[str, str], names: Iterable[str]) -> str:
    """What differs, for people."""
    titles = {"fingerprint": "the certificate", "vendor_id": "the vendor ID", "class_id": "the class ID"}
    return " and ".join(
        f"{titles[name]} {identity[name][:16] + '…' if name == 'fingerprint' else identity[name]}" for name in names
    )


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
        "former_certificates": [held.fingerprint for held in resources.former],
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
        "former_certificates": [held.fingerprint for held in stored.all_held] if stored else [],
    }
