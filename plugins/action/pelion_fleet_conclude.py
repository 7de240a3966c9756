# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plugin_utils.errors import PelionError
from ..plugin_utils.fleet.identity import Identities
from ..plugin_utils.fleet.memory import read_fleet, remember
from ..plugin_utils.fleet.part import Part
from ..plugin_utils.fleet.proof import Claim, prove
from ..plugin_utils.fleet.reasons import failure
from ..plugin_utils.reasons import Reason
from ..plugin_utils.task.fleet_action import FleetAction, failed_result
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(FleetAction):
    BYPASS_HOST_LOOP = True  # see pelion_fleet_check
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        "asked": {"type": "dict", "required": True},
        "parts": {"type": "dict", "required": True},
        "carried_out": {"type": "dict", "default": {}},
        "told": {"type": "list", "elements": "str", "default": []},
        "tell": {"type": "str", "choices": ["every", "concerned"], "default": "every"},
        "verify": {"type": "bool", "default": True},
    }

    def take_step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        claims = {
            name: Claim.from_json(name, done["claim"])
            for name, done in arguments["carried_out"].items()
            if "claim" in done
        }
        unproven = self._prove(claims, arguments) if claims else {}
        refused = {name: part.refused for name, part in _parts(arguments["parts"]).items() if part.refused}
        refused |= unproven
        in_order = {
            name: {"changed": bool(answer.get("changed"))}
            for name, answer in arguments["asked"].items()
            if not answer.get("failed") and not answer.get("unreachable")
        }
        ended = {**in_order, **arguments["carried_out"]}
        ended |= {name: failed_result(failure(reason)) for name, reason in refused.items()}
        told = set(arguments["told"]) - refused.keys()
        tell = [
            name
            for name, result in ended.items()
            if name not in told and (arguments["tell"] == "every" or result.get("failed") or _is_of_note(result))
        ]
        return {"changed": False, "boards": ended, "tell": tell, "proven": sorted(claims.keys() - unproven.keys())}

    def _prove(self, claims: Mapping[str, Claim], arguments: dict[str, Any]) -> dict[str, Reason]:
        """The boards whose claim does not hold, and why. The team store remembers the others."""
        stores = open_stores(self, arguments)
        identities = Identities.of(
            (claim.sighting for claim in claims.values()), read_fleet(stores.team), self._task_vars["groups"]["all"]
        )
        unproven = {name: copy.reason for name, copy in identities.copies.items()}
        if arguments["verify"]:
            with open_api(self, arguments, stores) as api:
                timeout = max(claim.timeout for claim in claims.values())
                unproven = prove(api, list(claims.values()), timeout, identities)
        proven = {
            name: identities.now(name, claim.dev_cert, claim.site)
            for name, claim in claims.items()
            if name not in unproven
        }
        try:
            remember(stores.team, proven, identities.former_names(proven))
        except PelionError as error:
            self.warn(str(error))
        return unproven


def _parts(parts: Mapping[str, Any]) -> dict[str, Part]:
    return {name: Part.from_json(part) for name, part in parts.items()}


def _is_of_note(result: Mapping[str, Any]) -> bool:
    return bool(result.get("unreachable") or result.get("changed"))
