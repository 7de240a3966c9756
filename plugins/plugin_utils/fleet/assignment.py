# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which board gets which developer certificate: each serves 100 devices, and an account has few of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

from ..reasons import Reason
from ..team.developer_certificates import DEVICES_PER_CERTIFICATE


@dataclass(frozen=True)
class Seeker:
    """A board that needs a place: the certificate that it wishes for, and the fingerprint of the one that it holds.

    With ``spread``, NAME-01, NAME-02, … serve as well as NAME; with ``create``, one may be made for it.
    ``counted`` says that the board's device is among those that its certificate has already, ``unused`` that the board
    has not bootstrapped with it, or will do so again. ``reserved`` are the certificates in which other runs give it
    places, that which was given last at the end.
    """

    board: str
    wish: str
    spread: bool = False
    create: bool = True
    holds: str | None = None
    counted: bool = False
    unused: bool = False
    reserved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Certificate:
    """A developer certificate as it is: how many devices it has, and whether devices can bootstrap with it.

    ``reserved`` are the places that other runs are giving away. One that such a run is about to make has no fingerprint
    yet.
    """

    name: str
    fingerprint: str
    devices: int
    usable: bool = True
    reserved: int = 0

    @property
    def room(self) -> int:
        return DEVICES_PER_CERTIFICATE - self.devices - self.reserved if self.usable else 0

    def __str__(self) -> str:
        others = f" and {self.reserved} that other runs are adding" if self.reserved else ""
        end = "" if self.usable else " and is inactive or expired"
        return f"{self.name} has {self.devices} of {DEVICES_PER_CERTIFICATE} devices{others}{end}"


@dataclass(frozen=True)
class Assignment:
    """``given`` maps boards to certificates' names, ``homeless`` the others to the reason.

    ``create`` are the names, among those given, of certificates that do not exist yet.
    """

    given: Mapping[str, str]
    create: list[str]
    homeless: Mapping[str, Reason]


def assign(seekers: Iterable[Seeker], certificates: Iterable[Certificate], certificates_left: int) -> Assignment:
    """Give each board a developer certificate, or the reason why there is none for it.

    A board that holds a certificate that it wishes for keeps its place, whatever the counts say, unless it has yet to
    bootstrap and the certificate is full: then it never could. One that another run gives a place keeps that, as both
    runs will inject it. The others fill those with room, in the order of their numbers, then new ones.
    ``certificates_left`` is how many more the account may have.
    """
    everything = list(certificates)
    houses = _Houses(everything, certificates_left)
    given: dict[str, str] = {}
    homeless: dict[str, Reason] = {}
    others, newcomers = [], []
    # Who holds a certificate keeps its place there, also where the last one was given to another board.
    for seeker in seekers:
        own = houses.held_by(seeker)
        if own is None or (seeker.unused and seeker.spread and not seeker.counted and not houses.has_room(own)):
            others.append(seeker)
        else:
            given[seeker.board] = own
            if not seeker.counted:
                houses.take(own)
    for seeker in others:
        reserved = houses.reserved_for(seeker)
        if reserved is None:
            newcomers.append(seeker)
        else:
            given[seeker.board] = reserved
            houses.take(reserved)
    # What is made for those who may have one made can serve the others too.
    for seeker in sorted(newcomers, key=lambda seeker: (not seeker.create, natural(seeker.board))):
        place = houses.place_for(seeker)
        if place is None:
            homeless[seeker.board] = houses.why_none(seeker)
        else:
            given[seeker.board] = place
            houses.take(place)
    return Assignment(given, houses.made, homeless)


