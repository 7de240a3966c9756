# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a store, for people: everything but the secrets."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from ..cloud.api_key import ApiKey
from ..credentials.certified import describe_certificate
from ..credentials.developer_credentials import DeveloperCredentials
from ..credentials.rules import CredentialError
from ..credentials.update_resources import UpdateResources
from ..store.store import Store

Stored = DeveloperCredentials | UpdateResources | ApiKey
KINDS: tuple[type[Stored], ...] = (DeveloperCredentials, UpdateResources, ApiKey)


def report(
    store: Store, *, name: str | None = None, warn_days: int = 30, now: datetime | None = None
) -> list[dict[str, Any]]:
    """One plain dictionary per entry of ``store``, or per entry called ``name``.

    Each has ``kind``, ``name`` (None where only the damaged content tells it), ``path``, ``problem`` (None, or
    why the entry cannot be used) and ``notices``. Nothing but the entries called ``name`` is decrypted.
    """
    now = now or datetime.now(timezone.utc)
    entries = []
    for kind in KINDS:
        for found in store.entries(kind, name):
            entry: dict[str, Any] = {
                "kind": kind.KIND,
                "name": found.name,
                "path": str(found.path),
                "problem": found.error and str(found.error),
                "notices": [],
            }
            if found.entry is not None:
                entry |= _facts(found.entry)
                try:
                    if not isinstance(found.entry, ApiKey):
                        entry["notices"] = found.entry.check(now, warn_days)
                except CredentialError as error:
                    entry["problem"] = str(error)
            entries.append(entry)
    return entries


def _facts(entry: Stored) -> dict[str, Any]:
    if isinstance(entry, ApiKey):
        return {"api_host": entry.host}
    facts = describe_certificate(entry.der)
    if isinstance(entry, UpdateResources):
        return facts | {
            "vendor_id": str(entry.vendor_id),
            "class_id": str(entry.class_id),
            "has_private_key": entry.private_key is not None,
            "former_certificates": [held.fingerprint for held in entry.former],
        }
    return facts | {
        "certificate_id": entry.certificate_id,
        "uri": entry.uri,
    }
