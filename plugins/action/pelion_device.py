# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.cloud.api_answers import Device
from ..plugin_utils.cloud.devices import (
    change_device,
    changed_fields,
    check_wanted,
    describe_device,
    find_devices,
)
from ..plugin_utils.cloud.pelion_api import PelionApi
from ..plugin_utils.errors import PelionError
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores

FIELDS = ("name", "description", "custom_attributes")


class ActionModule(Action):
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        "id": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "name": {"type": "str"},
        "description": {"type": "str"},
        "custom_attributes": {"type": "dict"},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        wanted = {field: arguments[field] for field in FIELDS}
        check_wanted(**wanted)
        with open_api(self, arguments, open_stores(self, arguments)) as api:
            device = next(iter(find_devices(api, ids=[arguments["id"]])), None)
            if arguments["state"] == "absent":
                return self._remove(api, device)
            if device is None:
                raise PelionError(
                    f"The Device Directory has no device {arguments['id']}. Devices enter it when they bootstrap."
                )
            return self._change(api, device, changed_fields(device, wanted))

    def _change(self, api: PelionApi, device: Device, changes: dict[str, Any]) -> dict[str, Any]:
        if changes and not self.check_mode:
            change_device(api, device, changes)
        before = describe_device(device)
        return self._result(before, before | changes)

    def _remove(self, api: PelionApi, device: Device | None) -> dict[str, Any]:
        if device is None:
            return self._result(None, None)
        if not device.developer:
            raise PelionError(
                f"The device {device.id} has no developer certificate; the service deletes only devices that have one."
            )
        if not self.check_mode:
            api.delete_device(device.id)
        return self._result(describe_device(device), None)

    def _result(self, before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
        result = {"changed": before != after, "device": after}
        if self._task.diff:
            result["diff"] = {"before": before or {}, "after": after or {}}
        return result
