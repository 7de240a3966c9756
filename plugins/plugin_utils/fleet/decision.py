# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each board of a fleet gets: decided once, for all, from each board's own wishes and what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from ..board.errors import BoardError
from ..board.items import Items
from ..cloud.api_answers import Device
from ..reasons import Reason
from ..store.errors import StoreError
from ..team.known_certificates import without_key
from ..words import some
from .assignment import Assignment, Seeker, assign, is_meant
from .identity import Identities, changed_keys, kept_devices
from .member import Member
from .memory import Remembered
from .part import Part
from .reasons import FLEET_REASONS, reason_of
from .refusals import refusals, turned_away
from .reservations import Places, Reservations
from .roster import misspelt
from .stock import CloudStock, DeveloperStock, Stock
from .wishes import UpdateWish
from .work import NOT_IN_STORE, Certificates, work_for


@dataclass(frozen=True)
class Fleet:
    """The boards that are decided for: ``members``, those that were not asked, with the reason, what the team
    ``remembered`` of boards, by name, the names of all boards that are ``there``, and ``odd`` machines among these (see
    Identities)."""

    members: Sequence[Member]
    remembered: Mapping[str, Remembered] = field(default_factory=dict)
    unasked: Mapping[str, Reason] = field(default_factory=dict)
    there: Collection[str] = ()
    odd: Mapping[str, Collection[str]] = field(default_factory=dict)

    @cached_property
    def identities(self) -> Identities:
        return Identities.of((member.sighting for member in self.members), self.remembered, self.there, self.odd)

    @cached_property
    def refused(self) -> Mapping[str, Reason]:
        """The boards for which nothing need be read."""
        return {**self.unasked, **turned_away(self.members, self.identities)}

    @cached_property
    def admitted(self) -> Sequence[Member]:
        """The others, for which Stock is read."""
        return [member for member in self.members if member.name not in self.refused]

    def device_id(self, member: Member) -> str | None:
        """As the board tells it, else as it was when it was last proven."""
        return self.identities.device_id(member.name)

    def warnings(self) -> Iterator[str]:
        """Texts for the user."""
        for entry in sorted({entry for member in self.members for entry in misspelt(member.wishes.roster or ())}):
            yield f"{entry!r} in provision_pelion_roster is not the fingerprint of a host key."
        yield from self._about_identities()
        having: dict[str, list[str]] = {}
        for member in self.members:
            for warning in member.board.unforeseen if member.name in self.refused else member.board.warnings:
                having.setdefault(warning, []).append(member.name)
        for warning, names in having.items():
            yield f"{some(names, 10)}: {warning}"

    def _about_identities(self) -> Iterator[str]:
        unproven: dict[str, list[str]] = {}
        new, changed = [], []
        kept: dict[str, Sequence[str]] = {}
        for member in self.admitted:
            name, keys = member.name, member.host_keys
            if keepers := self.identities.keepers(name, self.device_id(member)):
                kept[name] = keepers
            if keys.unproven:
                unproven.setdefault(keys.unproven, []).append(name)
            if self.identities.is_changed(name) and not keys.pinned:
                changed.append(name)
            elif member.wishes.roster is None and not keys.pinned and not self.identities.is_known(name):
                new.append(name)
        for why, names in unproven.items():
            yield f"Nothing proves which boards answered as {some(names, 10)}, since {why}."
        if kept:
            yield kept_devices(kept)
        renamed = [f"{name} (was {former})" for name, former in self.identities.renamed.items()]
        if renamed:
            yield f"Known to the team under another name, by their ssh host keys: {some(renamed, 10)}."
        if changed:
            yield changed_keys(changed)
        if new:
            yield (
                "These boards are new to the team and get keys where they lack any, since provision_pelion_roster is "
                f"not set: {some(new, 10)}."
            )


