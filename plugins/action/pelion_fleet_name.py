# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

from ..plugin_utils.cloud.device_changes import change_devices
from ..plugin_utils.cloud.devices import find_devices
from ..plugin_utils.fleet.memory import read_fleet
from ..plugin_utils.fleet.naming import Naming, device_notes, read_table
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.device_notes import NOTE_ARGUMENTS, notes_of
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(Action):
    BYPASS_HOST_LOOP = True  # see pelion_fleet_check
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        "boards": {
            "type": "list",
            "elements": "dict",
            "options": {"board": {"type": "str", "required": True}, **NOTE_ARGUMENTS},
        },
        "src": {"type": "path"},
    }
    RULES = {"required_one_of": [["boards", "src"]], "mutually_exclusive": [["boards", "src"]]}

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        stores = open_stores(self, arguments)
        known = read_fleet(stores.team)
        if arguments["src"]:
            # Relative to where the command was given, as a file's name on a command line is.
            namings = read_table(Path(arguments["src"]).absolute())
        else:
            namings = self._of_boards(arguments["boards"], set(known))
        serial_numbers = {naming.serial_number for naming in namings if not naming.board}
        with open_api(self, arguments, stores) as api:
            devices = find_devices(api, serial_numbers=serial_numbers) if serial_numbers else []
            notes = device_notes(namings, known, devices)
            changes = change_devices(api, notes, dry_run=self.check_mode).require_success()
        result = {"changed": changes.changed, "devices": list(changes.after.values())}
        if self.diff_mode:
            result["diff"] = {"before": changes.before, "after": changes.after}
        return result

    def _of_boards(self, boards: list[dict[str, Any]], known: set[str]) -> list[Naming]:
        """Whole inventories are given here, so a board that has no device yet is told and passed over."""
        new = [board["board"] for board in boards if board["board"] not in known]
        if new:
            self.warn(f"Not named, as the team has not provisioned them yet: {', '.join(sorted(new))}.")
        return [
            Naming(board["board"], "", {"name": board["board"]} | notes_of(board))
            for board in boards
            if board["board"] in known
        ]
