# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from typing import Any

from ..plugin_utils.board.description import BoardStatus
from ..plugin_utils.board.errors import BoardError
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import BOARD_ARGUMENTS, board_of

PAUSE = 2
"""Seconds between two exchanges with a board that is waited for."""


class ActionModule(Action):
    ARGUMENTS = {
        "wait_for": {"type": "str", "choices": ["configured", "registered"]},
        "timeout": {"type": "int", "default": 120},
        **BOARD_ARGUMENTS,
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        board = board_of(self, arguments)
        wanted, deadline = arguments["wait_for"], time.monotonic() + arguments["timeout"]
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
            time.sleep(PAUSE)
            found = board.inspect(may_change=False)
        for warning in found.warnings:
            self.warn(warning)
        return {"changed": False, **BoardStatus.of(found).to_json()}
