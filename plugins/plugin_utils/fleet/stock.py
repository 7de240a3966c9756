# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the team store and the cloud hold for a fleet: read once, before anything is decided."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property

from ..cloud.api_answers import DEVELOPER_MODE, DeveloperCertificate, Device
from ..cloud.pelion_api import PelionApi
from ..credentials.developer_credentials import DeveloperCredentials
from ..credentials.update_certificate import RecipeError, common_name, derive_ids, parse_id
from ..credentials.update_resources import UpdateResources
from ..errors import PelionError
from ..reasons import Reason
from ..store.store import Store
from ..team.known_certificates import known_update_certificates, mbl_cli_store_in
from ..team.update_keeper import NothingToMakeError, NotRenewableError, Renewal, UpdateKeeper
from .assignment import Certificate, is_meant
from .member import Member
from .reasons import reason_of
from .wishes import REFUSE, UpdateWish


@dataclass(frozen=True)
class UpdateStock:
    """Update resources as a wish would leave them: ``resources`` is None where a key would be made.

    ``ready`` says that the store holds them as they are wished. ``problem`` is why a board must not get them.
    ``stored`` are the name and the resources of another entry of the store that has their certificate, or had it.
    """

    resources: UpdateResources | None = None
    ready: bool = False
    problem: Reason | None = None
    stored: tuple[str, UpdateResources] | None = None


@dataclass(frozen=True)
class DeveloperStock:
    """Developer credentials in the store; ``problem`` is why a board must not get them. ``warnings`` are for users."""

    credentials: DeveloperCredentials | None = None
    problem: Reason | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class CloudStock:
    """The account's developer certificates by name, the devices that have one by id, how many certificates the account
    may have in addition to these, and when that was so."""

    certificates: Mapping[str, DeveloperCertificate]
    devices: Mapping[str, Device]
    certificates_left: int
    time: datetime

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The certificates' names by their fingerprints."""
        return {certificate.fingerprint: name for name, certificate in self.certificates.items()}

    @cached_property
    def fingerprints(self) -> Mapping[str, str]:
        """The certificates' fingerprints by their ids."""
        return {certificate.id: certificate.fingerprint for certificate in self.certificates.values()}

    def has(self, wish: str, spread: bool) -> bool:
        """Whether there is a certificate that such a wish can mean."""
        return any(is_meant(wish, spread, name) for name in self.certificates)

    def counts(self, device_id: str | None, certificate: str) -> bool:
        """Whether that device is among those of the certificate of that name."""
        device, named = self.devices.get(device_id or ""), self.certificates.get(certificate)
        return device is not None and named is not None and device.certificate_id == named.id

    def may_leave(self, member: Member) -> bool:
        """Whether the board has to bootstrap anew, since its device is there no longer, and may do so with another
        certificate."""
        device_id = member.board.device_id
        return device_id is not None and device_id not in self.devices and member.wishes.when_bootstrapped != REFUSE

    def rooms(self, reserved: Mapping[str, int]) -> list[Certificate]:
        """The certificates as assign takes them: those of the cloud, and those that other runs are about to make, with
        the places that these give away (``reserved``, by certificate)."""
        counts = Counter(device.certificate_id for device in self.devices.values())
        there = [
            Certificate(
                name,
                certificate.fingerprint,
                counts[certificate.id],
                usable=certificate.active and self.time < certificate.not_after,
                reserved=reserved.get(name, 0),
            )
            for name, certificate in self.certificates.items()
        ]
        others = [(name, count) for name, count in reserved.items() if name not in self.certificates]
        return there + [Certificate(name, "", 0, reserved=count) for name, count in others]


