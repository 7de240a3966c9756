# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..plugin_utils.errors import PelionError
from ..plugin_utils.fleet.answers import Answer, Unasked
from ..plugin_utils.fleet.roster import concerning
from ..plugin_utils.fleet.wishes import VARIABLES, UpdateWish, Wishes
from ..plugin_utils.reasons import Reason
from ..plugin_utils.task.board import BOARD_ARGUMENTS, board_of
from ..plugin_utils.task.fleet_action import FleetAction
from ..plugin_utils.task.host_keys import host_keys_of
from ..plugin_utils.team.developer_certificates import check_request
from ..plugin_utils.words import nearest

_KINDS: dict[Any, dict[str, Any]] = {
    str: {"type": "str"},
    bool: {"type": "bool"},
    int: {"type": "int"},
    int | None: {"type": "int"},
    tuple[str, ...] | None: {"type": "list", "elements": "str"},
}


def _argument(kind: Any, default: Any) -> dict[str, Any]:
    """The argument for a field of a dataclass. What must be given is empty by default, for an error in our words."""
    argument = {"type": "str", "choices": list(get_args(kind))} if get_origin(kind) is Literal else dict(_KINDS[kind])
    if default is MISSING:
        return {**argument, "default": ""}
    if default is None:
        return argument
    return {**argument, "default": list(default) if isinstance(default, tuple) else default}


def _arguments(wishes: type, names: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    kinds = get_type_hints(wishes)
    return {
        names.get(field.name, field.name): _argument(kinds[field.name], field.default)
        for field in fields(wishes)
        if kinds[field.name] is not UpdateWish
    }


WISHES = _arguments(Wishes, {}) | _arguments(UpdateWish, VARIABLES)
"""The role's variables that may differ from board to board, without their prefix: an argument spec."""
PREFIX = "provision_pelion_"
NEAR = 0.85
"""How like the prefix (0 to 1) a beginning is that was meant to be it."""
ROLE_VARIABLES = {
    *WISHES,
    *("team_store", "user_store", "vault_id", "api_host", "ca_path", "verify", "warn_days", "lock_timeout"),
    "longest_absence_days",
}
"""All of them; a test compares them with argument_specs.yml."""


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


def unknown_variable(variables: Iterable[str]) -> Reason | None:
    """What is wrong with a variable whose name begins as the role's do, and that the role does not have."""
    for name in sorted(name for name in variables if name.startswith(PREFIX)):
        if name.removeprefix(PREFIX) not in ROLE_VARIABLES:
            near = nearest(name.removeprefix(PREFIX), ROLE_VARIABLES)
            return Reason("unknown-variable", {"variable": name, **({"near": PREFIX + near} if near else {})})
    return _misspelt_prefix(variables)


def _misspelt_prefix(variables: Iterable[str]) -> Reason | None:
    """A variable that would be the role's if its name began a little differently."""
    for name in sorted(variables):
        parts = name.split("_", 2)
        if len(parts) < 3 or name.startswith(PREFIX) or parts[2] not in ROLE_VARIABLES:
            continue
        if difflib.SequenceMatcher(None, f"{parts[0]}_{parts[1]}_", PREFIX).ratio() >= NEAR:
            return Reason("unknown-variable", {"variable": name, "near": PREFIX + parts[2]})
    return None


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
