# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the role provision_pelion, as they are for one board."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..errors import PelionError
from ..fleet.wishes import VARIABLES, UpdateWish, Wishes
from ..reasons import Reason
from ..team.developer_certificates import check_request
from ..words import nearest
from .action import plain
from .board import BOARD_ARGUMENTS

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


PREFIX = "provision_pelion_"
NEAR = 0.85
"""How like the prefix (0 to 1) a beginning is that was meant to be it."""
WISHES = _arguments(Wishes, {}) | _arguments(UpdateWish, VARIABLES)
"""Those that may differ from board to board, without their prefix: an argument spec."""
TEAM = ("team_store", "user_store", "vault_id", "api_host", "ca_path", "verify")
"""Those that say which stores and which account; they have to be the same for all boards of a play."""
ROLE_VARIABLES = {*WISHES, *TEAM, *BOARD_ARGUMENTS, "warn_days", "longest_absence_days", "parallel", "tell"}
"""All of them; a test compares them with argument_specs.yml."""


@dataclass(frozen=True)
class RoleVariables:
    """What they say. ``team`` has the values of TEAM that are given, ``board`` those of BOARD_ARGUMENTS."""

    wishes: Wishes
    team: Mapping[str, Any]
    board: Mapping[str, int]

    @classmethod
    def read(cls, templar: Any, task_vars: Mapping[str, Any]) -> RoleVariables | Reason:
        """Those of ``task_vars``, whose templates ``templar`` fills in; or the reason for which they mean nothing."""
        if problem := unknown_variable(task_vars):
            return problem
        try:
            given = dict(_given(templar, task_vars, (*WISHES, *TEAM, *BOARD_ARGUMENTS)))
            board = _validated(BOARD_ARGUMENTS, {name: given.pop(name) for name in BOARD_ARGUMENTS if name in given})
        except PelionError as error:
            return Reason("wrong-variable", {"text": str(error)})
        team = {name: given.pop(name) for name in TEAM if name in given}
        wishes = wishes_of({name: value for name, value in given.items() if value != "" or not _may_be_empty(name)})
        if isinstance(wishes, Reason):
            return wishes
        return cls(wishes, {name: value for name, value in team.items() if value != ""}, board)


def _may_be_empty(name: str) -> bool:
    """Whether an empty text is as good as none. Otherwise it is a mistake, or, of a roster, says something."""
    return name != "roster" and WISHES[name].get("default", "") == ""


def _given(templar: Any, task_vars: Mapping[str, Any], names: Iterable[str]) -> Iterable[tuple[str, Any]]:
    """The variables that there are, without their prefix, and their values. Raises PelionError."""
    for name in names:
        variable = PREFIX + name
        if variable not in task_vars:
            continue
        try:
            value = templar.template(task_vars[variable])
        except AnsibleError as error:
            if type(error).__name__ == "AnsibleValueOmittedError":
                continue
            if name == "roster":
                raise PelionError(f"{variable} is made of a variable that is not defined.") from error
            raise PelionError(f"{variable}: {error}") from error
        # Before 2.19, what is to be omitted is a text that only the task's variables know.
        if value is not None and value != task_vars.get("omit", object()):
            yield name, plain(value)
        elif value is None and name == "roster":
            yield name, []


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


def _validated(arguments: Mapping[str, dict[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values by ``arguments``, defaults included. Raises PelionError, by the names that people know them by."""
    validator = ArgumentSpecValidator({PREFIX + name: argument for name, argument in arguments.items()})
    checked = validator.validate({PREFIX + name: value for name, value in given.items()})
    if checked.error_messages:
        raise PelionError("; ".join(checked.error_messages))
    return {name.removeprefix(PREFIX): value for name, value in checked.validated_parameters.items()}


def wishes_of(given: Mapping[str, Any]) -> Wishes | Reason:
    """The wishes, or the reason for which they mean nothing."""
    try:
        variables = _validated(WISHES, given)
    except PelionError as error:
        return Reason("wrong-variable", {"text": str(error)})
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
