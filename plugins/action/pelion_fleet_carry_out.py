# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.board.inspection import Inspection
from ..plugin_utils.fleet.carrying_out import carry_out
from ..plugin_utils.fleet.part import Part
from ..plugin_utils.task.board import BOARD_ARGUMENTS, board_of
from ..plugin_utils.task.fleet_action import FleetAction
from ..plugin_utils.task.host_keys import host_keys_of
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(FleetAction):
    ARGUMENTS = {
        **BOARD_ARGUMENTS,
        **STORE_ARGUMENTS,
        "part": {"type": "dict", "required": True},
        "found": {"type": "dict", "default": {}},
    }

    def take_step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return carry_out(
            str(self._task_vars["inventory_hostname"]),
            board_of(self, arguments),
            Inspection.from_json(arguments["found"]),
            Part.from_json(arguments["part"]),
            open_stores(self, arguments).team,
            lambda: host_keys_of(self._connection, self._task_vars).fingerprints,
            self.warn,
            dry_run=self.check_mode,
            diff=self.diff_mode,
        )
