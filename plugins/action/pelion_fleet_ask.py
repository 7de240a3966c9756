# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any

from ..plugin_utils.errors import PelionError
from ..plugin_utils.fleet.roster import concerning
from ..plugin_utils.fleet.wishes import ALLOW, NEW_BOARDS, REFUSE, WHEN_BOOTSTRAPPED, WHEN_UPDATE_UNKNOWN, Wishes
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import DEVICE_ARGUMENTS, device_of
from ..plugin_utils.task.host_keys import host_keys_of
from ..plugin_utils.team.developer_certificates import check_request

UPDATE_ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "src": {"type": "str"},
    "vendor_domain": {"type": "str"},
    "device_class": {"type": "str"},
    "vendor_id": {"type": "str"},
    "class_id": {"type": "str"},
    "renew_before_days": {"type": "int"},
    "renew_if_made_before": {"type": "str"},
}
WISHES_ARGUMENTS = {
    "dev_cert": {"type": "str", "required": True},
    "create": {"type": "bool", "default": True},
    "spread": {"type": "bool", "default": False},
    "update": {"type": "dict", "required": True, "options": UPDATE_ARGUMENTS},
    "when_bootstrapped": {"type": "str", "choices": list(WHEN_BOOTSTRAPPED), "default": REFUSE},
    "when_update_unknown": {"type": "str", "choices": list(WHEN_UPDATE_UNKNOWN), "default": REFUSE},
    "registration_timeout": {"type": "int", "default": 120},
    "roster": {"type": "list", "elements": "str", "default": []},
    "new_boards": {"type": "str", "choices": list(NEW_BOARDS), "default": ALLOW},
    "site": {"type": "str", "default": ""},
}
PREFIX = "provision_pelion_"
ROLE_VARIABLES = {
    *(WISHES_ARGUMENTS.keys() - {"update"}),
    *(UPDATE_ARGUMENTS.keys() - {"name", "src"}),
    *("update_resources", "update_src"),
    *("team_store", "user_store", "vault_id", "api_host", "ca_path", "verify", "warn_days", "lock_timeout"),
}
"""The role's variables without their prefix; a test compares them with its argument_specs.yml."""


class ActionModule(Action):
    ARGUMENTS = {
        "wishes": {"type": "dict", "required": True, "options": WISHES_ARGUMENTS},
        "team": {"type": "dict", "default": {}},
        **DEVICE_ARGUMENTS,
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        wishes = Wishes.from_json(arguments["wishes"])
        try:
            self._require_fit(wishes)
        except PelionError as error:
            # Often that of all boards: the decision tells it once.
            return {"changed": False, "problem": str(error)}
        board = device_of(self, arguments["lock_timeout"]).inspect(may_change=not self.check_mode)
        host_keys = host_keys_of(self._task_vars)
        name = str(self._task_vars["inventory_hostname"])
        wishes = replace(wishes, roster=concerning(name, host_keys, wishes.roster))
        return {
            "changed": board.recovered,
            "wishes": wishes.to_json(),
            "team": arguments["team"],
            "found": board.to_json(),
            "host_keys": host_keys,
        }

    def _require_fit(self, wishes: Wishes) -> None:
        """Raises PelionError for wishes that mean nothing, and for a variable of the role's kind that is none."""
        if not wishes.dev_cert or not wishes.update.name:
            raise PelionError(
                "Name the fleet's credentials: set provision_pelion_dev_cert (a developer certificate) and "
                "provision_pelion_update_resources (update resources) in inventory/group_vars/mbl.yml or with -e."
            )
        check_request(wishes.dev_cert, None)
        for name in sorted(name for name in self._task_vars if name.startswith(PREFIX)):
            if name.removeprefix(PREFIX) not in ROLE_VARIABLES:
                near = difflib.get_close_matches(name.removeprefix(PREFIX), ROLE_VARIABLES, 1)
                raise PelionError(
                    f"{name} is no variable of the role provision_pelion"
                    + (f"; did you mean {PREFIX}{near[0]}?" if near else ".")
                    + " ansible-doc -t role pelion.mbl.provision_pelion lists them."
                )