@dataclass(frozen=True)
class Stock:
    """What there was when it was read, for the wishes of the boards that it was read for.

    ``team_store`` is the store's directory, for people; ``mbl_cli_store`` the same where mbl-cli left a store there
    that can be imported, else empty. ``developer`` has stored credentials by name, of all names that can be given to
    one of the boards. ``known_updates``: see known_update_certificates. ``cloud`` is None for a run that does not ask
    it. ``warnings`` are texts for the user.
    """

    team_store: str
    developer: Mapping[str, DeveloperStock] = field(default_factory=dict)
    updates: Mapping[UpdateWish, UpdateStock] = field(default_factory=dict)
    known_updates: Mapping[str, str] = field(default_factory=dict)
    cloud: CloudStock | None = None
    warnings: tuple[str, ...] = ()
    mbl_cli_store: str = ""

    def is_ready(self, dev_cert: str) -> bool:
        """Whether the store has the certificate, and it is the one of that name in the cloud, where that is asked."""
        stored = self.developer.get(dev_cert, DeveloperStock()).credentials
        if stored is None or self.cloud is None:
            return stored is not None
        in_cloud = self.cloud.certificates.get(dev_cert)
        return in_cloud is not None and in_cloud.fingerprint == stored.fingerprint

    @cached_property
    def stored_names(self) -> Mapping[str, str]:
        """The names of ``developer`` by their fingerprints."""
        return {stored.credentials.fingerprint: name for name, stored in self.developer.items() if stored.credentials}

    def held_name(self, member: Member) -> dict[str, str]:
        """As a fact: the name in the cloud of the developer certificate that a board ``holds``, where there is one."""
        name = self.cloud.names.get(member.holds or "") if self.cloud else None
        return {"holds": name} if name else {}


def read_stock(
    team: Store,
    api: PelionApi | None,
    read_src: Callable[[UpdateWish], UpdateResources],
    members: Collection[Member],
    *,
    warn_days: int = 30,
) -> Stock:
    """Read what ``members`` can need: nothing without any; of the cloud behind ``api`` two lists, and the account's
    limit where a certificate may have to be made.

    ``read_src`` gives the update resources in the C file that a wish names, with their key where that is at hand.
    Certificates that end within ``warn_days`` are warned of. Raises ApiError and StoreError; what concerns one wish or
    name alone becomes its ``problem``.
    """
    if not members:
        return Stock(team.place)
    warnings: list[str] = []
    wishes = dict.fromkeys(member.wishes.update for member in members)
    updates = {wish: _update(team, read_src, wish, warn_days, warnings) for wish in wishes}
    known: dict[str, str] = {}
    old_store = ""
    refuses = any(member.wishes.when_update_unknown == REFUSE for member in members)
    if refuses or any(update.resources and not update.ready for update in updates.values()):
        known = known_update_certificates(team, warnings.append)
        updates = {wish: _found_elsewhere(team, wish, update, known) for wish, update in updates.items()}
    if refuses:
        old_store = mbl_cli_store_in(team)
    cloud = _cloud(api, members) if api else None
    developer = {name: _developer(team, name, warn_days) for name in _names(team, members)}
    return Stock(team.place, developer, updates, known, cloud, tuple(warnings), old_store)


def _cloud(api: PelionApi, members: Iterable[Member]) -> CloudStock:
    certificates = {certificate.name: certificate for certificate in api.developer_certificates()}
    devices = {device.id: device for device in api.devices({"device_execution_mode__eq": DEVELOPER_MODE})}
    cloud = CloudStock(certificates, devices, 0, datetime.now(timezone.utc))
    may_be_made = any(
        member.wishes.create
        and not (
            member.board.bootstrapped
            and not cloud.may_leave(member)
            and is_meant(member.wishes.dev_cert, member.wishes.spread, cloud.names.get(member.holds or ""))
        )
        for member in members
    )
    if not may_be_made:
        return cloud
    left = api.account().certificates_limit - api.trusted_certificate_count()
    return replace(cloud, certificates_left=max(0, left))


def _names(team: Store, members: Iterable[Member]) -> list[str]:
    """The names of stored developer credentials that the members can be given."""
    wishes = dict.fromkeys((member.wishes.dev_cert, member.wishes.spread) for member in members)
    spread = [wish for wish, is_spread in wishes if is_spread]
    family = [
        name
        for name in (team.names(DeveloperCredentials) if spread else ())
        for wish in spread
        if is_meant(wish, True, name)
    ]
    return list(dict.fromkeys([*(wish for wish, _is_spread in wishes), *family]))


