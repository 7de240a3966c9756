# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which board gets which developer certificate, when a fleet is larger than one certificate serves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import count

from ..errors import PelionError
from ..team.certificate_overview import CertificateOverview
from ..team.developer_certificates import DEVICES_PER_CERTIFICATE


@dataclass(frozen=True)
class PlannedBoard:
    """A board to be planned for: the fingerprint of the developer certificate that it holds now, if any.

    ``counted`` says that the directory has a device for it under that certificate already, so that it
    takes no further place there.
    """

    name: str
    fingerprint: str | None = None
    counted: bool = False


@dataclass(frozen=True)
class PlannedCertificate:
    """A developer certificate as it is: how many of its places are taken, and whether devices can bootstrap with it."""

    name: str
    fingerprint: str
    devices: int
    usable: bool = True


@dataclass(frozen=True)
class CertificatePlan:
    """``assignments`` maps each board's name to its certificate's; ``create`` are the names to be made."""

    assignments: Mapping[str, str]
    create: list[str]

    @property
    def certificates(self) -> list[str]:
        """The names of the certificates that the boards use, each once."""
        return sorted(set(self.assignments.values()), key=_natural)


def planned_certificates(overview: CertificateOverview, now: datetime | None = None) -> list[PlannedCertificate]:
    """The certificates in the cloud, as plan_certificates takes them."""
    now = now or datetime.now(timezone.utc)
    counts = Counter(overview.devices.values())
    return [
        PlannedCertificate(
            certificate.name,
            certificate.fingerprint,
            counts[certificate.id],
            usable=certificate.active and now < certificate.not_after,
        )
        for certificate in overview.certificates
    ]


def plan_certificates(
    name: str,
    boards: Iterable[PlannedBoard],
    certificates: Iterable[PlannedCertificate],
    *,
    spread: bool,
    certificates_left: int,
) -> CertificatePlan:
    """Give each board a developer certificate. Raises PelionError when there is no room for all boards.

    Without ``spread``, ``name`` is the certificate of all boards. With it, the certificates are
    ``name``-01, ``name``-02, … A board that holds one of them, or ``name`` itself from the time before the
    fleet was spread, keeps it; the others fill those with room, in the order of their numbers, then new
    ones. ``certificates_left`` is how many more the account may have.
    """
    family = {
        certificate.name: certificate
        for certificate in certificates
        if certificate.name == name or (spread and _number(name, certificate.name))
    }
    room = {c.name: DEVICES_PER_CERTIFICATE - c.devices if c.usable else 0 for c in family.values()}
    holds = {certificate.fingerprint: certificate.name for certificate in family.values()}
    assignments: dict[str, str] = {}
    newcomers = []
    # Boards that take no place go first, so that none of theirs is given away.
    for board in sorted(boards, key=lambda board: (not board.counted, _natural(board.name))):
        own = holds.get(board.fingerprint or "")
        if own and (board.counted or room[own] > 0):
            assignments[board.name] = own
            room[own] -= not board.counted
        else:
            newcomers.append(board.name)

    open_to_all = sorted((own for own in family if not spread or own != name), key=_natural)
    places = [own for own in open_to_all for _place in range(room[own])]
    create = []
    for new in _new_names(name, family, spread=spread):
        if len(places) >= len(newcomers) or len(create) == certificates_left:
            break
        create.append(new)
        places += [new] * DEVICES_PER_CERTIFICATE
    if len(places) < len(newcomers):
        raise PelionError(_no_room(len(newcomers) - len(places), family, create, certificates_left, spread=spread))
    assignments.update(zip(newcomers, places, strict=False))
    return CertificatePlan(assignments, create)


def _new_names(name: str, family: Mapping[str, PlannedCertificate], *, spread: bool) -> Iterator[str]:
    if spread:
        numbers = {_number(name, member) for member in family}
        yield from (f"{name}-{number:02}" for number in count(1) if number not in numbers)
    elif not family:
        yield name


def _number(name: str, member: str) -> int | None:
    """The number of NAME-01, NAME-02, …; None for the name of another certificate."""
    match = re.fullmatch(re.escape(name) + "-([0-9]{2,})", member)
    return int(match[1]) if match else None


def _no_room(
    homeless: int,
    family: Mapping[str, PlannedCertificate],
    create: list[str],
    certificates_left: int,
    *,
    spread: bool,
) -> str:
    taken = [
        f"{c.name} has {c.devices} of {DEVICES_PER_CERTIFICATE} devices"
        + ("" if c.usable else " and is inactive or expired")
        for c in family.values()
    ]
    text = f"There is no room for {homeless} boards among the developer certificates ({'; '.join(taken) or 'none yet'})"
    if spread or (not family and not create):
        return (
            f"{text}, and the account may have {certificates_left} more. Delete certificates or devices that are "
            "no longer needed."
        )
    return (
        f"{text}. Spread the fleet over several certificates, use another certificate's name for some boards, "
        "or delete devices that are no longer needed."
    )


def _natural(text: str) -> list[tuple[int, int | str]]:
    """A sort key that puts board-10 behind board-9."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split("([0-9]+)", text)]
