# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificates a store knows, by their fingerprints, so that what a board holds can be named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from ..credentials.developer_credentials import DeveloperCredentials
from ..credentials.update_resources import UpdateResources
from ..store.store import Store

Entry = TypeVar("Entry", DeveloperCredentials, UpdateResources)


def known_update_certificates(store: Store, report: Callable[[str], None]) -> dict[str, str]:
    """The names of the store's update resources by their certificates' fingerprints (SHA-256, hex), former ones
    included.

    A certificate that one entry has and another had is told of the one that has it. Each entry is opened once;
    ``report`` is told of those that cannot be read. Raises StoreError for a store that cannot be listed, and
    NoSecretError when the run has no vault secret for one that has entries.
    """
    current: dict[str, str] = {}
    former: dict[str, str] = {}
    for name, resources in _readable(store, UpdateResources, report):
        current.setdefault(resources.fingerprint, name)
        for pair in resources.former:
            former.setdefault(pair.fingerprint, name)
    return former | current


def known_developer_certificates(store: Store, report: Callable[[str], None]) -> dict[str, str]:
    """The names of the store's developer credentials by their certificates' fingerprints, otherwise as above."""
    known: dict[str, str] = {}
    for name, credentials in _readable(store, DeveloperCredentials, report):
        known.setdefault(credentials.fingerprint, name)
    return known


def _readable(store: Store, kind: type[Entry], report: Callable[[str], None]) -> Iterator[tuple[str, Entry]]:
    for found in store.entries(kind):
        if found.entry is None or found.name is None:
            report(str(found.error))
        else:
            yield found.name, found.entry
