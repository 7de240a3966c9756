# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the role provision_pelion, and those that were meant to be one of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..fleet.wishes import VARIABLES, UpdateWish, Wishes
from ..reasons import Reason
from ..words import nearest

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
}
"""All of them; a test compares them with argument_specs.yml."""


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
