# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import DEVICE_ARGUMENTS, device_of


class ActionModule(Action):
    ARGUMENTS = {**DEVICE_ARGUMENTS}

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        device = device_of(self, arguments["lock_timeout"])
        board = device.inspect(may_change=not self.check_mode)
        before = board.describe()
        holds = bool(board.files or board.record)
        if holds and not self.check_mode:
            device.empty(found_digest=board.kcm_digest)
        result: dict[str, Any] = {
            "changed": holds or board.recovered,
            "recovered": board.recovered,
            "device_id": board.device_id,
            "before": before,
        }
        if self.diff_mode:
            result["diff"] = {"before": before, "after": dict.fromkeys(before) if holds else before}
        return result
