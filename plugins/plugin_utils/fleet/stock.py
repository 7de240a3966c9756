# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the team store and the cloud hold for a fleet: each thing read once, and only when it is asked for."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property

from ..cloud.api_answers import DEVELOPER_MODE, DeveloperCertificate, Device
from ..cloud.pelion_api import PelionApi
from ..credentials.developer_credentials import DeveloperCredentials
from ..credentials.update_certificate import common_name, derive_ids, parse_id
from ..credentials.update_resources import UpdateResources
from ..errors import PelionError
from ..store.store import Store
from ..team.known_certificates import known_update_certificates
from ..team.update_keeper import Renewal, UpdateKeeper
from .assignment import Certificate
from .wishes import UpdateWish


@dataclass(frozen=True)
class UpdateStock:
    """Update resources as a wish would leave them: ``resources`` is None where a key would be made.

    ``ready`` says that the store holds them as they are wished.
    """

    resources: UpdateResources | None
    ready: bool


class Stock:
    """The team store, and the cloud behind ``api``, None for a run that does not ask it.

    ``read_src`` gives the update resources in the C file that a wish names. ``warnings`` are texts for the user,
    among them certificates that end within ``warn_days``.
    Its properties raise ApiError and StoreError.
    """

    def __init__(
        self, team: Store, api: PelionApi | None, read_src: Callable[[str], UpdateResources], *, warn_days: int = 30
    ) -> None:
        self._team = team
        self._api = api
        self._read_src = read_src
        self._warn_days = warn_days
        self._developer: dict[str, DeveloperCredentials | None] = {}
        self._update: dict[UpdateWish, UpdateStock] = {}
        self.warnings: list[str] = []

    @property
    def place(self) -> str:
        """Where the team store is, for people."""
        return self._team.place

    @property
    def asks_cloud(self) -> bool:
        return self._api is not None

    @cached_property
    def in_cloud(self) -> dict[str, DeveloperCertificate]:
        """The account's developer certificates by name; none without the cloud."""
        return {c.name: c for c in self._api.developer_certificates()} if self._api else {}

    @cached_property
    def devices(self) -> dict[str, Device]:
        """The account's devices with developer certificates, by id; none without the cloud."""
        if not self._api:
            return {}
        return {device.id: device for device in self._api.devices({"device_execution_mode__eq": DEVELOPER_MODE})}

    @cached_property
    def certificates_left(self) -> int:
        """How many certificates the account may have in addition to its present ones."""
        if not self._api:
            return 0
        return max(0, self._api.account().certificates_limit - self._api.trusted_certificate_count())

    @cached_property
    def certificates(self) -> list[Certificate]:
        """The cloud's developer certificates as assign takes them."""
        now = datetime.now(timezone.utc)
        counts = Counter(device.certificate_id for device in self.devices.values())
        return [
            Certificate(c.name, c.fingerprint, counts[c.id], usable=c.active and now < c.not_after)
            for c in self.in_cloud.values()
        ]

    def developer(self, name: str) -> DeveloperCredentials | None:
        """The stored developer credentials of that name. Raises CredentialError when they must not reach a board."""
        if name not in self._developer:
            stored = self._team.read(DeveloperCredentials, name)
            if stored:
                self.warnings += stored.check(warn_days=self._warn_days)
            self._developer[name] = stored
        return self._developer[name]

    def stored_family(self, name: str) -> list[str]:
        """The names of stored developer credentials that a spread fleet's wish for ``name`` can mean."""
        return [stored for stored in self._team.names(DeveloperCredentials) if stored.startswith(f"{name}-")]

    def update(self, wish: UpdateWish) -> UpdateStock:
        """What that wish comes to. Raises PelionError where nothing says what to make, or what is there is unfit."""
        if wish not in self._update:
            outcome = UpdateKeeper(self._team, wish.name, dry_run=True).present(
                given=self._read_src(wish.src) if wish.src else None,
                ids=_ids(wish),
                subject=common_name(wish.vendor_domain) if wish.vendor_domain and not wish.src else None,
                renewal=None if wish.src else Renewal.of(wish.renew_before_days, wish.renew_if_made_before),
                warn_days=self._warn_days,
            )
            self.warnings += outcome.notices
            self._update[wish] = UpdateStock(outcome.credentials, ready=not outcome.changed)
        return self._update[wish]

    @cached_property
    def known_updates(self) -> Mapping[str, str]:
        """See known_update_certificates."""
        return known_update_certificates(self._team, self.warnings.append)


def _ids(wish: UpdateWish) -> tuple[uuid.UUID, uuid.UUID] | None:
    """The vendor and class ids that ``wish`` names or derives; None where it leaves them to file or store."""
    if wish.src:
        return None
    if bool(wish.vendor_domain) != bool(wish.device_class) or bool(wish.vendor_id) != bool(wish.class_id):
        raise PelionError(
            f"The update resources {wish.name!r} are wished for with one half of what an id is made from: give "
            "provision_pelion_vendor_domain with provision_pelion_device_class, or provision_pelion_vendor_id with "
            "provision_pelion_class_id."
        )
    if wish.vendor_domain and wish.vendor_id:
        raise PelionError(
            f"The update resources {wish.name!r} are wished for with ids and with what ids are derived from: give "
            "provision_pelion_vendor_domain or provision_pelion_vendor_id, not both."
        )
    if wish.vendor_domain:
        return derive_ids(wish.vendor_domain, wish.device_class)
    if wish.vendor_id:
        return parse_id("vendor_id", wish.vendor_id), parse_id("class_id", wish.class_id)
    return None
