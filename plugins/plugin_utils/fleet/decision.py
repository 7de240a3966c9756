# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each board of a fleet gets: decided once, for all, from each board's own wishes and what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from ..board.errors import BoardError
from ..board.inspection import Inspection
from ..board.items import Items
from ..cloud.api_answers import Device
from ..errors import PelionError
from ..store.store import StoreError
from . import update_guard
from .assignment import Assignment, Certificate, Seeker, assign
from .memory import Remembered
from .reservations import Reservations
from .roster import is_new, misspelt, why_refused
from .stock import Stock
from .update_guard import unknown_update
from .wishes import KEEP_IDENTITY, NEW_IDENTITY, REFUSE, UpdateWish, Wishes
from .work import work_for


@dataclass(frozen=True)
class Member:
    """A board of the fleet: its name, its wishes, what it was found to hold, and the ssh host keys compared for it."""

    name: str
    wishes: Wishes
    board: Inspection
    host_keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """What is to be done on one board.

    ``refused`` tells why nothing may be; otherwise the board is to hold ``dev_cert`` and ``update_resources``
    (names in the team store), and, with ``reconnect`` (a reason), to register anew. ``bootstrapped_at`` is what
    the Device Directory says of the board's device before that, ``site`` where the board is.
    """

    refused: str = ""
    dev_cert: str = ""
    update_resources: str = ""
    when_bootstrapped: str = REFUSE
    registration_timeout: int = 0
    reconnect: str = ""
    bootstrapped_at: str | None = None
    site: str = ""

    def to_json(self) -> dict[str, Any]:
        """Small, since it travels with every board's task: what is as by default is left out."""
        return {name: value for name, value in asdict(self).items() if value != getattr(Part, name)}

    @classmethod
    def from_json(cls, part: Mapping[str, Any]) -> Part:
        return cls(**part)


