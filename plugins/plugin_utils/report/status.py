# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet as it is now: what the boards answer, beside what the Device Directory and the fleet's memory say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..board import kcm
from ..cloud.api_answers import DeveloperCertificate, Device
from ..fleet.assignment import natural
from ..fleet.memory import Remembered, absent
from ..fleet.roster import KEY_PREFIX
from ..team.developer_certificates import DEVICES_PER_CERTIFICATE
from ..times import parse_time, time_text
from .report import ATTENTION, FAILED, MISSING, OK, UNREACHABLE, BoardReport, HeldCertificate, Place, Report
from .unreachable import explain

PROVISION = "Run pelion.mbl.provision for it."


@dataclass(frozen=True)
class Fleet:
    """What status_report puts together.

    ``answers`` are the results of pelion.mbl.mbl_pelion_status by board, those of boards that failed or could
    not be reached included; ``addresses`` the boards' addresses. ``inventory`` are the names of all hosts there,
    so that a board left out by a limit is not missing. ``devices`` are None where the cloud was not asked. With
    ``site``, remembered boards of other sites are not expected.
    """

    answers: Mapping[str, Mapping[str, Any]]
    addresses: Mapping[str, str] = field(default_factory=dict)
    inventory: Collection[str] = ()
    roster: Collection[str] = ()
    remembered: Mapping[str, Remembered] = field(default_factory=dict)
    devices: Sequence[Device] | None = None
    certificates: Sequence[DeveloperCertificate] = ()
    site: str = ""


def status_report(
    fleet: Fleet, now: datetime, *, playbook: str, warn_days: int = 30, problems: Iterable[str] = ()
) -> Report:
    """Judge each board of ``fleet``, and name the boards that are expected and absent."""
    judge = _Judge(fleet, now, warn_days)
    boards = [judge.board(name) for name in sorted(fleet.answers, key=natural)]
    # An entry of a roster is a name, fingerprints, or a name with fingerprints behind it.
    words = (word for entry in fleet.roster for word in entry.split())
    there = {*fleet.inventory, *fleet.answers}
    missing = absent(fleet.remembered, [fleet.site], there)
    missing |= {word for word in words if not word.startswith(KEY_PREFIX)} - there
    boards += [judge.missing(name) for name in sorted(missing, key=natural)]
    counts = Counter(device.certificate_id for device in fleet.devices or ())
    places = [
        Place(c.name, counts[c.id], DEVICES_PER_CERTIFICATE, c.status, time_text(c.not_after) or "")
        for c in sorted(fleet.certificates, key=lambda certificate: natural(certificate.name))
    ]
    return Report(playbook, time_text(now) or "", boards, places, tuple(problems))


