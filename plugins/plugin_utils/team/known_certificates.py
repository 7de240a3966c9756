# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which update certificates the team knows."""

from __future__ import annotations

from collections.abc import Callable

from ..credentials.update_resources import UpdateResources
from ..store.store import Store


def known_update_certificates(store: Store, warn: Callable[[str], None]) -> dict[str, str]:
    """Fingerprints of all update certificates in ``store``, former ones included, and their entries' names.

    ``warn`` is told of entries that cannot be read.
    """
    known = {}
    for found in store.entries(UpdateResources):
        if found.entry is None:
            warn(str(found.error))
            continue
        for fingerprint in (found.entry.fingerprint, *(former.fingerprint for former in found.entry.former)):
            known[fingerprint] = found.name or found.path.name
    return known
