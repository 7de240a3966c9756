# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from ..plugin_utils.board.inspection import Inspection
from ..plugin_utils.credentials.update_resources import UpdateResources
from ..plugin_utils.errors import PelionError
from ..plugin_utils.fleet.decision import Decision, Member, decide
from ..plugin_utils.fleet.memory import Remembered, absent, read_fleet, remember
from ..plugin_utils.fleet.reservations import Reservations
from ..plugin_utils.fleet.stock import Stock
from ..plugin_utils.fleet.wishes import Wishes
from ..plugin_utils.store.store import Store
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.given_files import read_given_file
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(Action):
    BYPASS_HOST_LOOP = True  # see pelion_fleet_check
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        "asked": {"type": "dict", "required": True},
        "verify": {"type": "bool", "default": True},
        "warn_days": {"type": "int", "default": 30},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        _require_one_team(arguments["asked"])
        members = [_member(name, asked) for name, asked in arguments["asked"].items() if "found" in asked]
        unasked = {name: asked["problem"] for name, asked in arguments["asked"].items() if "problem" in asked}
        stores = open_stores(self, arguments)
        with open_api(self, arguments, stores) if arguments["verify"] else contextlib.nullcontext() as api:
            remembered = read_fleet(stores.team)
            stock = Stock(stores.team, api, self._read_src, warn_days=arguments["warn_days"])
            reservations = Reservations(stores.team) if api and not self.check_mode else None
            decision = decide(members, stock, remembered, unasked, reservations)
        for warning in decision.warnings:
            self.warn(warning)
        if decision.common_refusal:
            which = f"All {len(decision.parts)} boards" if len(decision.parts) > 1 else next(iter(decision.parts))
            raise PelionError(f"{which}: {decision.common_refusal}")
        if not self.check_mode:
            self._remember(stores.team, members, decision)
        return {
            "changed": False,
            "parts": {name: part.to_json() for name, part in decision.parts.items()},
            "dev_certs": list(decision.dev_certs),
            "update_resources": [wish.arguments() for wish in decision.updates],
            "absent": self._absent(remembered, {member.wishes.site for member in members}),
        }

    def _absent(self, remembered: Mapping[str, Remembered], sites: Collection[str]) -> list[str]:
        # Under a limit, nobody asked for all boards.
        if self._task_vars.get("ansible_limit"):
            return []
        return sorted(absent(remembered, sites, set(self._task_vars["groups"]["all"])))

    def _read_src(self, src: str) -> UpdateResources:
        found, text = read_given_file(self, "provision_pelion_update_src", src)
        return UpdateResources.from_c_source(text, str(found))

    def _remember(self, team: Store, members: list[Member], decision: Decision) -> None:
        proven = {
            member.name: Remembered.now(
                member.host_keys, member.board.device_id, decision.proven[member.name], member.wishes.site
            )
            for member in members
            if member.name in decision.proven
        }
        try:
            remember(team, proven)
        except PelionError as error:
            self.warn(str(error))


def _require_one_team(asked: Mapping[str, Mapping[str, Any]]) -> None:
    """Stores and cloud are asked once for all, so they must be the same ones for all boards of a play."""
    teams = {json.dumps(answer["team"], sort_keys=True): name for name, answer in asked.items() if "team" in answer}
    if len(teams) > 1:
        (one, first), (other, second), *_more = teams.items()
        raise PelionError(
            f"Boards of this play wish for different stores or accounts: {first} for {one}, {second} for {other}. Run "
            "them one after the other with --limit, or in plays of their own."
        )


def _member(name: str, asked: Mapping[str, Any]) -> Member:
    return Member(
        name, Wishes.from_json(asked["wishes"]), Inspection.from_json(asked["found"]), tuple(asked.get("host_keys", ()))
    )
