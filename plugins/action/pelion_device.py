# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.cloud.device_changes import DeviceNotes, change_devices, remove_devices
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.device_notes import NOTE_ARGUMENTS
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
        wishes = [_notes(arguments, device) for device in arguments["devices"] or map(_unnoted, arguments["ids"])]
        with open_api(self, arguments, open_stores(self, arguments)) as api:
            if arguments["state"] == "absent":
                changes = remove_devices(api, [wish.id for wish in wishes], dry_run=self.check_mode)
            else:
                changes = change_devices(
                    api,
                    wishes,
                    category=arguments["suspend_category"],
                    reason=arguments["reason"] or "",
                    dry_run=self.check_mode,
                )
        changes.require_success()
        result = {"changed": changes.changed, "devices": list(changes.after.values())}
        if self._task.diff:
            result["diff"] = {"before": changes.before, "after": changes.after}
        return result


def _unnoted(device_id: str) -> dict[str, Any]:
    return {"id": device_id, **dict.fromkeys(NOTE_ARGUMENTS)}


def _notes(arguments: dict[str, Any], device: dict[str, Any]) -> DeviceNotes:
    notes = {name: arguments[name] if device[name] is None else device[name] for name in NOTE_ARGUMENTS}
    return DeviceNotes(device["id"], **notes, suspended=arguments["suspended"])
