# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..plugin_utils.fleet.memory import read_fleet
from ..plugin_utils.task.action import Action, plain
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(Action):
    ARGUMENTS = {**STORE_ARGUMENTS}

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        team = open_stores(self, arguments).team
        boards = {name: plain(asdict(board)) for name, board in read_fleet(team).items()}
        return {"changed": False, "team_store": str(team.directory), "boards": boards}
