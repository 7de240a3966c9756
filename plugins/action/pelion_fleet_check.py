# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.fleet.reasons import failure
from ..plugin_utils.reasons import Reason
from ..plugin_utils.task.action import plain
from ..plugin_utils.task.fleet_action import FleetAction
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(FleetAction):
    # Under the strategies free and host_pinned, where run_once runs for every host, Ansible refuses such an action
    # in one sentence: nothing that decides for a fleet may run there.
    BYPASS_HOST_LOOP = True
    ARGUMENTS = {**PELION_ARGUMENTS, **STORE_ARGUMENTS, "verify": {"type": "bool", "default": True}}

    def take_step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        problem = self._task_vars.get("mbl_discovery_problem")
        if problem:
            raise failure(Reason("discovery", {"text": plain(problem)}))
        stores = open_stores(self, arguments)
        stores.team.require_secret()
        if arguments["verify"]:
            with open_api(self, arguments, stores) as api:
                api.account()
        return {"changed": False, "team_store": str(stores.team.directory)}
