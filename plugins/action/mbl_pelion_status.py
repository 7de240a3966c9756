# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure

from ..plugin_utils.board.description import BoardStatus
from ..plugin_utils.board.errors import BoardError
from ..plugin_utils.errors import PelionError
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import BOARD_ARGUMENTS, board_of
from ..plugin_utils.task.host_keys import host_keys_of, known_by_key
from ..plugin_utils.task.turns import others_turn

PAUSE = 2
"""Seconds between two exchanges with a board that is waited for."""


class ActionModule(Action):
    ARGUMENTS = {
        "wait_for": {"type": "str", "choices": ["configured", "registered"]},
        "timeout": {"type": "int", "default": 120},
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
        board = board_of(self, arguments)
        wanted, deadline = arguments["wait_for"], time.monotonic() + arguments["timeout"]
        with known_by_key(self._connection, self._task_vars):
            found = board.inspect(may_change=False)
        while wanted and not getattr(found, wanted):
            if time.monotonic() >= deadline:
                said = found.log.error if wanted == "registered" else found.status
                raise BoardError(
                    f"The board is not {wanted} after {arguments['timeout']} seconds. "
                    + (f"It says: {said}." if said else "It does not say why."),
                    reason=f"not-{wanted}",
                    **BoardStatus.of(found).to_json(),
                )
            with others_turn():
                time.sleep(PAUSE)
            found = board.inspect(may_change=False)
        for warning in found.warnings:
            self.warn(f"{self._task_vars['inventory_hostname']}: {warning}")
        keys = host_keys_of(self._connection, self._task_vars).fingerprints
        return {"changed": False, **BoardStatus.of(found, keys).to_json()}
