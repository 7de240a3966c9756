# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure

from ..plugin_utils.board.description import BoardStatus
from ..plugin_utils.errors import PelionError
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import BOARD_ARGUMENTS, board_of
from ..plugin_utils.task.host_keys import host_keys_of, known_by_key


class ActionModule(Action):
    ARGUMENTS = {
        "on_failure": {"type": "str", "choices": ["fail", "return"], "default": "fail"},
        **BOARD_ARGUMENTS,
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments["on_failure"] == "fail":
            return self._ask(arguments)
        try:
            return self._ask(arguments)
        except PelionError as error:
            return {"changed": False, "failure": {"msg": str(error), **error.facts}}
        except AnsibleConnectionFailure as error:
            return {"changed": False, "failure": {"msg": str(error), "unreachable": True}}

    def _ask(self, arguments: dict[str, Any]) -> dict[str, Any]:
        with known_by_key(self._connection, self._task_vars):
            found = board_of(self, arguments).inspect(may_change=False)
        for warning in found.warnings:
            self.warn(f"{self._task_vars['inventory_hostname']}: {warning}")
        keys = host_keys_of(self._connection, self._task_vars).fingerprints
        return {"changed": False, **BoardStatus.of(found, keys).to_json()}
