# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from ..plugin_utils.fleet.concluding import Conclusion, claims_of, conclude
from ..plugin_utils.fleet.part import Part
from ..plugin_utils.fleet.proof import Claim
from ..plugin_utils.fleet.reasons import failure
from ..plugin_utils.report.failure import has_failed
from ..plugin_utils.task.action import failed_result
from ..plugin_utils.task.fleet_action import FleetAction
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
        "parts": {"type": "dict", "required": True},
        "carried_out": {"type": "dict", "default": {}},
        "told": {"type": "list", "elements": "str", "default": []},
        "tell": {"type": "str", "choices": ["every", "concerned"], "default": "every"},
        "verify": {"type": "bool", "default": True},
        **TERMS_ARGUMENTS,
    }

    def take_step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        claims = claims_of(arguments["carried_out"])
        concluded = self._conclude(claims, arguments) if claims else Conclusion()
        refused = {name: part.refused for name, part in _parts(arguments["parts"]).items() if part.refused}
        refused |= concluded.unproven
        in_order = {
            name: {"changed": bool(answer.get("changed"))}
            for name, answer in arguments["asked"].items()
            if not has_failed(answer)
        }
        ended = {**in_order, **arguments["carried_out"]}
        ended |= {name: {"changed": False, **failed_result(failure(reason))} for name, reason in refused.items()}
        told = set(arguments["told"]) - refused.keys()
        tell = [
            name
            for name, result in ended.items()
            if name not in told and (arguments["tell"] == "every" or has_failed(result) or result.get("changed"))
        ]
        ready = {name: found.to_json() for name, found in concluded.ready.items()}
        return {"changed": False, "boards": ended, "tell": tell, "proven": sorted(ready), "takes_updates": ready}

    def _conclude(self, claims: Mapping[str, Claim], arguments: dict[str, Any]) -> Conclusion:
        stores = open_stores(self, arguments)
        there, terms_at = self._task_vars["groups"]["all"], partial(terms_of, arguments)
        with open_api(self, arguments, stores) if arguments["verify"] else contextlib.nullcontext() as api:
            concluded = conclude(claims, arguments["asked"], stores.team, api, there, terms_at, self.warn)
        miss_no_longer(self, concluded.former)
        return concluded


def _parts(parts: Mapping[str, Any]) -> dict[str, Part]:
    return {name: Part.from_json(part) for name, part in parts.items()}
