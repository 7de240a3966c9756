# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a store's update resources to what is wanted, without ever losing a key."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ..credentials.certified import time_text
from ..credentials.rules import CLASS_ID, UPDATE_CERTIFICATE, VENDOR_ID, CredentialError
from ..credentials.update_certificate import (
    DEFAULT_SUBJECT,
    DEFAULT_VALID_DAYS,
    Recipe,
    RecipeError,
    make_update_resources,
)
from ..credentials.update_resources import UpdateResources
from ..errors import PelionError
from ..store.store import Store


class NothingToMakeError(PelionError):
    """The store has no such entry, and nothing says what to make."""


@dataclass(frozen=True)
class Outcome:
    """What was done. ``origin`` is ``store``, ``file`` or ``made``; ``resources`` is None when absent.

    ``before`` and ``after`` are facts for users, without secrets.
    """

    changed: bool
    origin: str
    before: dict[str, Any]
    after: dict[str, Any]
    notices: tuple[str, ...] = ()
    resources: UpdateResources | None = None


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
        renew_before_days: int | None = None,
        warn_days: int = 30,
        require: Callable[[UpdateResources], None] | None = None,
        now: datetime | None = None,
    ) -> Outcome:
        """Make sure of an entry that holds what was ``given``, or the vendor and class ``ids``, or any at all.

        A certificate is made where there is none, with ``subject`` and ``valid_days``. One that ends within
        ``renew_before_days`` is followed by a new one. ``require`` may raise what is amiss with the
        resources, before the store is changed.

        Raises NothingToMakeError, RecipeError, StoreError, and CredentialError for a certificate that must not
        reach a device.
        """
        now = now or datetime.now(timezone.utc)
        # Two runs at once must not both make a certificate: one of the two keys would be lost.
        with contextlib.nullcontext() if self._dry_run else self._store.locked():
            stored = self._store.read(UpdateResources, self._name)
            recipe = _recipe(stored, ids, subject, valid_days)
            wanted = given.succeeding(stored) if given and stored else given or self._kept(stored, recipe)
            origin = "store" if wanted == stored or not given else "file"
            if renew_before_days is not None and renew_before_days >= valid_days:
                raise RecipeError(
                    f"renew_before_days is {renew_before_days}, but a new certificate is valid for {valid_days} days "
                    "(valid_days): it would be followed by another at each run."
                )
            due = renew_before_days is not None and wanted and wanted.not_after - now < timedelta(renew_before_days)
            if wanted is None or due:
                origin = "made"
                if self._dry_run:
                    return Outcome(True, origin, _facts(stored), _planned(recipe))
                wanted = make_update_resources(recipe, now)
                wanted = wanted.succeeding(stored) if stored else wanted
            notices = self._check(wanted, origin, now, warn_days)
            if require:
                require(wanted)
            changed = wanted != stored
            if changed and not self._dry_run:
                self._store.write(self._name, wanted)
        return Outcome(changed, origin, _facts(stored), _facts(wanted), tuple(notices), wanted)

    def absent(self) -> Outcome:
        """Make sure that there is no such entry. Raises StoreError."""
        path = self._store.path(UpdateResources, self._name)
        changed = path.exists() if self._dry_run else self._store.remove(UpdateResources, self._name)
        return Outcome(changed, "store", {"name": self._name} if changed else {}, {})

    def _kept(self, stored: UpdateResources | None, recipe: Recipe | None) -> UpdateResources | None:
        """What is stored, with the ids of ``recipe``; None where there is nothing yet."""
        if recipe is None:
            raise NothingToMakeError(
                f"The team store {self._store.directory} has no update resources named {self._name!r}. "
                "Give src (a C file), vendor_domain and device_class, or vendor_id and class_id."
            )
        if stored is None:
            return None
        # The certificate is not bound to the ids, so with other ids it stays, and its key with it.
        ids = {VENDOR_ID: recipe.vendor_id.bytes, CLASS_ID: recipe.class_id.bytes}
        return replace(stored, values={**stored.values, **ids})

    def _check(self, wanted: UpdateResources, origin: str, now: datetime, warn_days: int) -> list[str]:
        try:
            return wanted.check(now, warn_days)
        except CredentialError as error:
            if error.facts["rule"] != "not expired":
                raise
            advice = (
                "make a new one with the manifest tool's init"
                if origin == "file"
                else "with renew_before_days, a new one is made under the same ids"
            )
            problem = f"the certificate ended on {wanted.not_after:%Y-%m-%d}; {advice}"
            raise CredentialError(UPDATE_CERTIFICATE, wanted.source, "not expired", problem) from error


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
    }


def _planned(recipe: Recipe) -> dict[str, Any]:
    """The facts of what would be made, as far as they can be known."""
    return {
        "vendor_id": str(recipe.vendor_id),
        "class_id": str(recipe.class_id),
        "fingerprint": None,
        "subject": recipe.name().rfc4514_string(),
        "not_before": None,
        "not_after": None,
        "has_private_key": True,
    }
