# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..plugin_utils.board.inspection import Inspection
from ..plugin_utils.fleet.part import Part
from ..plugin_utils.fleet.proof import Claim
from ..plugin_utils.fleet.reasons import WORK_REASONS
from ..plugin_utils.fleet.work import NOT_IN_STORE, work_for
from ..plugin_utils.task.board import BOARD_ARGUMENTS, board_of
from ..plugin_utils.task.fleet_action import FleetAction
from ..plugin_utils.task.host_keys import host_keys_of
from ..plugin_utils.task.injecting import bring_to, read_items
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(FleetAction):
    ARGUMENTS = {
        **BOARD_ARGUMENTS,
        **STORE_ARGUMENTS,
        "part": {"type": "dict", "required": True},
        "found": {"type": "dict", "default": {}},
    }

    def take_step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        part = Part.from_json(arguments["part"])
        team = open_stores(self, arguments).team
        # In check mode, the store still has what is to be replaced.
        made_later = self.check_mode and part.to_be_made
        items = None if made_later else read_items(self, team, part.dev_cert, part.update_resources)
        found = Inspection.from_json(arguments["found"])
        work = NOT_IN_STORE if items is None else work_for(found, items, part.when_bootstrapped)
        if part.reconnect and not work.changes:
            work = replace(work, reconnect=True)
        board = board_of(self, arguments)
        result = bring_to(
            self, board, found, work, items, part.registration_timeout, (part.dev_cert, part.update_resources)
        )
        if part.reconnect:
            result["reasons"].append(part.reconnect.text(WORK_REASONS))
            result["reason_codes"].append(part.reconnect.code)
        if result["changed"] and part.registration_timeout and not self.check_mode:
            claim = Claim(
                str(self._task_vars["inventory_hostname"]),
                result["device_id"],
                part.dev_cert,
                bootstrapped=work.inject and work.bootstrap != "as-is",
                bootstrapped_at=part.bootstrapped_at,
                timeout=part.registration_timeout,
                host_keys=host_keys_of(self._connection, self._task_vars).fingerprints,
                site=part.site,
                injected=work.inject,
                update_resources=part.update_resources,
                update_certificate=(result["after"]["update_certificate"] or {}).get("fingerprint", ""),
                drift=found.drift,
            )
            result["claim"] = claim.to_json()
        return result