@dataclass(frozen=True)
class Decision:
    """``parts`` has the boards with something to do or to be refused; the others need nothing.

    ``dev_certs`` and ``updates`` are what the team store must be given first. ``proven`` are the boards that
    hold what they should and that the directory, where it was asked, has as registered, with their
    certificates' names. ``places`` are the boards that will be one device more of a certificate, with its name.
    """

    parts: Mapping[str, Part]
    dev_certs: Sequence[str] = ()
    updates: Sequence[UpdateWish] = ()
    proven: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    @property
    def common_refusal(self) -> Reason | None:
        """The reason, when all boards are refused for one and the same, to be said once; with the facts that do not
        differ from board to board."""
        reasons = [part.refused for part in self.parts.values() if part.refused]
        if self.proven or not reasons or len(reasons) < len(self.parts) or len({r.code for r in reasons}) > 1:
            return None
        one, *others = reasons
        facts = {name: fact for name, fact in one.facts.items() if all(o.facts.get(name) == fact for o in others)}
        return Reason(one.code, facts)

    def common_message(self) -> str | None:
        """What to say once of all boards, when there is a common refusal."""
        reason = self.common_refusal
        if reason is None:
            return None
        if len(self.parts) == 1:
            return f"{next(iter(self.parts))}: {reason.message(FLEET_REASONS)}"
        alike = all(part.refused == reason for part in self.parts.values())
        in_common = not alike or FLEET_REASONS[reason.code].speaks_of_one
        text = reason.common_message(FLEET_REASONS) if in_common else reason.message(FLEET_REASONS)
        return f"All {len(self.parts)} boards: {text}"


def decide(fleet: Fleet, stock: Stock, reserved: Places | None = None) -> Decision:
    """Decide for all boards of the ``fleet`` at once. ``stock`` was read for those that it admits.

    What concerns one board, or the boards of one wish, refuses those alone. ``reserved`` are boards of other runs with
    the certificates in which they are given places.
    """
    return _Deciding(fleet, stock, _seekers(fleet, stock), reserved or {}).decide()


def decide_and_reserve(fleet: Fleet, stock: Stock, reservations: Reservations, *, dry_run: bool = False) -> Decision:
    """As ``decide``; places in certificates are given to no more boards than there are, whoever else decides.

    With ``dry_run``, other runs' places are heeded, and none is reserved. A store that takes no notes is warned of.
    """
    seekers = _seekers(fleet, stock)

    def decided(reserved: Places) -> Decision:
        return _Deciding(fleet, stock, seekers, reserved).decide()

    if not any(_seeks_place(seeker, stock) for seeker in seekers.values()):
        return decided({})
    decision = None
    try:
        if dry_run:
            return decided(reservations.noted())
        # Cloud and store have been read: others wait for a moment only.
        with reservations.locked() as reserved:
            decision = decided(reserved)
            if decision.places:
                reservations.keep(decision.places)
            return decision
    except StoreError as error:
        decision = decision or decided({})
        warning = f"Other runs may use the same places in developer certificates: {error}"
        return replace(decision, warnings=[*decision.warnings, warning]) if decision.places else decision


def _device(fleet: Fleet, member: Member, stock: Stock) -> Device | None:
    return stock.cloud.devices.get(fleet.device_id(member) or "") if stock.cloud else None


def _seekers(fleet: Fleet, stock: Stock) -> dict[str, Seeker]:
    """Of all boards that the fleet admits, by name."""
    cloud = stock.cloud
    fingerprints = cloud.fingerprints if cloud else {}
    known = {fleet.device_id(member) for member in fleet.members} | {b.device_id for b in fleet.remembered.values()}
    devices = cloud.devices.values() if cloud else ()
    nobodys = Counter(fingerprints.get(one.certificate_id or "") for one in devices if one.id not in known)

    def is_counted(member: Member) -> bool:
        device, board = _device(fleet, member, stock), member.board
        if device is not None:
            # What has no identity will be another device.
            return fingerprints.get(device.certificate_id or "") == member.holds and board.has_identity
        # A board whose device was deleted becomes one when it registers anew.
        if not board.bootstrapped or fleet.device_id(member) is not None:
            return False
        # It is one of its certificate's, as long as there is one that may be it.
        nobodys[member.holds] -= 1
        return nobodys[member.holds] >= 0 or cloud is None

    return {
        member.name: Seeker(
            member.name,
            member.wishes.dev_cert,
            spread=member.wishes.spread,
            create=member.wishes.create,
            holds=member.holds,
            unused=not member.board.bootstrapped or (cloud is not None and cloud.may_leave(member)),
            counted=is_counted(member),
        )
        for member in fleet.admitted
    }


def _seeks_place(seeker: Seeker, stock: Stock) -> bool:
    """Whether the board will be one device more of the certificate that it is given."""
    held = stock.cloud.names.get(seeker.holds or "") if stock.cloud else None
    return not (seeker.counted and is_meant(seeker.wish, seeker.spread, held))


