# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ..plugin_utils.credentials.update_resources import UpdateResources
from ..plugin_utils.errors import PelionError
from ..plugin_utils.fleet.answers import Answer, Unasked, answer_of
from ..plugin_utils.fleet.decision import Decision, Fleet, decide, decide_and_reserve
from ..plugin_utils.fleet.gets import gets
from ..plugin_utils.fleet.memory import absent, read_fleet, remember
from ..plugin_utils.fleet.reasons import coded, failure
from ..plugin_utils.fleet.reservations import Reservations
from ..plugin_utils.fleet.stock import read_stock
from ..plugin_utils.fleet.updates import rotations_of, take_updates
from ..plugin_utils.fleet.wishes import UpdateWish
from ..plugin_utils.reasons import Reason
from ..plugin_utils.store.store import Store
from ..plugin_utils.task.fleet_action import FleetAction
from ..plugin_utils.task.given_files import read_update_resources
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.readiness_options import TERMS_ARGUMENTS, terms_of
from ..plugin_utils.task.seen_boards import miss_no_longer
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(FleetAction):
    BYPASS_HOST_LOOP = True  # see pelion_fleet_check
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        "asked": {"type": "dict", "required": True},
        "verify": {"type": "bool", "default": True},
        **TERMS_ARGUMENTS,
        "only_look": {"type": "bool", "default": False},
    }

    def take_step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        answers = {name: answer_of(result) for name, result in arguments["asked"].items()}
        asked = {name: answer for name, answer in answers.items() if isinstance(answer, Answer)}
        unasked = {name: answer.problem for name, answer in answers.items() if isinstance(answer, Unasked)}
        require_one_team(asked)
        stores = open_stores(self, arguments)
        fleet = Fleet(
            [answer.member(name) for name, answer in asked.items()],
            read_fleet(stores.team),
            unasked,
            set(self._task_vars["groups"]["all"]),
        )
        with open_api(self, arguments, stores) if arguments["verify"] else contextlib.nullcontext() as api:
            stock = read_stock(stores.team, api, self._read_src, fleet.admitted, warn_days=arguments["warn_days"])
            ahead = api.ahead if api else timedelta(0)
        to_be_done = not (self.check_mode or arguments["only_look"])
        if api:
            decision = decide_and_reserve(fleet, stock, Reservations(stores.team), dry_run=not to_be_done)
        else:
            decision = decide(fleet, stock)
        for warning in decision.warnings:
            self.warn(warning)
        if refusal := decision.common_refusal:
            raise PelionError(decision.common_message(), **coded(refusal))
        terms = terms_of(arguments, ahead)
        for warning in rotations_of(fleet, stock, terms):
            self.warn(warning)
        if to_be_done:
            self._remember(stores.team, fleet, decision)
        return {
            "changed": False,
            "parts": {name: part.to_json() for name, part in decision.parts.items()},
            "to_work_on": []
            if arguments["only_look"]
            else [n for n, part in decision.parts.items() if not part.refused],
            "dev_certs": list(decision.dev_certs),
            "update_resources": [wish.arguments() for wish in decision.updates],
            "only_look": arguments["only_look"],
            "gets": gets(fleet, stock, decision) if arguments["only_look"] else {},
            "absent": self._absent(fleet),
            "takes_updates": {
                name: found.to_json() for name, found in take_updates(fleet, stock, decision, terms).items()
            },
        }

    def _absent(self, fleet: Fleet) -> list[str]:
        # Under a limit, nobody asked for all boards.
        if self._task_vars.get("ansible_limit"):
            return []
        sites = {member.wishes.site for member in fleet.members}
        return sorted(absent(fleet.remembered, sites, fleet.there) - set(fleet.identities.renamed.values()))

    def _read_src(self, wish: UpdateWish) -> UpdateResources:
        options = ("provision_pelion_update_src", "provision_pelion_update_private_key_src")
        return read_update_resources(self, wish.src, wish.private_key_src, options).resources

    def _remember(self, team: Store, fleet: Fleet, decision: Decision) -> None:
        proven = {
            member.name: fleet.identities.now(member.name, decision.proven[member.name], member.wishes.site)
            for member in fleet.members
            if member.name in decision.proven
        }
        former = fleet.identities.former_names(proven)
        try:
            remember(team, proven, former)
            miss_no_longer(self, former)
        except PelionError as error:
            self.warn(str(error))


def require_one_team(asked: Mapping[str, Answer]) -> None:
    """Stores and cloud are asked once for all, so they must be the same ones for all boards of a play."""
    teams = {json.dumps(answer.team, sort_keys=True): name for name, answer in asked.items()}
    if len(teams) > 1:
        (one, first), (other, second), *_more = teams.items()
        raise failure(Reason("different-teams", {"one": one, "first": first, "other": other, "second": second}))