def _developer(team: Store, name: str, warn_days: int) -> DeveloperStock:
    stored = None
    try:
        stored = team.read(DeveloperCredentials, name)
        return DeveloperStock(stored, warnings=tuple(stored.check(warn_days=warn_days)) if stored else ())
    except PelionError as error:
        return DeveloperStock(stored, reason_of(error))


def _update(
    team: Store,
    read_src: Callable[[UpdateWish], UpdateResources],
    wish: UpdateWish,
    warn_days: int,
    warnings: list[str],
) -> UpdateStock:
    now = datetime.now(timezone.utc)
    try:
        renewal = Renewal.of(wish.renew_before_days, wish.renew_if_made_before)
        outcome = UpdateKeeper(team, wish.name, dry_run=True).present(
            given=read_src(wish) if wish.src else None,
            ids=_ids(wish),
            subject=common_name(wish.vendor_domain) if wish.vendor_domain and not wish.src else None,
            renewal=renewal if wish.src or wish.replace else None,
            replace=wish.replace,
            warn_days=warn_days,
            now=now,
        )
        if outcome.source == "store" and not wish.src:
            warnings += _left_to_rotate(wish, renewal, outcome.credentials, now)
    except RecipeError as error:
        return UpdateStock(problem=_wish_problem(f"provision_pelion_{error.option} {error.problem}."))
    except NothingToMakeError:
        return UpdateStock(
            problem=_wish_problem(
                f"The team store {team.place} has no update resources named {wish.name!r}, and no variable says how to "
                "make them. Set provision_pelion_update_src (a C file of the manifest tool), or "
                "provision_pelion_vendor_domain and provision_pelion_device_class, or provision_pelion_vendor_id and "
                "provision_pelion_class_id."
            )
        )
    except PelionError as error:
        return UpdateStock(problem=reason_of(error, "update-wish"))
    warnings += outcome.notices
    return UpdateStock(outcome.credentials, ready=not outcome.changed)


def _found_elsewhere(team: Store, wish: UpdateWish, update: UpdateStock, known: Mapping[str, str]) -> UpdateStock:
    name = known.get(update.resources.fingerprint) if update.resources and not update.ready else None
    entry = team.read(UpdateResources, name) if name and name != wish.name else None
    return replace(update, stored=(name, entry)) if name and entry else update


def _wish_problem(text: str) -> Reason:
    return Reason("update-wish", {"text": text})


def _left_to_rotate(wish: UpdateWish, renewal: Renewal, stored: UpdateResources, now: datetime) -> list[str]:
    """A text for the user where a certificate ends sooner than was asked for. Raises NotRenewableError for one that
    must be replaced now."""
    text = (
        f"The update resources {wish.name!r} are to get a new certificate, which only pelion.mbl.rotate makes: run it "
        "with the same variables."
    )
    if renewal.is_too_old(stored):
        raise NotRenewableError(text)
    return [f"{text} The present one ends on {stored.not_after:%Y-%m-%d}."] if renewal.is_ending(stored, now) else []


def _ids(wish: UpdateWish) -> tuple[uuid.UUID, uuid.UUID] | None:
    """The vendor and class ids that ``wish`` names or derives; None where it leaves them to file or store."""
    if wish.src:
        return None
    if wish.private_key_src:
        raise PelionError(
            f"provision_pelion_update_private_key_src names a key for the update resources {wish.name!r}, but no file "
            "has its certificate: set provision_pelion_update_src as well."
        )
    if bool(wish.vendor_domain) != bool(wish.device_class) or bool(wish.vendor_id) != bool(wish.class_id):
        raise PelionError(
            f"Half of what the IDs of the update resources {wish.name!r} are made from is missing: set both "
            "provision_pelion_vendor_domain and provision_pelion_device_class, or both provision_pelion_vendor_id and "
            "provision_pelion_class_id."
        )
    if wish.vendor_domain and wish.vendor_id:
        raise PelionError(
            f"For the update resources {wish.name!r}, there are both IDs and what IDs are derived from: set "
            "provision_pelion_vendor_domain or provision_pelion_vendor_id, not both."
        )
    if wish.vendor_domain:
        return derive_ids(wish.vendor_domain, wish.device_class)
    if wish.vendor_id:
        return parse_id("vendor_id", wish.vendor_id), parse_id("class_id", wish.class_id)
    return None
