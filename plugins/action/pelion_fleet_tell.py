# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.task.action import Action, plain


class ActionModule(Action):
    # The names of the variables, not their values: as an argument, all boards' results would be read for each board.
    ARGUMENTS = {"results": {"type": "str", "required": True}, "alone": {"type": "str"}}

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        name, boards = str(self._task_vars["inventory_hostname"]), self._task_vars[arguments["results"]]["boards"]
        return dict(plain(boards[name] if name in boards else self._task_vars[arguments["alone"]]))
