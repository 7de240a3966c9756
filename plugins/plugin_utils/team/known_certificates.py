# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which update certificates a store knows, by their fingerprints, so that what a board holds can be named."""

from __future__ import annotations

from collections.abc import Callable

from ..credentials.manifest_tool import SIGNING_KEYS
from ..credentials.update_resources import UpdateResources
from ..store.store import Store
from .mbl_cli_store import is_mbl_cli_store

LOST = (
    "If it is lost, have the manifest tool make another certificate and key, and give the new C file to "
    "pelion.mbl.rotate (-e provision_pelion_update_src=FILE)."
)
"""What to tell users of a signing key that may be lost."""


def known_update_certificates(store: Store, report: Callable[[str], None]) -> dict[str, str]:
    """The names of the store's update resources by their certificates' fingerprints (SHA-256, hex), former ones
    included.

    A certificate that one entry has and another one had belongs to the one that has it. Each entry is opened once;
    ``report`` gets the errors of those that cannot be read. Raises StoreError for a store that cannot be listed, and
    NoSecretError when the run has no vault secret for one that has entries.
    """
    current: dict[str, str] = {}
    former: dict[str, str] = {}
    for found in store.entries(UpdateResources):
        if found.entry is None or found.name is None:
            report(str(found.error))
            continue
        current.setdefault(found.entry.fingerprint, found.name)
        for held in found.entry.former:
            former.setdefault(held.fingerprint, found.name)
    return former | current


def mbl_cli_store_in(store: Store) -> str:
    """The directory of ``store`` where mbl-cli has left a store of its own there, which may know more; else empty."""
    return str(store.directory) if is_mbl_cli_store(store.directory) else ""


def without_key(name: str, boards: str) -> str:
    """What to tell users of update resources without a signing key, and of the ``boards`` that hold or get them."""
    return (
        f"The team store has no signing key for the update resources {name!r}, so nobody can sign updates with it for "
        f"{boards}. A key is taken from beside the C file, where it is called {' or '.join(SIGNING_KEYS)}; later it is "
        "added with `ansible localhost -m pelion.mbl.mbl_update_resources -a "
        f"'name={name} src=FILE.c private_key_src=KEY.pem'`. One that you keep elsewhere on purpose may stay there. "
        + LOST
    )
