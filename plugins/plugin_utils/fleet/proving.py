# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Having boards themselves prove that they take updates: which are asked, together with which, and what they said.

All boards with the same certificate and ids are asked by one update campaign (see probing). None is asked of which it
is known that it takes no updates, that an update is under way on it, or that it is in another campaign.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from ..board.description import BoardStatus
from ..cloud.api_answers import DEVELOPER_MODE, Device
from ..cloud.pelion_api import PelionApi
from ..cloud.update_answers import Campaign, Manifest
from ..credentials.update_manifest import make_counterpart, make_probe
from ..credentials.update_resources import UpdateResources
from ..reasons import Reason
from ..team.signers import Signers
from ..times import time_text
from .identity import MOST_NAMED, Copied
from .probing import Told, Warn, is_left_over, occupied, remove_left_overs, send_probe, updating
from .readiness import Holding, Terms, readiness
from .update_proof import UpdateProof
from .update_results import LOGGED, PROVEN, reason_for

LONGEST_UPDATE = timedelta(days=8)
"""Clients try for up to seven days to fetch an update."""

Outcome = Literal["proven", "refused", "not_known", "not_asked"]


@dataclass(frozen=True)
class Candidate:
    """A board that may be asked: what it was found to hold, its device id, and the proof that the team remembers.
    ``obstacle`` is why it cannot be asked, as far as the board's own state says so."""

    board: str
    held: Holding
    device_id: str | None = None
    proof: UpdateProof | None = None
    obstacle: Reason | None = None

    @classmethod
    def of(cls, board: str, status: BoardStatus, proof: UpdateProof | None) -> Candidate:
        """A board by what it was found to hold."""
        held = Holding.described(status.update_certificate, status.clock_drift, status.registered_since_injection)
        obstacle = Reason("interrupted") if status.interrupted else None
        if not status.configured and held.fingerprint:
            obstacle = obstacle or Reason("not-provisioned")
        return cls(board, held, status.device_id, proof, obstacle)


@dataclass(frozen=True)
class Verdict:
    """What came of a board. ``result`` is what it answered (/10252/0/3), ``reason`` why it is not proven, ``proof``
    the proof of one that is; ``asked``, whether that is of this run."""

    outcome: Outcome
    result: int | None = None
    reason: Reason | None = None
    proof: UpdateProof | None = None
    asked: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "result": self.result,
            "reason": self.reason.code if self.reason else None,
            "reason_facts": dict(self.reason.facts) if self.reason else {},
            "proven_at": self.proof.proven_at if self.proof else None,
            "asked": self.asked,
        }


@dataclass(frozen=True)
class Question:
    """Boards with their device ids, all of which hold ``resources``, those of the entry ``name`` of the store."""

    name: str
    resources: UpdateResources
    boards: Mapping[str, str]

    @property
    def facts(self) -> dict[str, str]:
        return {
            "update_resources": self.name,
            "fingerprint": self.resources.fingerprint,
            "vendor_id": self.resources.vendor_id.hex,
            "class_id": self.resources.class_id.hex,
        }

    def ask(
        self, api: PelionApi, timeout: int, now: datetime, warn: Warn, *, counterpart: bool = False
    ) -> dict[str, Verdict]:
        """What the boards said. With ``counterpart``, those that took the probe are asked once more, with one that
        nobody can take. Raises ApiError."""
        told = send_probe(api, make_probe(self.resources), list(self.boards.values()), timeout, warn)
        proof = UpdateProof.of(self.resources, time_text(now) or "")
        said = {board: self._verdict(told, device_id, timeout, proof) for board, device_id in self.boards.items()}
        proven = {board: self.boards[board] for board, verdict in said.items() if verdict.outcome == "proven"}
        if counterpart and proven:
            told = send_probe(api, make_counterpart(self.resources), list(proven.values()), timeout, warn)
            for board, device_id in proven.items():
                if told.results.get(device_id) == PROVEN:
                    said[board] = Verdict("not_known", PROVEN, Reason("says-yes-to-all"), asked=True)
                elif device_id not in told.results:
                    warn(f"{board} took the probe, and gave no answer to one that nobody can take.")
        return said

    def _verdict(self, told: Told, device_id: str, timeout: int, proof: UpdateProof) -> Verdict:
        result = told.results.get(device_id)
        if result is not None:
            reason = reason_for(result, self.facts)
            if reason is None:
                return Verdict("proven", result, proof=proof, asked=True)
            known: Outcome = "not_known" if reason.code in ("answer-ambiguous", "other-result") else "refused"
            return Verdict(known, result, reason, asked=True)
        if device_id in told.skipped:
            reason = Reason("probe-skipped", {"event": told.skipped[device_id]})
        elif told.why_stopped:
            reason = Reason("campaign-stopped", {"why": told.why_stopped})
        else:
            facts = {"seconds": timeout, "deployment": told.deployments.get(device_id, "not known")}
            reason = Reason("probe-unanswered", facts)
        return Verdict("not_known", reason=reason, asked=True)


@dataclass(frozen=True)
class Inquiry:
    """What is to be done: the ``questions``, and the ``settled`` boards, which are not asked. ``left_over`` are the
    names of what a killed run left at the service."""

    questions: Sequence[Question]
    settled: Mapping[str, Verdict]
    left_over: Sequence[str] = field(default_factory=list)
    _campaigns: Sequence[Campaign] = ()
    _manifests: Sequence[Manifest] = ()

    @property
    def obstacles(self) -> dict[str, Reason]:
        """Why boards are not asked, but for those whose proof stands."""
        return {board: verdict.reason for board, verdict in self.settled.items() if verdict.reason}

    def campaigns(self, *, counterpart: bool) -> int:
        """How many campaigns the questions take, at most."""
        return len(self.questions) * (2 if counterpart else 1)

    def clear(self, api: PelionApi) -> None:
        """Remove what a killed run left. Raises ApiError."""
        remove_left_overs(api, self._campaigns, self._manifests)


