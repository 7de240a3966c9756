# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a board takes updates: judged by what is known of it, without sending it anything.

A client decides by three things: the update certificate on the board, which counts byte for byte, the vendor and class
that it was given, and the version of the update that it took last. All of them can be known. That a board was seen to
take or refuse something is another kind of proof.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args

from ..cloud.api_answers import Device
from ..json_object import JsonObject
from ..reasons import Reason
from ..team.signers import Signer, Signers
from ..times import parse_time, time_text
from ..words import counted

Answer = Literal["yes", "no", "not_known"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
YES: Final = "yes"
NO: Final = "no"
NOT_KNOWN: Final = "not_known"

LONGEST_ABSENCE_DAYS = 90
"""How long a board may be switched off or out of reach where nobody says otherwise."""


@dataclass(frozen=True)
class Terms:
    """What a certificate's end is judged by: the time here (``now``), by how much that is ahead of the cloud's, within
    how many days an end counts as near, and for how many days a board may be away."""

    now: datetime
    ahead: timedelta = timedelta(0)
    warn_days: int = 30
    longest_absence_days: int = LONGEST_ABSENCE_DAYS

    def rotate_by(self, not_after: datetime) -> datetime:
        """The moment by which a rotation must begin, so that it reaches a board that is away for the longest time."""
        try:
            return not_after - timedelta(days=self.longest_absence_days)
        except OverflowError:
            return self.now

    def is_near(self, moment: datetime) -> bool:
        return moment - self.now < timedelta(days=self.warn_days)


@dataclass(frozen=True)
class Holding:
    """What a board was found to hold: its update certificate's SHA-256, None without one; by how much its clock is
    ahead of ours; and whether it is proven to have registered since its content was put there, so that the Device
    Directory has the ids that it holds now."""

    fingerprint: str | None
    ahead: timedelta = timedelta(0)
    registered_since: bool = False

    @classmethod
    def described(cls, update_certificate: Mapping[str, Any] | None, drift: int, registered_since: bool) -> Holding:
        """From a board's description of the certificate, and seconds."""
        fingerprint = (update_certificate or {}).get("fingerprint")
        return cls(fingerprint, timedelta(seconds=drift), registered_since)


@dataclass(frozen=True)
class Readiness:
    """Whether a board takes updates; ``reason`` (of READINESS_REASONS, or what else is wrong with the board) is why
    not, or why that is not known. ``rotate_by`` is when its certificate should be replaced at the latest."""

    answer: Answer
    reason: Reason | None = None
    rotate_by: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "answer": self.answer,
            "reason": self.reason.to_json() if self.reason else None,
            "rotate_by": time_text(self.rotate_by),
        }

    @classmethod
    def from_json(cls, found: Any) -> Readiness:
        """From what ``to_json`` made. Raises ValueError for anything else."""
        given = JsonObject(found)
        answer = next((answer for answer in ANSWERS if answer == given.text("answer")), None)
        if answer is None:
            raise ValueError("has no answer")
        why, rotate_by = given.mapping_or_none("reason"), given.text_or_none("rotate_by")
        return cls(answer, Reason.from_json(why) if why else None, parse_time(rotate_by) if rotate_by else None)


def readiness(
    held: Holding,
    signers: Signers | None,
    device: Device | None,
    terms: Terms,
    unregistered: Reason | None = None,
) -> Readiness:
    """Judge a board that holds all that it needs.

    ``signers`` are those of the team store, None where it could not be opened. ``unregistered`` is why a campaign does
    not reach the board, if it is known not to. ``device`` is None where the cloud was not asked. What speaks against
    the board comes before what is not known of it.
    """
    signer = signers.by_fingerprint.get(held.fingerprint or "") if signers else None
    rotate_by = terms.rotate_by(signer.not_after) if signer else None
    against = [*_about_certificate(held, signers, signer, terms)]
    if unregistered:
        against.append((NO, unregistered))
    elif device is None:
        against.append((NOT_KNOWN, Reason("cloud-not-asked")))
    elif signer:
        against += _about_device(held, signer, device, terms)
    for wanted in (NO, NOT_KNOWN):
        for answer, reason in against:
            if answer == wanted:
                return Readiness(answer, reason, rotate_by)
    return Readiness(YES, None, rotate_by)


