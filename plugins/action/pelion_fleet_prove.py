# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.errors import PelionError
from ..plugin_utils.fleet.identity import Identities
from ..plugin_utils.fleet.memory import read_fleet, remember
from ..plugin_utils.fleet.proof import Claim, prove
from ..plugin_utils.task.fleet_action import FleetAction
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(FleetAction):
    BYPASS_HOST_LOOP = True  # see pelion_fleet_check
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        "carried_out": {"type": "dict", "required": True},
        "verify": {"type": "bool", "default": True},
    }

    def take_step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        claims = {
            name: Claim.from_json(name, done["claim"])
            for name, done in arguments["carried_out"].items()
            if "claim" in done
        }
        stores = open_stores(self, arguments)
        identities = Identities.of(
            (claim.sighting for claim in claims.values()), read_fleet(stores.team), self._task_vars["groups"]["all"]
        )
        unproven = {name: copy.reason for name, copy in identities.copies.items()}
        if claims and arguments["verify"]:
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
        return {
            "changed": False,
            "proven": sorted(proven),
            "unproven": {name: reason.to_json() for name, reason in unproven.items()},
        }
