# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All developer certificates of an account and a store, side by side, and what room they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..cloud.api_answers import DeveloperCertificate
from ..cloud.devices import developer_devices
from ..cloud.pelion_api import PelionApi
from ..credentials.developer_credentials import DeveloperCredentials
from ..store.store import Store
from ..store.vault import NoSecretError
from ..times import time_text
from .developer_certificates import DEVICES_PER_CERTIFICATE, describe_developer


@dataclass
class CertificateOverview:
    """The developer certificates of an account, its devices that have one, and what the store holds.

    ``devices`` maps devices' ids to certificates' ids; ``stored`` maps names to entries; ``unreadable``
    has an error for each entry that could not be read, or one for all of them where the run has no vault secret.
    """

    certificates: list[DeveloperCertificate]
    devices: Mapping[str, str | None]
    stored: dict[str, DeveloperCredentials] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    @classmethod
    def take(cls, api: PelionApi, store: Store) -> CertificateOverview:
        """Makes a call for each 1000 certificates and one for each 1000 devices, and downloads no key."""
        overview = cls(api.developer_certificates(), developer_devices(api))
        try:
            entries = store.entries(DeveloperCredentials)
        except NoSecretError:
            # What is in the cloud can be listed all the same.
            overview.unreadable.append(
                f"This run has no vault secret, so the certificates were not compared with the team store "
                f"{store.directory}: stored_as is null for all, and those that only the store has are not listed."
            )
            return overview
        for found in entries:
            if found.entry is None or found.name is None:
                overview.unreadable.append(str(found.error))
            else:
                overview.stored[found.name] = found.entry
        return overview

    def describe(self) -> list[dict[str, Any]]:
        """JSON-able: an entry for each certificate, those of the cloud first; the same one is matched by its DER."""
        counts = Counter(self.devices.values())
        stored = {entry.fingerprint: name for name, entry in self.stored.items()}
        entries = [
            {
                **describe_developer(certificate),
                "description": certificate.description,
                "status": certificate.status,
                "created_at": time_text(certificate.created_at),
                "devices": counts[certificate.id],
                "devices_limit": DEVICES_PER_CERTIFICATE,
                "in_cloud": True,
                "stored_as": stored.get(certificate.fingerprint),
            }
            for certificate in self.certificates
        ]
        in_cloud = {certificate.fingerprint for certificate in self.certificates}
        entries += [
            {
                **describe_developer(entry),
                "description": None,
                "status": None,
                "created_at": None,
                "devices": None,
                "devices_limit": DEVICES_PER_CERTIFICATE,
                "in_cloud": False,
                "stored_as": name,
            }
            for name, entry in self.stored.items()
            if entry.fingerprint not in in_cloud
        ]
        return entries
