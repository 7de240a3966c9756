# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from ..plugin_utils.credentials.times import time_text
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import DEVICE_ARGUMENTS, device_of

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class ActionModule(Action):
    ARGUMENTS = {**DEVICE_ARGUMENTS}

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        board = device_of(self, arguments["lock_timeout"]).inspect(may_change=False)
        held = board.developer_certificate
        return {
            "changed": False,
            "configured": board.configured,
            "status": board.status,
            "registered": board.registered,
            "device_id": board.log.device_id,
            "client_running": board.client_runs,
            "client_error": board.log.error,
            "bootstrapped": board.bootstrapped,
            "has_utility": board.has_utility,
            "interrupted": board.interrupted,
            "clock": time_text(EPOCH + timedelta(seconds=board.clock)),
            "found": board.to_json(),
            "plan_entry": {
                "name": self._task_vars["inventory_hostname"],
                "fingerprint": held["fingerprint"] if held else None,
                "device_id": board.log.device_id,
            },
            **board.describe(),
        }
