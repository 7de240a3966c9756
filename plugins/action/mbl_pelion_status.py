# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from typing import Any

from ..plugin_utils.board.board import Board
from ..plugin_utils.board.device import DeviceError
from ..plugin_utils.credentials.times import time_text
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import DEVICE_ARGUMENTS, device_of

PAUSE = 2
"""Seconds between two exchanges with a board that is waited for."""


class ActionModule(Action):
    ARGUMENTS = {
        "wait_for": {"type": "str", "choices": ["configured", "registered"]},
        "timeout": {"type": "int", "default": 120},
        **DEVICE_ARGUMENTS,
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        device = device_of(self, arguments["lock_timeout"])
        wanted, deadline = arguments["wait_for"], time.monotonic() + arguments["timeout"]
        board = device.inspect(may_change=False)
        while wanted and not getattr(board, wanted):
            if time.monotonic() >= deadline:
                said = board.log.error if wanted == "registered" else board.status
                raise DeviceError(
                    f"The board is not {wanted} after {arguments['timeout']} seconds. "
                    + (f"It says: {said}." if said else "It says nothing of why."),
                    reason=f"not-{wanted}",
                    **describe(board),
                )
            time.sleep(PAUSE)
            board = device.inspect(may_change=False)
        for warning in board.warnings:
            self.warn(warning)
        return {"changed": False, **describe(board)}


def describe(board: Board) -> dict[str, Any]:
    """The fields of the module's result."""
    return {
        "configured": board.configured,
        "status": board.status,
        "registered": board.registered,
        "device_id": board.device_id,
        "last_registration": board.log.registered_at,
        "client_running": board.client_runs,
        "client_error": board.log.error,
        "client_error_code": board.log.error_code,
        "client_error_meaning": board.log.error_meaning,
        "bootstrapped": board.bootstrapped,
        "bootstrapped_with": board.bootstrapped_with,
        "has_utility": board.has_utility,
        "obstacles": [str(DeviceError.of(*obstacle)) for obstacle in board.obstacles],
        "space": dict(board.space),
        "interrupted": board.interrupted,
        "clock": time_text(board.time),
        "clock_drift": board.drift,
        "image": dict(board.image),
        **board.describe(),
    }
