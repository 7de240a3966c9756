# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step of a run in which all boards are decided for, from what each answered when it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..cloud.pelion_api import PelionApi
from ..credentials.update_resources import UpdateResources
from ..errors import PelionError
from ..reasons import Reason
from ..store.store import Store
from .answers import Answer, Unasked, answer_of, odd_answers
from .decision import Decision, Fleet, decide, decide_and_reserve
from .gets import gets
from .memory import absent, read_fleet, remember
from .readiness import Terms
from .reasons import coded, failure
from .reservations import Reservations
from .stock import read_stock
from .updates import rotations_of, take_updates
from .wishes import UpdateWish


@dataclass(frozen=True)
class Decided:
    """A decision as a task's result; and the ``former`` names of boards that were renamed, which are remembered no
    longer."""

    result: dict[str, Any]
    former: Collection[str] = ()


def decide_for(
    asked: Mapping[str, Mapping[str, Any]],
    team: Store,
    api: PelionApi | None,
    read_src: Callable[[UpdateWish], UpdateResources],
    there: Collection[str],
    terms_at: Callable[[timedelta], Terms],
    warn: Callable[[str], None],
    *,
    dry_run: bool,
    only_look: bool = False,
    limited: bool = False,
    warn_days: int = 30,
) -> Decided:
    """Decide for the boards that were ``asked``, whose results these are. ``there`` are the names of all boards,
    ``terms_at`` gives the terms by how much this machine's clock is ahead of the cloud's. For ``read_src`` and ``api``
    see read_stock.

    Places are reserved, and boards that need nothing are remembered, but not in a ``dry_run``, nor for one who will
    ``only_look``. With ``limited``, not all boards were to be asked. Raises PelionError, also with the reason for which
    all boards are refused.
    """
    answers = {name: answer_of(result) for name, result in asked.items()}
    answered = {name: answer for name, answer in answers.items() if isinstance(answer, Answer)}
    unasked = {name: answer.problem for name, answer in answers.items() if isinstance(answer, Unasked)}
    require_one_team(answered)
    members = [answer.member(name) for name, answer in answered.items()]
    remembered = read_fleet(team)
    fleet = Fleet(members, remembered, unasked, there, odd_answers(asked, remembered))
    stock = read_stock(team, api, read_src, fleet.admitted, warn_days=warn_days)
    to_be_done = not (dry_run or only_look)
    if api:
        decision = decide_and_reserve(fleet, stock, Reservations(team), dry_run=not to_be_done)
    else:
        decision = decide(fleet, stock)
    for warning in decision.warnings:
        warn(warning)
    if refusal := decision.common_refusal:
        raise PelionError(str(decision.common_message()), **coded(refusal))
    terms = terms_at(api.ahead if api else timedelta(0))
    for warning in rotations_of(fleet, stock, terms):
        warn(warning)
    former = _remember(team, fleet, decision, warn) if to_be_done else ()
    ready = take_updates(fleet, stock, decision, terms)
    return Decided(
        {
            "parts": {name: part.to_json() for name, part in decision.parts.items()},
            "to_work_on": [] if only_look else [name for name, part in decision.parts.items() if not part.refused],
            "dev_certs": list(decision.dev_certs),
            "update_resources": [wish.arguments() for wish in decision.updates],
            "only_look": only_look,
            "gets": gets(fleet, stock, decision) if only_look else {},
            # Under a limit, nobody asked for all boards.
            "absent": [] if limited else _absent(fleet),
            "takes_updates": {name: found.to_json() for name, found in ready.items()},
        },
        former,
    )


def require_one_team(asked: Mapping[str, Answer]) -> None:
    """Stores and cloud are asked once for all, so they must be the same ones for all boards of a play."""
    teams = {json.dumps(answer.team, sort_keys=True): name for name, answer in asked.items()}
    if len(teams) > 1:
        (one, first), (other, second), *_more = teams.items()
        raise failure(Reason("different-teams", {"one": one, "first": first, "other": other, "second": second}))


def _absent(fleet: Fleet) -> list[str]:
    sites = {member.wishes.site for member in fleet.members}
    return sorted(absent(fleet.remembered, sites, fleet.there) - set(fleet.identities.renamed.values()))


def _remember(team: Store, fleet: Fleet, decision: Decision, warn: Callable[[str], None]) -> Collection[str]:
    proven = {
        member.name: fleet.identities.now(member.name, decision.proven[member.name], member.wishes.site)
        for member in fleet.members
        if member.name in decision.proven
    }
    former = fleet.identities.former_names(proven)
    try:
        remember(team, proven, former)
    except PelionError as error:
        warn(str(error))
        return ()
    return former