@dataclass(frozen=True)
class Decision:
    """``parts`` has the boards with something to do or to be told; the others need nothing.

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
    def common_refusal(self) -> str | None:
        """The reason, when all boards are refused for one and the same, to be told once."""
        reasons = {part.refused for part in self.parts.values()}
        return next(iter(reasons)) if len(reasons) == 1 and not self.proven and all(reasons) else None


def decide(
    members: Iterable[Member],
    stock: Stock,
    remembered: Mapping[str, Remembered],
    unasked: Mapping[str, str] | None = None,
    reservations: Reservations | None = None,
) -> Decision:
    """Decide for all ``members`` at once. ``unasked`` boards are refused for the reasons given.

    What concerns one board, or the boards of one wish, refuses those alone. With ``reservations``, places in
    certificates are given to no more boards than there are, whoever else decides; a store that takes no notes is warned
    of. Raises ApiError or StoreError when cloud or store cannot be read at all.
    """
    members = list(members)
    decision = _Deciding(members, stock, remembered, unasked or {}, {}).decide()
    if not decision.places or reservations is None:
        return decision
    try:
        # Cloud and store have been read: others wait for a moment only.
        with reservations.locked() as others:
            decision = _Deciding(members, stock, remembered, unasked or {}, others).decide()
            reservations.keep(decision.places)
    except StoreError as error:
        warning = f"Other runs may give away the same places in developer certificates: {error}"
        return replace(decision, warnings=[*decision.warnings, warning])
    return decision


class _Deciding:
    """One decision on its way: boards are refused one reason at a time, and the rest go on."""

    def __init__(
        self,
        members: list[Member],
        stock: Stock,
        remembered: Mapping[str, Remembered],
        unasked: Mapping[str, str],
        others: Mapping[str, str],
    ) -> None:
        self._members = members
        self._stock = stock
        self._remembered = remembered
        here = {member.name for member in members}
        self._others = {board: name for board, name in others.items() if board not in here}
        self._wished: dict[tuple[str, bool], bool] = {}
        self._stored: dict[str, dict[str, str]] = {}
        self._uncounted: set[str] = set()
        self._parts = {name: Part(refused=reason) for name, reason in unasked.items()}
        self._warnings: list[str] = []
        self._items: dict[tuple[str, UpdateWish], Items | PelionError | None] = {}

    def decide(self) -> Decision:
        self._refuse_strangers()
        self._refuse_unfit()
        self._refuse_odd_update_wishes()
        self._refuse_unknown_updates()
        self._refuse_those_that_would_ignore()
        assignment = self._assign()
        proven = {}
        for member in self._open():
            self._decide_for(member, assignment.given[member.name])
            if member.name not in self._parts:
                proven[member.name] = assignment.given[member.name]
        working = [m for m in self._members if m.name in self._parts and not self._parts[m.name].refused]
        names = {self._parts[member.name].dev_cert for member in working}
        wishes = {member.wishes.update for member in working}
        return Decision(
            parts=self._parts,
            dev_certs=sorted(name for name in names if not self._is_ready(name)),
            updates=sorted((wish for wish in wishes if not self._stock.update(wish).ready), key=lambda wish: wish.name),
            proven=proven,
            places={m.name: self._parts[m.name].dev_cert for m in working if m.name in self._uncounted},
            warnings=list(dict.fromkeys([*self._warnings, *self._stock.warnings])),
        )

    def _open(self) -> list[Member]:
        """The boards that have no part yet."""
        return [member for member in self._members if member.name not in self._parts]

    def _refuse(self, member: Member, reason: str) -> None:
        self._parts[member.name] = Part(refused=reason)

    def _refuse_strangers(self) -> None:
        for entry in sorted({entry for member in self._members for entry in misspelt(member.wishes.roster)}):
            self._warnings.append(f"{entry!r} in provision_pelion_roster is no fingerprint of a host key.")
        new = []
        for member in self._open():
            wishes = member.wishes
            reason = why_refused(member.name, member.host_keys, wishes.roster, wishes.new_boards, self._remembered)
            if reason:
                self._refuse(member, reason)
            elif not wishes.roster and is_new(member.name, member.host_keys, self._remembered):
                new.append(member.name)
        if new:
            self._warnings.append(
                f"New to the team, and to get keys, since there is no provision_pelion_roster: {shortened(new)}."
            )

    def _refuse_unfit(self) -> None:
        """Boards that were never provisioned and cannot be, so that nothing is made for them; and what others lack."""
        told: dict[str, list[str]] = {}
        for member in self._open():
            for warning in member.board.warnings:
                told.setdefault(warning, []).append(member.name)
            if member.board.obstacles and member.board.provisioned_by != "pelion.mbl":
                self._refuse(member, str(BoardError.of(*member.board.obstacles[0])))
        self._warnings += [f"{shortened(names)}: {warning}" for warning, names in told.items()]

    def _refuse_odd_update_wishes(self) -> None:
        ways: dict[str, set[UpdateWish]] = {}
        for member in self._open():
            ways.setdefault(member.wishes.update.name, set()).add(member.wishes.update)
        for member in self._open():
            wish = member.wishes.update
            if len(ways[wish.name]) > 1:
                self._refuse(
                    member,
                    f"The boards of this run wish for the update resources {wish.name!r} to be made in "
                    f"{len(ways[wish.name])} different ways. Give their boards the same variables, or another name.",
                )
                continue
            try:
                self._stock.update(wish)
            except PelionError as error:
                self._refuse(member, str(error))

    def _refuse_unknown_updates(self) -> None:
        unknown = {}
        for member in self._open():
            if member.wishes.when_update_unknown != REFUSE:
                continue
            resources = self._stock.update(member.wishes.update).resources
            wanted = resources.fingerprint if resources else None
            fingerprint = unknown_update(member.board, wanted, self._stock.known_updates)
            if fingerprint:
                unknown[member.name] = fingerprint
                self._refuse(member, update_guard.why_refused(fingerprint, self._stock.place))
        if not unknown:
            return
        first = next(iter(unknown))
        for member in self._open():
            wish = member.wishes.update
            if self._stock.update(wish).resources is None and wish.name not in self._stock.known_updates.values():
                self._refuse(
                    member,
                    f"No key is made for the update resources {wish.name!r}, since {first} holds an update certificate "
                    f"({unknown[first][:16]}…) that the team store {self._stock.place} does not know. Is it the right "
                    "store? If so, set provision_pelion_when_update_unknown to replace for that board.",
                )

    def _refuse_those_that_would_ignore(self) -> None:
        """So that no certificate is made, and no place taken, for boards that would ignore them."""
        for member in self._open():
            wishes, held = member.wishes, member.board.developer_certificate
            if wishes.when_bootstrapped != REFUSE or not member.board.bootstrapped or held is None:
                continue
            if self._is_there(wishes.dev_cert, spread=wishes.spread):
                continue
            self._refuse(
                member,
                "This board has bootstrapped with another developer certificate, and its client would ignore "
                f"{wishes.dev_cert!r}, which does not exist yet. Is the name right? If so, set "
                f"provision_pelion_when_bootstrapped to {KEEP_IDENTITY} or {NEW_IDENTITY}.{self._or_rather(member)}",
            )

    def _or_rather(self, member: Member) -> str:
        """After a rotation, the likeliest mistake is a former name in the variables."""
        held = member.board.developer_certificate
        name = self._names_in_cloud.get(held["fingerprint"]) if held else None
        return f" It holds {name!r}: if that is right, set provision_pelion_dev_cert to it." if name else ""

    @cached_property
    def _names_in_cloud(self) -> dict[str, str]:
        if not self._stock.asks_cloud:
            return {}
        return {certificate.fingerprint: name for name, certificate in self._stock.in_cloud.items()}

    def _is_there(self, name: str, *, spread: bool) -> bool:
        """Whether there is a certificate that such a wish can mean."""
        if not self._stock.asks_cloud:
            return True
        if (name, spread) not in self._wished:
            self._wished[name, spread] = any(
                certificate == name or (spread and certificate.startswith(f"{name}-"))
                for certificate in self._stock.in_cloud
            )
        return self._wished[name, spread]

    def _assign(self) -> Assignment:
        if not self._open():
            return Assignment({}, [], {})
        if not self._stock.asks_cloud:
            return Assignment({member.name: self._stored_wish(member) for member in self._open()}, [], {})
        by_id = {c.id: c.fingerprint for c in self._stock.in_cloud.values()}
        seekers = [self._seeker(member, by_id) for member in self._open()]
        self._uncounted = {seeker.board for seeker in seekers if not seeker.counted}
        assignment = assign(seekers, self._certificates(), lambda: self._stock.certificates_left)
        for member in self._open():
            if member.name in assignment.homeless:
                self._refuse(member, assignment.homeless[member.name])
        return assignment

    def _certificates(self) -> list[Certificate]:
        """Those of the cloud, and those that other runs are about to make, with the places that these give away."""
        reserved = Counter(name for board, name in self._others.items() if not self._counts(board, name))
        in_cloud = [replace(c, reserved=reserved.pop(c.name, 0)) for c in self._stock.certificates]
        return in_cloud + [Certificate(name, "", 0, reserved=count) for name, count in reserved.items()]

    def _counts(self, board: str, certificate: str) -> bool:
        """Whether the cloud counts that board among the certificate's devices by now."""
        before, in_cloud = self._remembered.get(board), self._stock.in_cloud.get(certificate)
        device = self._stock.devices.get((before and before.device_id) or "")
        return device is not None and in_cloud is not None and device.certificate_id == in_cloud.id

    def _seeker(self, member: Member, by_id: Mapping[str, str]) -> Seeker:
        held, board = member.board.developer_certificate, member.board
        fingerprint = held["fingerprint"] if held else None
        device = self._device(member)
        return Seeker(
            member.name,
            member.wishes.dev_cert,
            spread=member.wishes.spread,
            create=member.wishes.create,
            holds=fingerprint,
            # A board that has bootstrapped is a device of its certificate, also when its id is not known here.
            counted=board.bootstrapped if device is None else by_id.get(device.certificate_id or "") == fingerprint,
        )

    def _stored_wish(self, member: Member) -> str:
        """Without the cloud: the stored certificate that the board holds, of those that its wish can mean."""
        wishes, held = member.wishes, member.board.developer_certificate
        if not wishes.spread or not held:
            return wishes.dev_cert
        if wishes.dev_cert not in self._stored:
            family = ((name, self._stock.developer(name)) for name in self._stock.stored_family(wishes.dev_cert))
            self._stored[wishes.dev_cert] = {stored.fingerprint: name for name, stored in family if stored}
        return self._stored[wishes.dev_cert].get(held["fingerprint"], wishes.dev_cert)

    def _decide_for(self, member: Member, dev_cert: str) -> None:
        wishes, board, device = member.wishes, member.board, self._device(member)
        part = Part(
            dev_cert=dev_cert,
            update_resources=wishes.update.name,
            when_bootstrapped=wishes.when_bootstrapped,
            registration_timeout=wishes.registration_timeout,
            bootstrapped_at=device and device.answer.get("bootstrapped_timestamp"),
            site=wishes.site,
        )
        items = self._items_of(dev_cert, wishes.update)
        if isinstance(items, PelionError):
            self._refuse(member, str(items))
            return
        changes = True
        if items is not None:
            try:
                changes = work_for(board, items, wishes.when_bootstrapped).changes
            except BoardError as error:
                hint = self._or_rather(member) if error.facts["reason"] == "bootstrapped" else ""
                self._refuse(member, f"{error}{hint}")
                return
        in_cloud = self._stock.in_cloud.get(dev_cert)
        if changes and in_cloud and not in_cloud.active:
            self._refuse(
                member,
                f"The developer certificate {dev_cert!r} is INACTIVE in the cloud, so that no device can bootstrap "
                "with it. Activate it (pelion.mbl.pelion_dev_cert with force: true), or use another name.",
            )
            return
        reconnect = "" if changes else self._why_reconnect(member)
        if changes or reconnect or board.interrupted:
            self._parts[member.name] = Part(**{**asdict(part), "reconnect": reconnect})

    def _items_of(self, dev_cert: str, wish: UpdateWish) -> Items | PelionError | None:
        """What a board is to hold; None as long as the store has not got it, the error where it must not."""
        key = (dev_cert, wish)
        if key not in self._items:
            try:
                developer, update = self._stock.developer(dev_cert), self._stock.update(wish).resources
                ready = developer and update and self._is_ready(dev_cert)
                self._items[key] = Items.of(developer.values, update.values) if ready else None
            except PelionError as error:
                self._items[key] = error
        return self._items[key]

    def _is_ready(self, dev_cert: str) -> bool:
        """Whether the store has the certificate, and it is the one of that name in the cloud, where that is asked."""
        stored = self._stock.developer(dev_cert)
        if stored is None or not self._stock.asks_cloud:
            return stored is not None
        in_cloud = self._stock.in_cloud.get(dev_cert)
        return in_cloud is not None and in_cloud.fingerprint == stored.fingerprint

    def _device_id(self, member: Member) -> str | None:
        """As the board tells it, else as it was when it was last proven."""
        before = self._remembered.get(member.name)
        return member.board.device_id or (before and before.device_id)

    def _device(self, member: Member) -> Device | None:
        return self._stock.devices.get(self._device_id(member) or "")

    def _why_reconnect(self, member: Member) -> str:
        """Why a board that holds the right set must register anew, judged by the Device Directory."""
        if not self._stock.asks_cloud:
            return ""
        device_id, device = self._device_id(member), self._device(member)
        if device_id is None:
            return "its device id is not known"
        if device is None:
            return f"the Device Directory does not have its device {device_id}"
        return "" if device.state == "registered" else f"the Device Directory has its device as {device.state}"


def shortened(names: Sequence[str]) -> str:
    """Names of boards for a message, at most ten of them."""
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