class _Houses:
    """The certificates, their free places, and those that are made on the way."""

    def __init__(self, certificates: list[Certificate], certificates_left: int) -> None:
        self._certificates = {certificate.name: certificate for certificate in certificates}
        self._names_by_fingerprint = {c.fingerprint: c.name for c in certificates if c.fingerprint}
        self._room = defaultdict(lambda: DEVICES_PER_CERTIFICATE, {c.name: c.room for c in certificates})
        self._certificates_left = certificates_left
        self._open: dict[tuple[str, bool], list[str]] = {}
        self._numbers: dict[str, Iterator[int]] = defaultdict(lambda: count(1))
        self._reasons: dict[tuple[str, bool, bool, int], Reason] = {}
        self.made: list[str] = []

    def held_by(self, seeker: Seeker) -> str | None:
        """The certificate that the board holds, when it is one that it wishes for."""
        own = self._names_by_fingerprint.get(seeker.holds or "")
        return own if is_meant(seeker.wish, seeker.spread, own) else None

    def reserved_for(self, seeker: Seeker) -> str | None:
        """The certificate in which another run gives the board a place, when that is still there for its wish."""
        for name in reversed(seeker.reserved):
            if name in self._certificates and is_meant(seeker.wish, seeker.spread, name) and self.has_room(name):
                return name
        return None

    def has_room(self, name: str) -> bool:
        return self._room[name] > 0

    def take(self, name: str) -> None:
        self._room[name] -= 1

    def place_for(self, seeker: Seeker) -> str | None:
        places = self._places(seeker)
        while places and not self.has_room(places[-1]):
            places.pop()
        if places:
            return places[-1]
        new = self._new_name(seeker) if seeker.create and len(self.made) < self._certificates_left else None
        if new is None:
            return None
        self.made.append(new)
        self._certificates[new] = Certificate(new, "", 0)
        for (wish, spread), others in self._open.items():
            if _serves(wish, spread, new):
                others.insert(0, new)
        return new

    def why_none(self, seeker: Seeker) -> Reason:
        # Those that find no place are often many, and of one wish.
        key = (seeker.wish, seeker.spread, seeker.create, len(self.made))
        if key not in self._reasons:
            self._reasons[key] = self._why_none(seeker)
        return self._reasons[key]

    def _why_none(self, seeker: Seeker) -> Reason:
        wish, spread = seeker.wish, seeker.spread
        family = [c for c in self._certificates.values() if c.name == wish or _serves(wish, spread, c.name)]
        if not family and not seeker.create:
            return Reason("no-certificate", {"dev_cert": seeker.wish})
        state = [self._state(c) for c in sorted(family, key=lambda c: natural(c.name))]
        facts = {"certificates": "; ".join(state) or "none yet"}
        if not seeker.create:
            return Reason("no-room-create", facts)
        return Reason("no-room-account" if seeker.spread or not family else "no-room-spread", facts)

    def _state(self, certificate: Certificate) -> str:
        adding = certificate.room - self._room[certificate.name]
        return (
            f"{certificate} and {adding} that this run is adding" if certificate.usable and adding else f"{certificate}"
        )

    def _places(self, seeker: Seeker) -> list[str]:
        """The names that serve for the board's wish; the next one to be filled is the last."""
        key = (seeker.wish, seeker.spread)
        if key not in self._open:
            names = (name for name in self._certificates if _serves(*key, name))
            self._open[key] = sorted(names, key=natural, reverse=True)
        return self._open[key]

    def _new_name(self, seeker: Seeker) -> str | None:
        if not seeker.spread:
            return None if seeker.wish in self._certificates else seeker.wish
        names = (f"{seeker.wish}-{number:02}" for number in self._numbers[seeker.wish])
        return next(name for name in names if name not in self._certificates)


def is_meant(wish: str, spread: bool, name: str | None) -> bool:
    """Whether a board that wishes for ``wish`` keeps its place in the certificate of that ``name``."""
    return name is not None and (name == wish or (spread and _number(wish, name) is not None))


def _serves(wish: str, spread: bool, name: str) -> bool:
    """Whether newcomers get a place there: NAME itself belongs to the time before the fleet was spread."""
    return _number(wish, name) is not None if spread else name == wish


def _number(wish: str, name: str) -> int | None:
    """The number of NAME-01, NAME-02, …; None for the name of another certificate."""
    if not name.startswith(f"{wish}-"):
        return None
    match = re.fullmatch("[0-9]{2,}", name[len(wish) + 1 :])
    return (int(match[0]) or None) if match else None


def natural(text: str) -> list[int | str]:
    """A sort key that puts board-10 behind board-9: every other part is a number."""
    return [int(part) if at % 2 else part for at, part in enumerate(re.split("([0-9]+)", text))]
