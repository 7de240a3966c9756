# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""pelion_store_info: see plugins/modules/pelion_store_info.py."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.task.action import Action
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores
from ..plugin_utils.team.store_report import report


class ActionModule(Action):
    ARGUMENTS = {
        **STORE_ARGUMENTS,
        "name": {"type": "str"},
        "store": {"type": "str", "choices": ["team", "user", "both"], "default": "both"},
        "warn_days": {"type": "int", "default": 30},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        stores = open_stores(self, arguments, only_read=True)
        wanted = ("team", "user") if arguments["store"] == "both" else (arguments["store"],)
        entries = [
            {"store": which, **entry}
            for which in wanted
            for entry in report(getattr(stores, which), name=arguments["name"], warn_days=arguments["warn_days"])
        ]
        for entry in entries:
            for message in [entry["problem"]] if entry["problem"] else entry["notices"]:
                self.warn(message)
        return {
            "changed": False,
            "stores": {which: str(getattr(stores, which).directory) for which in wanted},
            "entries": entries,
        }
