# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet as it is now: what the boards answer, beside what the Device Directory and the fleet's memory say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..board import kcm
from ..board.description import BoardStatus
from ..cloud.api_answers import DeveloperCertificate, Device
from ..fleet.answers import is_another
from ..fleet.assignment import natural
from ..fleet.identity import MOST_NAMED, Identities, Sighting, changed_keys
from ..fleet.memory import Remembered, absent
from ..fleet.readiness import NO, NOT_KNOWN, Holding, Terms, readiness, rotations
from ..fleet.roster import KEY_PREFIX
from ..json_object import JsonObject
from ..reasons import Reason
from ..team.developer_certificates import DEVICES_PER_CERTIFICATE
from ..team.known_certificates import without_key
from ..team.signers import Signers
from ..times import parse_time, time_text
from ..words import counted, some
from .entries import (
    ATTENTION,
    FAILED,
    MISSING,
    NOT_REACHED,
    OK,
    BoardReport,
    HeldCertificate,
    Place,
    Report,
    TakesUpdates,
)
from .failure import Failure

Answer = BoardStatus | Failure | None
"""What came of asking a board; None when nobody asked it."""


def read_answer(result: Mapping[str, Any]) -> Answer:
    """From the result of pelion.mbl.mbl_pelion_status, that of a board that failed or could not be reached included.

    Raises ValueError for one that is damaged.
    """
    JsonObject(result)
    if not result:
        return None
    if "failure" in result:
        return Failure.from_json(JsonObject(result).mapping("failure"))
    status = None if result.get("unreachable") else BoardStatus.from_json(result)
    return status or Failure.from_json(result)


@dataclass(frozen=True)
class Fleet:
    """What status_report puts together.

    ``addresses`` are the boards' addresses. ``inventory`` are the names of all hosts there, so that a board left out
    by a limit is not missing. ``signers`` are those of the team store, None where it could not be opened. ``devices``
    are None where the cloud was not asked. With ``site``, remembered boards of other sites are not expected. ``proofs``
    are when boards themselves last proved that they take updates.
    """

    answers: Mapping[str, Answer]
    addresses: Mapping[str, str] = field(default_factory=dict)
    inventory: Collection[str] = ()
    roster: Collection[str] = ()
    remembered: Mapping[str, Remembered] = field(default_factory=dict)
    devices: Sequence[Device] | None = None
    certificates: Sequence[DeveloperCertificate] = ()
    site: str = ""
    signers: Signers | None = None
    proofs: Mapping[str, str] = field(default_factory=dict)


def held_update_certificate(answer: Answer) -> str | None:
    """The SHA-256 of the update certificate that a board was found to hold; None without one, or without its answer."""
    held = answer.update_certificate if isinstance(answer, BoardStatus) else None
    return held["fingerprint"] if held else None


def status_report(fleet: Fleet, terms: Terms, *, playbook: str, problems: Iterable[str] = ()) -> Report:
    """Judge each board of ``fleet`` as it is now, and name the boards that are expected and absent."""
    judge = _Judge(fleet, terms)
    boards = [judge.board(name) for name in sorted(fleet.answers, key=natural)]
    # An entry of a roster is a name, fingerprints, or a name with fingerprints behind it.
    words = (word for entry in fleet.roster for word in entry.split())
    there = {*fleet.inventory, *fleet.answers}
    missing = absent(fleet.remembered, [fleet.site], there)
    missing |= {word for word in words if not word.startswith(KEY_PREFIX)} - there
    missing -= set(judge.renamed.values())
    boards += [judge.missing(name) for name in sorted(missing, key=natural)]
    counts = Counter(device.certificate_id for device in fleet.devices or ())
    places = [
        Place(c.name, counts[c.id], DEVICES_PER_CERTIFICATE, c.status, time_text(c.not_after) or "")
        for c in sorted(fleet.certificates, key=lambda certificate: natural(certificate.name))
    ]
    warnings = (
        *judge.changed(),
        *judge.strays(),
        *(_warnings(boards, fleet.signers, terms) if fleet.signers else ()),
    )
    return Report(playbook, time_text(terms.now) or "", boards, places, tuple(problems), warnings=warnings)


def _warnings(boards: Iterable[BoardReport], signers: Signers, terms: Terms) -> Iterator[str]:
    """A text for each certificate that ``boards`` hold and that nobody can sign for, or that must soon be replaced."""
    held = Counter(board.update_certificate.fingerprint for board in boards if board.update_certificate)
    for fingerprint, name in signers.without_key.items():
        if count := held[fingerprint]:
            yield without_key(name, counted(count, "board"))
    yield from rotations(held.elements(), signers, terms)