def inquire(
    api: PelionApi,
    candidates: Sequence[Candidate],
    entries: Iterable[tuple[str, UpdateResources]],
    terms_at: Callable[[timedelta], Terms],
    *,
    whole: bool = True,
    again: bool = False,
) -> Inquiry:
    """Read what must be known of the cloud, and decide who is asked. ``entries`` are the store's, with their names;
    ``whole`` tells whether they are all of it. ``terms_at`` gives the terms by how much this machine's clock is ahead
    of the cloud's. Without ``again``, boards whose proof stands are not asked.

    Makes four calls, one more for each further 1000 devices, campaigns, manifests or events of a week, and one for
    each other active campaign. Changes nothing. Raises ApiError.
    """
    kept = list(entries)
    signers = Signers.of(kept, whole=whole)
    campaigns, manifests = api.campaigns(), api.manifests()
    terms = terms_at(api.ahead)
    names = [*(campaign.name for campaign in campaigns), *(manifest.name for manifest in manifests)]
    left_over = [name for name in dict.fromkeys(names) if is_left_over(name)]
    devices = {device.id: device for device in api.devices({"device_execution_mode__eq": DEVELOPER_MODE})}
    elsewhere = occupied(api, (campaign for campaign in campaigns if not is_left_over(campaign.name)))
    states = updating(api, terms.now - terms.ahead - LONGEST_UPDATE)
    claims = Counter(candidate.device_id for candidate in candidates)

    settled: dict[str, Verdict] = {}
    boards: dict[str, dict[str, str]] = {}
    for candidate in candidates:
        why = _copied(candidate, candidates, claims) or _why_not(candidate, signers, devices, terms)
        held, device_id = candidate.held.fingerprint or "", candidate.device_id or ""
        if why is None and device_id in elsewhere:
            why = Reason("in-another-campaign", {"campaign": elsewhere[device_id]})
        elif why is None and device_id in states:
            why = Reason("update-under-way", {"state": states[device_id]})
        if why:
            settled[candidate.board] = Verdict("not_asked", reason=why)
        elif candidate.proof and not again and candidate.proof.is_of(_resources(kept, signers, held)):
            settled[candidate.board] = Verdict("proven", proof=candidate.proof)
        else:
            boards.setdefault(held, {})[candidate.board] = device_id
    questions = [
        Question(signers.by_fingerprint[held].name, _resources(kept, signers, held), asked)
        for held, asked in boards.items()
    ]
    return Inquiry(questions, settled, left_over, campaigns, manifests)


def _why_not(candidate: Candidate, signers: Signers, devices: Mapping[str, Device], terms: Terms) -> Reason | None:
    """Why a board cannot be asked, or need not be, since it takes no updates."""
    if candidate.obstacle:
        return candidate.obstacle
    device = devices.get(candidate.device_id or "")
    return readiness(candidate.held, signers, device, terms, _unregistered(candidate, device)).reason


def _unregistered(candidate: Candidate, device: Device | None) -> Reason | None:
    if candidate.device_id is None:
        return Reason("device-id-unknown")
    if device is None:
        return Reason("device-gone")
    if device.suspended:
        return Reason("device-suspended")
    return None if device.state == "registered" else Reason("device-not-registered", {"state": device.state})


def _copied(candidate: Candidate, candidates: Iterable[Candidate], claims: Mapping[str | None, int]) -> Reason | None:
    device_id = candidate.device_id
    if device_id is None or claims[device_id] < 2:
        return None
    others = [other.board for other in candidates if other.device_id == device_id and other is not candidate]
    return Copied(tuple(others[:MOST_NAMED]), f"device ID ({device_id})").reason


def _resources(entries: Iterable[tuple[str, UpdateResources]], signers: Signers, fingerprint: str) -> UpdateResources:
    """Those that the signer of the certificate stands for, with the key that one of the entries has."""
    signer = signers.by_fingerprint[fingerprint]
    held = [(name, one) for name, entry in entries for one in entry.all_held if one.fingerprint == fingerprint]
    key = next(one.private_key for _name, one in held if one.private_key)
    meant = next(
        one for _name, one in held if (one.vendor_id.hex, one.class_id.hex) == (signer.vendor_id, signer.class_id)
    )
    return replace(meant, private_key=key)


def proofs_of(verdicts: Mapping[str, Verdict]) -> Iterator[tuple[str, UpdateProof | None]]:
    """What the team is to remember of boards that answered: a proof, or, after another answer, that there is none."""
    for board, verdict in verdicts.items():
        if verdict.outcome == "refused" or verdict.result == PROVEN:
            yield board, verdict.proof


def proven_by_log(verdict: Mapping[str, Any], log: Iterable[Mapping[str, Any]], now: datetime) -> UpdateProof | None:
    """The proof of a board whose answer means several things, as ``verdict`` (see Verdict.to_json) has it, and whose
    ``log`` since it was asked (``code`` of each of its words on updates) tells which of them it was; else None."""
    if verdict.get("reason") != "answer-ambiguous" or LOGGED not in [line.get("code") for line in log]:
        return None
    facts = verdict["reason_facts"]
    return UpdateProof(facts["fingerprint"], facts["vendor_id"], facts["class_id"], time_text(now) or "")
