# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.cloud.device_changes import DeviceNotes, change_devices, remove_devices
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.device_notes import NOTE_ARGUMENTS, notes_of
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(Action):
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        "ids": {"type": "list", "elements": "str"},
        "devices": {
            "type": "list",
            "elements": "dict",
            "options": {"id": {"type": "str", "required": True}, **NOTE_ARGUMENTS},
        },
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        **NOTE_ARGUMENTS,
        "suspended": {"type": "bool"},
        "suspend_category": {"type": "str", "default": "maintenance"},
        "reason": {"type": "str"},
    }
    RULES = {
        "required_one_of": [["ids", "devices"]],
        "mutually_exclusive": [["ids", "devices"], ["devices", "name"]],
        "required_by": {"suspended": ["reason"]},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        devices = arguments["devices"] or [{"id": device_id} for device_id in arguments["ids"] or ()]
        noted = [
            DeviceNotes(device["id"], **notes_of(arguments) | notes_of(device), suspended=arguments["suspended"])
            for device in devices
        ]
        with open_api(self, arguments, open_stores(self, arguments)) as api:
            if arguments["state"] == "absent":
                changes = remove_devices(api, [wish.id for wish in noted], dry_run=self.check_mode)
            else:
                changes = change_devices(
                    api,
                    noted,
                    category=arguments["suspend_category"],
                    reason=arguments["reason"] or "",
                    dry_run=self.check_mode,
                )
        changes.require_success()
        result = {"changed": changes.changed, "devices": list(changes.after.values())}
        if self.diff_mode:
            result["diff"] = {"before": changes.before, "after": changes.after}
        return result