class _Judge:
    def __init__(self, fleet: Fleet, terms: Terms) -> None:
        self._fleet = fleet
        self._terms = terms
        self._devices = {device.id: device for device in fleet.devices or ()}
        self._names = {certificate.fingerprint: certificate.name for certificate in fleet.certificates}
        sightings = (_sighting(name, answer) for name, answer in fleet.answers.items())
        odd = {name: () for name, answer in fleet.answers.items() if _is_another(name, answer, fleet.remembered)}
        self._identities = Identities.of(sightings, fleet.remembered, fleet.inventory, odd)
        self.renamed = {**dict(self._by_device_id()), **self._identities.renamed}
        """Boards that the team knows under another name, by their ssh host keys or device IDs; with that name."""

    def board(self, name: str) -> BoardReport:
        answer = self._fleet.answers[name]
        before = self._before(name)
        told = replace(
            self._judge(name, answer),
            address=self._fleet.addresses.get(name),
            device_id=self._device_id(name),
            last_seen=before.seen if before else None,
            site=self._fleet.site or (before.site if before else "") or None,
        )
        told = replace(told, takes_updates=self._takes_updates(name, answer, told))
        if not isinstance(answer, BoardStatus):
            return told
        device = self._device(name)
        return replace(
            told,
            state=device.state if device else "configured" if answer.configured else "not configured",
            developer_certificate=self._held(answer.developer_certificate),
            update_certificate=self._held(answer.update_certificate),
            last_registration=answer.last_registration,
            last_seen=time_text(self._terms.now),
        )

    def changed(self) -> Iterator[str]:
        """A text on boards with other ssh host keys than the team remembers, which are other boards or anew."""
        names = [name for name in self._identities.sightings if self._identities.is_changed(name)]
        if names:
            yield changed_keys(sorted(names, key=natural))

    def strays(self) -> Iterator[str]:
        """A text for each of the fleet's developer certificates that has devices of no board: each takes a place."""
        remembered = self._fleet.remembered.values()
        known = {before.device_id for before in remembered} | {self._device_id(name) for name in self._fleet.answers}
        ours = {before.certificate for before in remembered}
        found: dict[str | None, list[str]] = defaultdict(list)
        for device in self._fleet.devices or ():
            if device.id not in known:
                found[device.certificate_id].append(device.id)
        for certificate in self._fleet.certificates:
            ids = found[certificate.id]
            if ids and certificate.name in ours:
                yield (
                    f"Devices of the certificate {certificate.name} that are of no board which the team knows, and "
                    f"that take places: {some(ids, MOST_NAMED)}. A run that is under way may be about to note them. "
                    "Remove those that nobody uses: `ansible localhost -m pelion.mbl.pelion_device -a 'ids=ID "
                    "state=absent'`."
                )

    def missing(self, name: str) -> BoardReport:
        before = self._fleet.remembered.get(name)
        if before is None:
            told = BoardReport.because(name, MISSING, Reason("missing-from-roster"))
            return replace(
                told, site=self._fleet.site or None, takes_updates=TakesUpdates.as_the_board(NOT_KNOWN, told)
            )
        told = BoardReport.because(name, MISSING, Reason("missing", {"board": name, "last_seen": before.seen}))
        device = self._devices.get(before.device_id or "")
        return replace(
            told,
            takes_updates=TakesUpdates.as_the_board(NOT_KNOWN, told),
            device_id=before.device_id,
            state=device.state if device else None,
            last_seen=before.seen,
            site=before.site or self._fleet.site or None,
        )

    def _before(self, name: str) -> Remembered | None:
        """What the team remembers of the board, under whatever name."""
        former = self.renamed.get(name)
        return self._fleet.remembered[former] if former else self._identities.before(name)

    def _device_id(self, name: str) -> str | None:
        """As the board says, else as it was when it was last proven."""
        told, before = self._identities.sightings[name].device_id, self._before(name)
        return told or (before.device_id if before else None)

    def _device(self, name: str) -> Device | None:
        return self._devices.get(self._device_id(name) or "")

    def _held(self, description: Mapping[str, Any] | None) -> HeldCertificate | None:
        held = HeldCertificate.described(description)
        return replace(held, name=self._names.get(held.fingerprint, held.name)) if held else None

    def _judge(self, name: str, answer: Answer) -> BoardReport:
        if answer is None:
            return BoardReport.because(name, FAILED, Reason("not-asked"))
        if isinstance(answer, Failure):
            return answer.report(name)
        why = unprovisioned(answer) or self._copied(name)
        if why:
            return BoardReport.because(name, ATTENTION, why)
        why = self._not_registered(name, answer)
        if why:
            return _with_the_clients_word(BoardReport.because(name, ATTENTION, why), answer)
        why = self._other_name(name) or self._ending(answer)
        return BoardReport.because(name, ATTENTION, why) if why else BoardReport(name, OK)

    def _takes_updates(self, name: str, answer: Answer, told: BoardReport) -> TakesUpdates:
        if not isinstance(answer, BoardStatus) or self._copied(name):
            return TakesUpdates.as_the_board(NOT_KNOWN, told)
        if unprovisioned(answer):
            return TakesUpdates.as_the_board(NO, told)
        held = Holding.described(answer.update_certificate, answer.clock_drift, answer.registered_since_injection)
        found = readiness(
            held, self._fleet.signers, self._device(name), self._terms, self._not_registered(name, answer)
        )
        return TakesUpdates.of(found, self._fleet.proofs.get(name))

    def _copied(self, name: str) -> Reason | None:
        copy = self._identities.copies.get(name)
        return copy.reason if copy else None

    def _other_name(self, name: str) -> Reason | None:
        former = self.renamed.get(name)
        if former is None:
            return None
        shared = "ssh host key" if name in self._identities.renamed else "device ID"
        return Reason("renamed", {"former": former, "shared": shared})

    def _by_device_id(self) -> Iterator[tuple[str, str]]:
        """Of boards whose former names nobody has now."""
        gone = {
            board.device_id: name
            for name, board in self._fleet.remembered.items()
            if board.device_id and name not in self._fleet.answers and name not in self._fleet.inventory
        }
        for name, answer in self._fleet.answers.items():
            told = answer.device_id if isinstance(answer, BoardStatus) else None
            before = self._fleet.remembered.get(name)
            if told in gone and (before is None or before.device_id != told):
                yield name, gone[told]

    def _not_registered(self, name: str, answer: BoardStatus) -> Reason | None:
        if self._fleet.devices is None:
            return Reason("client-not-registered") if answer.registered is False else None
        if self._device_id(name) is None:
            return Reason("device-id-unknown")
        device = self._device(name)
        if device is None:
            return Reason("device-gone")
        if device.suspended:
            return Reason("device-suspended")
        return None if device.state == "registered" else Reason("device-not-registered", {"state": device.state})

    def _ending(self, answer: BoardStatus) -> Reason | None:
        for title, held in (("developer", answer.developer_certificate), ("update", answer.update_certificate)):
            if held and held.get("not_after"):
                days = (parse_time(held["not_after"]) - self._terms.now).days
                if days < self._terms.warn_days:
                    code = "certificate-ends" if days >= 0 else "certificate-ended"
                    return Reason(
                        code,
                        {"title": title, "days": days, "not_after": held["not_after"]},
                    )
        return None


