# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step of a run in which the boards' claims are proven, all together, and remembered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ..cloud.pelion_api import PelionApi
from ..credentials.update_resources import UpdateResources
from ..errors import PelionError
from ..reasons import Reason
from ..store.store import Store
from ..team.signers import Signers
from .answers import Answer, answer_of, odd_answers
from .identity import Identities
from .memory import note_update_proofs, read_fleet, remember
from .proof import Claim, Proof, prove, takes_updates
from .readiness import Readiness, Terms


@dataclass(frozen=True)
class Conclusion:
    """``unproven`` are the boards whose claim does not hold, and why; ``ready`` the others, which the team store
    remembers, and whether they take updates. ``former`` are names that are remembered no longer."""

    unproven: Mapping[str, Reason] = field(default_factory=dict)
    ready: Mapping[str, Readiness] = field(default_factory=dict)
    former: Collection[str] = ()


def claims_of(carried_out: Mapping[str, Mapping[str, Any]]) -> dict[str, Claim]:
    """Those in the results of carry_out."""
    return {name: Claim.from_json(name, done["claim"]) for name, done in carried_out.items() if "claim" in done}


def conclude(
    claims: Mapping[str, Claim],
    asked: Mapping[str, Mapping[str, Any]],
    team: Store,
    api: PelionApi | None,
    there: Collection[str],
    terms_at: Callable[[timedelta], Terms],
    warn: Callable[[str], None],
) -> Conclusion:
    """Ask the Device Directory, where there is an ``api``, and remember the boards that it bears out. ``asked``,
    ``there`` and ``terms_at``: see decide_for. Raises ApiError and StoreError."""
    if not claims:
        return Conclusion()
    # Boards without a claim tell by their keys that they are not the ones of their names any more. Of others, the claim
    # counts, which comes later.
    met = [answer.member(name).sighting for name, answer in _answers(asked)]
    sightings = [*met, *(claim.sighting for claim in claims.values())]
    remembered = read_fleet(team)
    identities = Identities.of(sightings, remembered, there, odd_answers(asked, remembered))
    proof = Proof({name: copy.reason for name, copy in identities.copies.items() if name in claims})
    if api:
        proof = prove(api, list(claims.values()), max(claim.timeout for claim in claims.values()), identities)
    proven = {
        name: identities.now(name, claim.dev_cert, claim.site)
        for name, claim in claims.items()
        if name not in proof.unproven
    }
    former: Collection[str] = identities.former_names(proven)
    try:
        injected = {name for name, claim in claims.items() if claim.injected}
        remember(team, proven, former, injected)
        note_update_proofs(team, dict.fromkeys(injected - proven.keys()))
    except PelionError as error:
        warn(str(error))
        former = ()
    signers = _signers(team, {claims[name].update_resources for name in proven}, warn)
    terms = terms_at(api.ahead if api else timedelta(0))
    ready = {name: takes_updates(claims[name], signers, proof.devices, terms) for name in proven}
    return Conclusion(proof.unproven, ready, former)


def _answers(asked: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Answer]]:
    for name, result in asked.items():
        if isinstance(answer := answer_of(result), Answer):
            yield name, answer


def _signers(team: Store, names: Iterable[str], warn: Callable[[str], None]) -> Signers | None:
    """What has just been put on boards was read a moment ago; who has removed it since is told by ``status``."""
    try:
        entries = {name: team.read(UpdateResources, name) for name in names}
    except PelionError as error:
        warn(str(error))
        return None
    return Signers.of((name, entry) for name, entry in entries.items() if entry)
