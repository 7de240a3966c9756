# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from typing import Any

from ..plugin_utils.board.errors import BoardError
from ..plugin_utils.board.inspection import Inspection
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import BOARD_ARGUMENTS, board_of
from ..plugin_utils.times import time_text

PAUSE = 2
"""Seconds between two exchanges with a board that is waited for."""


class ActionModule(Action):
    ARGUMENTS = {
        "wait_for": {"type": "str", "choices": ["configured", "registered"]},
        "timeout": {"type": "int", "default": 120},
        **BOARD_ARGUMENTS,
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        board = board_of(self, arguments["lock_timeout"])
        wanted, deadline = arguments["wait_for"], time.monotonic() + arguments["timeout"]
        found = board.inspect(may_change=False)
        while wanted and not getattr(found, wanted):
            if time.monotonic() >= deadline:
                said = found.log.error if wanted == "registered" else found.status
                raise BoardError(
                    f"The board is not {wanted} after {arguments['timeout']} seconds. "
                    + (f"It says: {said}." if said else "It says nothing of why."),
                    reason=f"not-{wanted}",
                    **describe(found),
                )
            time.sleep(PAUSE)
            found = board.inspect(may_change=False)
        for warning in found.warnings:
            self.warn(warning)
        return {"changed": False, **describe(found)}


def describe(found: Inspection) -> dict[str, Any]:
    """The fields of the module's result."""
    return {
        "configured": found.configured,
        "status": found.status,
        "registered": found.registered,
        "device_id": found.device_id,
        "last_registration": found.log.registered_at,
        "client_running": found.client_runs,
        "client_error": found.log.error,
        "client_error_code": found.log.error_code,
        "client_error_meaning": found.log.error_meaning,
        "bootstrapped": found.bootstrapped,
        "bootstrapped_with": found.bootstrapped_with,
        "has_utility": found.has_utility,
        "obstacles": [str(BoardError.of(*obstacle)) for obstacle in found.obstacles],
        "space": dict(found.space),
        "interrupted": found.interrupted,
        "clock": time_text(found.time),
        "clock_drift": found.drift,
        "image": dict(found.image),
        **found.describe(),
    }