def unprovisioned(answer: BoardStatus) -> Reason | None:
    """Why a board does not hold what a provisioned one does, whole."""
    if answer.interrupted:
        return Reason("interrupted")
    if kcm.is_empty(answer.missing_items) and not answer.configured:
        return Reason("holds-no-credentials")
    if answer.missing_items and not answer.configured:
        return Reason("lacks-credentials", {"items": ", ".join(answer.missing_items)})
    if answer.damaged_items:
        return Reason("damaged", {"items": ", ".join(answer.damaged_items)})
    return None if answer.configured else Reason("not-provisioned")


def not_yet_judged(name: str, result: Mapping[str, Any]) -> BoardReport | None:
    """What is to be said of a board by its own answer alone, before it was judged with cloud and store; None where the
    ``result`` is not that of pelion.mbl.mbl_pelion_status."""
    try:
        answer = BoardStatus.from_json(result)
    except ValueError:
        return None
    if answer is None:
        return None
    why = unprovisioned(answer)
    return BoardReport.because(name, ATTENTION if why else NOT_REACHED, why or Reason("not-judged"))


def _sighting(name: str, answer: Answer) -> Sighting:
    if isinstance(answer, BoardStatus):
        return Sighting(name, tuple(answer.host_keys), answer.device_id, answer.bootstrapped)
    keys = answer.host_keys if answer else ()
    return Sighting(name, keys, by_name=not keys)  # as Identities takes odd machines


def _is_another(name: str, answer: Answer, remembered: Mapping[str, Remembered]) -> bool:
    return isinstance(answer, Failure) and answer.unreachable and is_another(name, answer.said, remembered)


def _with_the_clients_word(told: BoardReport, answer: BoardStatus) -> BoardReport:
    """Why a board is not registered, its client knows best; that somebody suspended the device, it does not."""
    error = answer.client_error_meaning or answer.client_error
    if not error or told.code == "device-suspended":
        return told
    return replace(
        told,
        reason=f"{told.reason} Its client says: {error}.",
        facts={**told.facts, "client_error": answer.client_error},
    )