class _Deciding:
    """One decision on its way: a pure function's working notes."""

    def __init__(self, fleet: Fleet, stock: Stock, seekers: Mapping[str, Seeker], reserved: Places) -> None:
        self._fleet = fleet
        self._stock = stock
        self._seekers = seekers
        self._reserved = reserved
        self._items: dict[tuple[str, UpdateWish], Items | Certificates | Reason | None] = {}

    def decide(self) -> Decision:
        refused = {**self._fleet.refused, **refusals(self._fleet.admitted, self._stock)}
        members = [member for member in self._fleet.admitted if member.name not in refused]
        seekers = {
            member.name: replace(self._seekers[member.name], reserved=tuple(self._places_left(member)))
            for member in members
        }
        assignment = self._assign(members, seekers.values())
        refused.update(assignment.homeless)
        working: dict[str, Part] = {}
        proven: dict[str, str] = {}
        for member in members:
            if member.name not in assignment.given:
                continue
            dev_cert = assignment.given[member.name]
            part = self._part(member, dev_cert)
            if part is None:
                proven[member.name] = dev_cert
            elif part.refused:
                refused[member.name] = part.refused
            else:
                working[member.name] = part
        updates = {member.wishes.update for member in members if member.name in working}
        return Decision(
            parts={**{name: Part(refused=reason) for name, reason in refused.items()}, **working},
            dev_certs=sorted({p.dev_cert for p in working.values() if not self._stock.is_ready(p.dev_cert)}),
            updates=sorted((w for w in updates if not self._stock.updates[w].ready), key=lambda wish: wish.name),
            proven=proven,
            places={
                name: part.dev_cert
                for name, part in working.items()
                if self._stock.cloud and _seeks_place(seekers[name], self._stock)
            },
            warnings=list(
                dict.fromkeys(
                    [
                        *self._warnings(assignment.given.values()),
                        *self._keyless(members, working),
                        *self._stored_elsewhere(members, updates),
                    ]
                )
            ),
        )

    def _warnings(self, dev_certs: Iterable[str]) -> Iterator[str]:
        yield from self._fleet.warnings()
        yield from self._stock.warnings
        for name in dict.fromkeys(dev_certs):
            yield from self._stock.developer.get(name, DeveloperStock()).warnings

    def _keyless(self, members: Iterable[Member], working: Mapping[str, Part]) -> Iterator[str]:
        """Whether a board takes updates is decided with its update certificate."""
        getting: dict[str, list[str]] = {}
        for member in members:
            part, wish = working.get(member.name), member.wishes.update
            resources = self._stock.updates[wish].resources
            if part and not part.holds and resources and resources.private_key is None:
                getting.setdefault(wish.name, []).append(member.name)
        yield from (without_key(name, some(boards, 10)) for name, boards in getting.items())

    def _stored_elsewhere(self, members: Iterable[Member], made: Collection[UpdateWish]) -> Iterator[str]:
        """``made`` are the wishes of boards that are worked on."""
        for wish in dict.fromkeys(member.wishes.update for member in members):
            stored = self._stock.updates[wish].stored
            if stored and wish not in made:
                yield (
                    f"The update certificate in {wish.src} is in the team store as {stored[0]!r}, not {wish.name!r}. "
                    f"The boards hold it already, so no {wish.name!r} was made. Set provision_pelion_update_resources "
                    f"to {stored[0]!r}; or, for another certificate, provision_pelion_update_src to another file."
                )

    def _assign(self, members: Iterable[Member], seekers: Iterable[Seeker]) -> Assignment:
        cloud = self._stock.cloud
        if cloud is None:
            return Assignment({member.name: self._stored_wish(member) for member in members}, [], {})
        return assign(seekers, cloud.rooms(self._places_of_others(members, cloud)), cloud.certificates_left)

    def _places_left(self, member: Member) -> list[str]:
        """The certificates in which other runs give the board places that it has not taken yet."""
        places = self._reserved.get(member.name, {})
        before = self._fleet.remembered.get(member.name, Remembered())
        return [name for name, given_at in places.items() if not self._is_taken(before, member, name, given_at)]

    def _is_taken(self, before: Remembered, member: Member, certificate: str, given_at: datetime) -> bool:
        """Whether what had the board's name took the place, as another device than what has it now, or will be."""
        will_be = self._fleet.device_id(member) if member.board.has_identity else None
        return before.device_id not in (None, will_be) and before.was_proven_since(given_at, certificate)

    def _places_of_others(self, members: Iterable[Member], cloud: CloudStock) -> Counter[str]:
        """How many places other runs are giving to boards that this one gives none, as it does to ``members``; by
        certificate, also of those that they are about to make."""
        here = {member.name: member for member in members}
        reserved: Counter[str] = Counter()
        for board, certificates in self._reserved.items():
            member, before = here.get(board), self._fleet.remembered.get(board, Remembered())
            device_id = self._fleet.device_id(member) if member else before.device_id
            for name, given_at in certificates.items():
                taken = member and self._is_taken(before, member, name, given_at)
                # Once the cloud counts the board there, its reservation is one too many.
                counted = cloud.counts(before.device_id if taken else device_id, name)
                given_here = member and not taken and is_meant(member.wishes.dev_cert, member.wishes.spread, name)
                reserved[name] += not (counted or given_here)
        return reserved

    def _stored_wish(self, member: Member) -> str:
        """Without the cloud: the stored certificate that the board holds, of those that its wish can mean."""
        wishes, held = member.wishes, self._stock.stored_names.get(member.holds or "")
        return held if held and is_meant(wishes.dev_cert, wishes.spread, held) else wishes.dev_cert

    def _part(self, member: Member, dev_cert: str) -> Part | None:
        """What a board that is given ``dev_cert`` has to do, or why it must not; None when it needs nothing."""
        wishes, board, device = member.wishes, member.board, _device(self._fleet, member, self._stock)
        items = self._items_of(dev_cert, wishes.update)
        if isinstance(items, Reason):
            return Part(refused=items)
        stored, work = isinstance(items, Items), NOT_IN_STORE
        if items is not None:
            try:
                work = work_for(board, items, wishes.when_bootstrapped)
            except BoardError as error:
                return Part(refused=self._with_held_name(reason_of(error), member))
        in_cloud = self._stock.cloud.certificates.get(dev_cert) if self._stock.cloud else None
        if (work.changes or not stored) and in_cloud and not in_cloud.active:
            return Part(refused=Reason("certificate-inactive", {"dev_cert": dev_cert}))
        reconnect = None if work.changes else self._why_reconnect(member)
        if stored and not work.changes and not reconnect and not board.interrupted:
            return None
        return Part(
            dev_cert=dev_cert,
            update_resources=wishes.update.name,
            to_be_made=not stored or not self._stock.updates[wishes.update].ready,
            holds=not work.inject,
            when_bootstrapped=wishes.when_bootstrapped,
            registration_timeout=wishes.registration_timeout,
            reconnect=reconnect,
            bootstrapped_at=device.answer.get("bootstrapped_timestamp") if device else None,
            site=wishes.site,
        )

    def _with_held_name(self, reason: Reason, member: Member) -> Reason:
        if "holds" not in FLEET_REASONS[reason.code].hints:
            return reason
        return replace(reason, facts={**reason.facts, **self._stock.held_name(member)})

    def _items_of(self, dev_cert: str, wish: UpdateWish) -> Items | Certificates | Reason | None:
        """What a board is to hold, as far as it is there; None where it has to be made, the reason where it must not be
        held."""
        key = (dev_cert, wish)
        if key not in self._items:
            self._items[key] = self._read_items(dev_cert, wish)
        return self._items[key]

    def _read_items(self, dev_cert: str, wish: UpdateWish) -> Items | Certificates | Reason | None:
        developer, update = self._stock.developer.get(dev_cert), self._stock.updates[wish].resources
        if developer and developer.problem:
            return developer.problem
        if developer and developer.credentials and update and self._stock.is_ready(dev_cert):
            return Items.of(developer.credentials.values, update.values)
        in_cloud = self._stock.cloud.certificates.get(dev_cert) if self._stock.cloud else None
        return Certificates(in_cloud.der, update.der) if in_cloud and update else None

    def _why_reconnect(self, member: Member) -> Reason | None:
        """Why a board that holds the right set must register anew, judged by the Device Directory; of WORK_REASONS."""
        if self._stock.cloud is None:
            return None
        device_id, device = self._fleet.device_id(member), _device(self._fleet, member, self._stock)
        if device_id is None:
            return Reason("no-device-id")
        if device is None:
            return Reason("no-device", {"device_id": device_id})
        return None if device.state == "registered" else Reason("device-state", {"state": device.state})
