# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..plugin_utils.errors import PelionError
from ..plugin_utils.fleet.answers import Answer, Unasked
from ..plugin_utils.fleet.roster import concerning
from ..plugin_utils.fleet.wishes import Wishes
from ..plugin_utils.reasons import Reason
from ..plugin_utils.task.board import BOARD_ARGUMENTS, board_of
from ..plugin_utils.task.fleet_action import FleetAction
from ..plugin_utils.task.host_keys import host_keys_of
from ..plugin_utils.task.role_variables import PREFIX, WISHES, unknown_variable
from ..plugin_utils.team.developer_certificates import check_request


class ActionModule(FleetAction):
    ARGUMENTS = {
        # Validated below, by the names that people know them by, and so that a mistake of all boards is told once.
        "wishes": {"type": "dict", "required": True},
        "team": {"type": "dict", "default": {}},
        **BOARD_ARGUMENTS,
    }

    def take_step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        problem = unknown_variable(self._task_vars) or lost_roster(self._task_vars, arguments["wishes"])
        wishes = problem or wishes_of(arguments["wishes"])
        if isinstance(wishes, Reason):
            # Often that of all boards: the decision says it once.
            return {"changed": False, **Unasked(wishes).to_json()}
        found = board_of(self, arguments["lock_timeout"]).inspect(may_change=not self.check_mode)
        host_keys = host_keys_of(self._connection, self._task_vars)
        name = str(self._task_vars["inventory_hostname"])
        if wishes.roster is not None:
            wishes = replace(wishes, roster=concerning(name, host_keys.fingerprints, wishes.roster))
        return {"changed": found.recovered, **Answer(wishes, arguments["team"], found, host_keys).to_json()}


def lost_roster(variables: Collection[str], given: Collection[str]) -> Reason | None:
    """What is wrong with a roster that there is, and of which the task has got nothing: were it taken for none, all
    boards would get keys."""
    if PREFIX + "roster" in variables and "roster" not in given:
        text = f"{PREFIX}roster is made of a variable that is not defined."
        return Reason("wrong-variable", {"text": text})
    return None


def wishes_of(given: dict[str, Any]) -> Wishes | Reason:
    """The wishes, or the reason for which they mean nothing."""
    validator = ArgumentSpecValidator({PREFIX + name: argument for name, argument in WISHES.items()})
    checked = validator.validate({PREFIX + name: value for name, value in given.items()})
    if checked.error_messages:
        return Reason("wrong-variable", {"text": "; ".join(checked.error_messages)})
    variables = {name.removeprefix(PREFIX): value for name, value in checked.validated_parameters.items()}
    if "roster" in given:
        # Whatever comes out empty, such as a template or a list without entries, admits nobody.
        variables["roster"] = [entry for entry in variables["roster"] or () if entry.strip()]
    if not variables["dev_cert"] or not variables["update_resources"]:
        return Reason("no-names")
    try:
        check_request(variables["dev_cert"], None)
    except PelionError as error:
        return Reason("wrong-variable", {"text": str(error)})
    return Wishes.of_variables(variables)
