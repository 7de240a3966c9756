# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import BOARD_ARGUMENTS, board_of


class ActionModule(Action):
    ARGUMENTS = {**BOARD_ARGUMENTS}

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        board = board_of(self, arguments)
        found = board.inspect(may_change=not self.check_mode)
        before = found.describe()
        holds = bool(found.files or found.record)
        if holds and not self.check_mode:
            board.empty(found_digest=found.kcm_digest)
        result: dict[str, Any] = {
            "changed": holds or found.recovered,
            "recovered": found.recovered,
            "device_id": found.device_id,
            "before": before,
        }
        if self.diff_mode:
            result["diff"] = {"before": before, "after": dict.fromkeys(before) if holds else before}
        return result