def _about_certificate(
    held: Holding, signers: Signers | None, signer: Signer | None, terms: Terms
) -> Iterator[tuple[Answer, Reason]]:
    if held.fingerprint is None:
        yield NO, Reason("no-update-certificate")
    elif signers is None:
        yield NOT_KNOWN, Reason("store-not-opened")
    elif signers.locked:
        yield NOT_KNOWN, Reason("store-secret-wrong", {"text": signers.locked})
    elif signer is None:
        facts = {"fingerprint": held.fingerprint}
        yield (NO, Reason("not-our-certificate", facts)) if signers.whole else (NOT_KNOWN, Reason("store-not-whole"))
    else:
        named = {"update_resources": signer.name, "fingerprint": signer.fingerprint}
        if signer.former:
            yield NO, Reason("former-certificate", named)
        if signer.untried:
            yield NOT_KNOWN, Reason("key-not-tried", {**named, "text": signer.untried})
        elif signer.signs is None:
            yield NO, Reason("no-signing-key", named)
        elif not signer.signs:
            yield NO, Reason("key-does-not-sign", named)
        yield from _about_end(held, signer.not_after, terms)


def _about_end(held: Holding, not_after: datetime, terms: Terms) -> Iterator[tuple[Answer, Reason]]:
    facts = {"title": "update", "days": (not_after - terms.now).days, "not_after": time_text(not_after)}
    if max(terms.now, terms.now - terms.ahead) >= not_after:
        yield NO, Reason("certificate-ended", facts)
    elif terms.now + held.ahead >= not_after:
        yield NO, Reason("ended-by-its-clock", facts)
    elif terms.is_near(not_after):
        yield NO, Reason("certificate-ends", facts)


def _about_device(held: Holding, signer: Signer, device: Device, terms: Terms) -> Iterator[tuple[Answer, Reason]]:
    told = {"vendor_id": device.vendor_id, "device_class": device.device_class}
    wanted = {"vendor_id": signer.vendor_id, "device_class": signer.class_id}
    if None in told.values():
        yield NOT_KNOWN, Reason("ids-not-told")
    elif not held.registered_since:
        # What the directory has may be what the board held before.
        yield NOT_KNOWN, Reason("registration-older")
    elif told != wanted:
        facts = {f"wanted_{name}": value for name, value in wanted.items()}
        yield NO, Reason("other-ids", {**told, **facts, "update_resources": signer.name})
    version = device.manifest_timestamp
    if version and version >= terms.now:
        yield NO, Reason("version-ahead", {"version": time_text(version), "timestamp": int(version.timestamp())})


def rotations(held: Iterable[str | None], signers: Signers, terms: Terms) -> Iterator[str]:
    """A text for each certificate of which a rotation must begin soon: ``held`` are the boards' certificates. A board
    that comes back late must find a rotation under way while it still accepts it."""
    counts = Counter(held)
    for fingerprint, signer in signers.by_fingerprint.items():
        rotate_by = terms.rotate_by(signer.not_after)
        if counts[fingerprint] and terms.is_near(rotate_by):
            days = (rotate_by - terms.now).days
            when = f"in {counted(days, 'day')}" if days >= 0 else "which has passed"
            yield (
                f"The update certificate of {signer.name!r} ends on {signer.not_after:%Y-%m-%d}, and "
                f"{counted(counts[fingerprint], 'board')} {'holds' if counts[fingerprint] == 1 else 'hold'} it. A "
                f"board may be away for {counted(terms.longest_absence_days, 'day')} "
                "(provision_pelion_longest_absence_days), so run pelion.mbl.rotate by "
                f"{rotate_by:%Y-%m-%d}, {when}."
            )
