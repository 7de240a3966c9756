# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..plugin_utils.fleet.answers import Answer, Unasked
from ..plugin_utils.fleet.roster import concerning
from ..plugin_utils.reasons import Reason
from ..plugin_utils.task.board import board_of
from ..plugin_utils.task.fleet_action import FleetAction
from ..plugin_utils.task.host_keys import host_keys_of, known_by_key
from ..plugin_utils.task.role_variables import RoleVariables


class ActionModule(FleetAction):
    def take_step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        variables = RoleVariables.read(self._templar, self._task_vars)
        if isinstance(variables, Reason):
            # Often that of all boards: the decision says it once.
            return {"changed": False, **Unasked(variables).to_json()}
        with known_by_key(self._connection, self._task_vars):
            found = board_of(self, variables.board).inspect(may_change=not self.check_mode)
        host_keys = host_keys_of(self._connection, self._task_vars)
        name, wishes = str(self._task_vars["inventory_hostname"]), variables.wishes
        if wishes.roster is not None:
            wishes = replace(wishes, roster=concerning(name, host_keys.fingerprints, wishes.roster))
        return {"changed": found.recovered, **Answer(wishes, variables.team, found, host_keys).to_json()}
