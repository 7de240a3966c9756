# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..plugin_utils.errors import PelionError
from ..plugin_utils.fleet.roster import concerning
from ..plugin_utils.fleet.wishes import ALLOW, NEW_BOARDS, REFUSE, WHEN_BOOTSTRAPPED, WHEN_UPDATE_UNKNOWN, Wishes
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import BOARD_ARGUMENTS, board_of
from ..plugin_utils.task.host_keys import host_keys_of
from ..plugin_utils.team.developer_certificates import check_request

WISHES: dict[str, dict[str, Any]] = {
    "dev_cert": {"type": "str", "default": ""},
    "create": {"type": "bool", "default": True},
    "spread": {"type": "bool", "default": False},
    "update_resources": {"type": "str", "default": ""},
    "update_src": {"type": "str", "default": ""},
    "vendor_domain": {"type": "str", "default": ""},
    "device_class": {"type": "str", "default": ""},
    "vendor_id": {"type": "str", "default": ""},
    "class_id": {"type": "str", "default": ""},
    "renew_before_days": {"type": "int"},
    "renew_if_made_before": {"type": "str", "default": ""},
    "when_bootstrapped": {"type": "str", "choices": list(WHEN_BOOTSTRAPPED), "default": REFUSE},
    "when_update_unknown": {"type": "str", "choices": list(WHEN_UPDATE_UNKNOWN), "default": REFUSE},
    "registration_timeout": {"type": "int", "default": 120},
    "roster": {"type": "list", "elements": "str", "default": []},
    "new_boards": {"type": "str", "choices": list(NEW_BOARDS), "default": ALLOW},
    "site": {"type": "str", "default": ""},
}
"""The role's variables that may differ from board to board, without their prefix."""
PREFIX = "provision_pelion_"
ROLE_VARIABLES = {
    *WISHES,
    *("team_store", "user_store", "vault_id", "api_host", "ca_path", "verify", "warn_days", "lock_timeout"),
}
"""All of them; a test compares them with argument_specs.yml."""


class ActionModule(Action):
    ARGUMENTS = {
        # Validated below, by the names that people know them by, and so that a mistake of all boards is told once.
        "wishes": {"type": "dict", "required": True},
        "team": {"type": "dict", "default": {}},
        **BOARD_ARGUMENTS,
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            self._require_known_variables()
            wishes = _wishes(arguments["wishes"])
        except PelionError as error:
            # Often that of all boards: the decision tells it once.
            return {"changed": False, "problem": str(error)}
        found = board_of(self, arguments["lock_timeout"]).inspect(may_change=not self.check_mode)
        host_keys = host_keys_of(self._task_vars)
        name = str(self._task_vars["inventory_hostname"])
        wishes = replace(wishes, roster=concerning(name, host_keys, wishes.roster))
        return {
            "changed": found.recovered,
            "wishes": wishes.to_json(),
            "team": arguments["team"],
            "found": found.to_json(),
            "host_keys": host_keys,
        }

    def _require_known_variables(self) -> None:
        """Raises PelionError for a variable of the role's kind that is none."""
        for name in sorted(name for name in self._task_vars if name.startswith(PREFIX)):
            if name.removeprefix(PREFIX) not in ROLE_VARIABLES:
                near = difflib.get_close_matches(name.removeprefix(PREFIX), ROLE_VARIABLES, 1)
                raise PelionError(
                    f"{name} is no variable of the role provision_pelion"
                    + (f"; did you mean {PREFIX}{near[0]}?" if near else ".")
                    + " ansible-doc -t role pelion.mbl.provision_pelion lists them."
                )


def _wishes(given: dict[str, Any]) -> Wishes:
    """Raises PelionError for wishes that mean nothing."""
    validator = ArgumentSpecValidator({PREFIX + name: argument for name, argument in WISHES.items()})
    checked = validator.validate({PREFIX + name: value for name, value in given.items()})
    if checked.error_messages:
        raise PelionError("; ".join(checked.error_messages))
    variables = {name.removeprefix(PREFIX): value for name, value in checked.validated_parameters.items()}
    if not variables["dev_cert"] or not variables["update_resources"]:
        raise PelionError(
            "Name the fleet's credentials: set provision_pelion_dev_cert (a developer certificate) and "
            "provision_pelion_update_resources (update resources) in inventory/group_vars/mbl.yml or with -e."
        )
    check_request(variables["dev_cert"], None)
    return Wishes.of_variables(variables)
