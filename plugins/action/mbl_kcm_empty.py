# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.board.emptying import empty
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import BOARD_ARGUMENTS, board_of


class ActionModule(Action):
    ARGUMENTS = {**BOARD_ARGUMENTS}

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        found, holds = empty(board_of(self, arguments), dry_run=self.check_mode)
        before = found.describe()
        result: dict[str, Any] = {
            "changed": holds or found.recovered or found.interrupted,
            "recovered": found.recovered,
            "device_id": found.device_id,
            "before": before,
        }
        if self.diff_mode:
            result["diff"] = {"before": before, "after": dict.fromkeys(before) if holds else before}
        return result
