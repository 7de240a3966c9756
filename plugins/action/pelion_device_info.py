# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.cloud.devices import STATES, describe_device, find_devices
from ..plugin_utils.cloud.pelion_api import PelionApi
from ..plugin_utils.errors import PelionError
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(Action):
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        "ids": {"type": "list", "elements": "str"},
        "names": {"type": "list", "elements": "str"},
        "states": {"type": "list", "elements": "str", "choices": list(STATES)},
        "certificate": {"type": "str"},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        with open_api(self, arguments, open_stores(self, arguments)) as api:
            devices = find_devices(
                api,
                ids=arguments["ids"],
                names=arguments["names"],
                states=arguments["states"],
                certificate_id=_certificate_id(api, arguments["certificate"]),
            )
        return {"changed": False, "devices": [describe_device(device) for device in devices]}


def _certificate_id(api: PelionApi, name: str | None) -> str | None:
    if name is None:
        return None
    for certificate in api.developer_certificates(name):
        return certificate.id
    raise PelionError(f"There is no developer certificate {name!r} in the cloud.")