class _Judge:
    def __init__(self, fleet: Fleet, now: datetime, warn_days: int) -> None:
        self._fleet = fleet
        self._now = now
        self._warn_days = warn_days
        self._devices = {device.id: device for device in fleet.devices or ()}
        self._names = {certificate.fingerprint: certificate.name for certificate in fleet.certificates}
        ids = [self._device_id(name) for name in fleet.answers]
        self._claims = Counter(device_id for device_id in ids if device_id)

    def board(self, name: str) -> BoardReport:
        answer = self._fleet.answers[name]
        device_id = self._device_id(name)
        device = self._devices.get(device_id or "")
        before = self._fleet.remembered.get(name)
        answered = "configured" in answer and not answer.get("unreachable")
        outcome, reason, next_step = self._outcome(name, answer, device_id, device)
        return BoardReport(
            name,
            outcome,
            reason,
            next_step,
            address=self._fleet.addresses.get(name),
            device_id=device_id,
            state=_state(answer, device) if answered else None,
            developer_certificate=self._held(answer.get("developer_certificate")),
            update_certificate=self._held(answer.get("update_certificate")),
            last_registration=answer.get("last_registration"),
            last_seen=time_text(self._now) if answered else before and before.seen,
            site=self._fleet.site or (before and before.site) or None,
        )

    def missing(self, name: str) -> BoardReport:
        before = self._fleet.remembered.get(name)
        device = self._devices.get((before and before.device_id) or "")
        return BoardReport(
            name,
            MISSING,
            "The inventory does not have it" + (f"; it was last seen at {before.seen}." if before else "."),
            f"Switch it on and connect it. If it is gone for good, run pelion.mbl.remove_gone with -e boards={name}."
            if before
            else "Switch it on and connect it, or take it off the roster.",
            device_id=before and before.device_id,
            state=device and device.state,
            last_seen=before and before.seen,
            site=(before and before.site) or self._fleet.site or None,
        )

    def _device_id(self, name: str) -> str | None:
        """As the board tells it, else as it was when it was last proven."""
        before = self._fleet.remembered.get(name)
        return self._fleet.answers[name].get("device_id") or (before and before.device_id)

    def _held(self, facts: Mapping[str, Any] | None) -> HeldCertificate | None:
        if not facts:
            return None
        name = self._names.get(facts["fingerprint"]) or facts.get("common_name")
        return HeldCertificate(facts["fingerprint"], name, facts.get("not_after"))

    def _outcome(
        self, name: str, answer: Mapping[str, Any], device_id: str | None, device: Device | None
    ) -> tuple[str, str, str]:
        """Outcome, reason and next step."""
        said = str(answer.get("msg", ""))
        if answer.get("unreachable"):
            return UNREACHABLE, *explain(name, said)
        if "configured" not in answer:
            return FAILED, said or "It was not asked.", "Mend what it says, and look again."
        if answer.get("interrupted"):
            return ATTENTION, "Provisioning was cut off on it.", PROVISION
        if not answer["configured"]:
            return ATTENTION, f"It is not provisioned{_lack(answer.get('missing_items') or ())}.", PROVISION
        if device_id and self._claims[device_id] > 1:
            return (
                ATTENTION,
                f"Another board says that it is device {device_id}, too.",
                "Was one copied from the other?",
            )
        return self._not_registered(answer, device_id, device) or self._ending(answer) or (OK, "", "")

    def _not_registered(
        self, answer: Mapping[str, Any], device_id: str | None, device: Device | None
    ) -> tuple[str, str, str] | None:
        error = answer.get("client_error_meaning") or answer.get("client_error")
        says = f" Its client says: {error}." if error else ""
        if self._fleet.devices is None:
            if answer.get("registered") is not False:
                return None
            return ATTENTION, f"It is not registered.{says}", PROVISION
        if device_id is None:
            return ATTENTION, f"Its device id is not known.{says}", PROVISION
        if device is None:
            return ATTENTION, f"The Device Directory does not have its device.{says}", PROVISION
        if device.suspended:
            return (
                ATTENTION,
                "Somebody suspended it in the Device Directory.",
                "pelion.mbl.pelion_device with suspended: false lets it connect again.",
            )
        if device.state != "registered":
            return ATTENTION, f"The Device Directory has it as {device.state}.{says}", PROVISION
        return None

    def _ending(self, answer: Mapping[str, Any]) -> tuple[str, str, str] | None:
        for title in ("developer", "update"):
            facts = answer.get(f"{title}_certificate") or {}
            if facts.get("not_after"):
                days = (parse_time(facts["not_after"]) - self._now).days
                if days < self._warn_days:
                    when = f"ends in {days} days" if days >= 0 else "has ended"
                    return (
                        ATTENTION,
                        f"Its {title} certificate {when} ({facts['not_after']}).",
                        "Run pelion.mbl.rotate for its fleet.",
                    )
        return None


def _lack(missing: Collection[str]) -> str:
    if kcm.is_empty(missing):
        return ": it holds none of the credentials"
    return f": it lacks {', '.join(missing)}" if missing else ""


def _state(answer: Mapping[str, Any], device: Device | None) -> str:
    if device is not None:
        return device.state
    return "configured" if answer["configured"] else "not configured"
