# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..plugin_utils.cloud.device_changes import DeviceNotes, change_devices
from ..plugin_utils.cloud.devices import find_devices
from ..plugin_utils.cloud.pelion_api import PelionApi
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
        self._told: list[str] = []
        stores = open_stores(self, arguments, only_read=True)
        known = read_fleet(stores.team)
        if arguments["src"]:
            # Relative to where the command was given, as a file's name on a command line is.
            namings = read_table(Path(arguments["src"]).absolute())
        else:
            namings = self._of_boards(arguments["boards"], set(known))
        boards = {entry.device_id: name for name, entry in known.items() if entry.device_id}
        serial_numbers = {naming.serial_number for naming in namings if not naming.board}
        with open_api(self, arguments, stores) as api:
            devices = find_devices(api, serial_numbers=serial_numbers) if serial_numbers else []
            notes = device_notes(namings, known, devices)
            if not arguments["src"]:
                notes = self._without_names_that_others_gave(api, notes, arguments["boards"], boards)
            changes = change_devices(api, notes, dry_run=self.check_mode).require_success()
        result = {
            "changed": changes.changed,
            "devices": list(changes.after.values()),
            "done": self._told
            + [
                _done(boards.get(id_, ""), before, changes.after[id_], self.check_mode)
                for id_, before in changes.before.items()
                if before != changes.after[id_]
            ],
        }
        if self.diff_mode:
            result["diff"] = {"before": changes.before, "after": changes.after}
        return result

    def _without_names_that_others_gave(
        self, api: PelionApi, notes: list[DeviceNotes], given: list[dict[str, Any]], boards: Mapping[str, str]
    ) -> list[DeviceNotes]:
        """A board's own name is for a device that has none yet: a table or the portal may have given another."""
        chosen = {board["board"] for board in given if board.get("name")}
        unchosen = {note.id for note in notes if boards[note.id] not in chosen}
        named = {
            device.id: device.name
            for device in (find_devices(api, ids=unchosen) if unchosen else ())
            if device.name and device.name not in (device.id, boards[device.id])
        }
        self._told += [
            f"{boards[id_]}: its device {id_} is still called {name!r}; device_name of the board changes that."
            for id_, name in named.items()
        ]
        return [replace(note, name=None) if note.id in named else note for note in notes]

    def _of_boards(self, boards: list[dict[str, Any]], known: set[str]) -> list[Naming]:
        """Whole inventories are given here, so a board that has no device yet is named in a warning and passed over."""
        new = [board["board"] for board in boards if board["board"] not in known]
        if new:
            self.warn(
                f"These boards were not named, since the team has not provisioned them yet: {', '.join(sorted(new))}."
            )
        return [
            Naming(board["board"], "", {"name": board["board"]} | notes_of(board))
            for board in boards
            if board["board"] in known
        ]


def _done(board: str, before: Mapping[str, Any], after: Mapping[str, Any], planned: bool) -> str:
    """What became of a device, for people."""
    now = ", ".join(f"{key} {value!r}" for key, value in after.items() if value != before.get(key))
    whose = f"{board}: its device" if board else "device"
    return f"{whose} {after['id']} {'would have' if planned else 'now has'} {now}."
