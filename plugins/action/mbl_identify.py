# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.board.identify import MOST_SECONDS, identify
from ..plugin_utils.errors import PelionError
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import exchange_of


class ActionModule(Action):
    ARGUMENTS = {"seconds": {"type": "int", "default": 10}, "message": {"type": "str"}}

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        seconds = arguments["seconds"]
        if not 1 <= seconds <= MOST_SECONDS:
            raise PelionError(f"seconds is {seconds}, but LEDs can blink for 1 to {MOST_SECONDS} seconds.")
        board = str(self._task_vars["inventory_hostname"])
        shown = identify(
            exchange_of(self),
            seconds=seconds,
            message=arguments["message"] or f"This is {board}.",
            may_change=not self.check_mode,
        )
        return {
            "changed": False,
            "leds": list(shown.leds),
            "consoles": list(shown.consoles),
            "msg": shown.sentence(board, seconds, planned=self.check_mode),
        }
