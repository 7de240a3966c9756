# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..plugin_utils.fleet.leaving import leaving
from ..plugin_utils.fleet.memory import read_fleet, require_known
from ..plugin_utils.task.action import Action, plain
from ..plugin_utils.task.seen_boards import names_seen
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(Action):
    ARGUMENTS = {
        **STORE_ARGUMENTS,
        "names": {"type": "list", "elements": "str", "default": []},
        "leaving": {"type": "list", "elements": "str"},
        "says": {"type": "dict", "default": {}},
        "shows": {"type": "dict", "default": {}},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        team = open_stores(self, arguments, only_read=True).team
        remembered = read_fleet(team)
        boards = {name: plain(asdict(board)) for name, board in remembered.items()}
        # Who was only seen, and is missed ever since, can be named as well.
        seen, inventory = names_seen(self), self._task_vars.get("groups", {}).get("all", ())
        require_known(remembered, arguments["names"], {*inventory, *seen})
        result = {"changed": False, "team_store": str(team.directory), "boards": boards}
        if arguments["leaving"] is not None:
            says = {name: str(told) if told else None for name, told in arguments["says"].items()}
            found = leaving(arguments["leaving"], remembered, says, inventory, arguments["shows"], seen)
            for note in found.notes:
                self.warn(note)
            result["leaving"] = dict(found.devices)
        return result
