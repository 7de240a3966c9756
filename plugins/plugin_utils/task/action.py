# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all action plugins of the collection share: arguments in, errors out, no secret in between."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleFallbackNotFound
from ansible.plugins.action import ActionBase

from ..errors import PelionError
from ..libraries import require_libraries
from .kept_results import keep
from .turns import takes_turns

API_KEY_VARIABLES = ("PELION_API_KEY", "MBED_CLOUD_SDK_API_KEY")

_taken: dict[str, str] = {}


class Action(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """An action with the manners of a module.

    A plugin states ``ARGUMENTS`` (an argument spec) and, where it needs them, ``RULES``
    (``required_if`` and its kin), and implements ``perform``.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    ARGUMENTS: dict[str, Any] = {}
    RULES: dict[str, Any] = {}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        _take_api_keys()
        result: dict[str, Any] = super().run(tmp, task_vars)
        validation, arguments = self.validate_argument_spec(self.ARGUMENTS, **self.RULES)
        self._task_vars = task_vars or {}
        self._warnings: list[str] = []
        self._advice: list[str] = []
        try:
            require_libraries()
            result.update(self.perform(plain(arguments)))
        except PelionError as error:
            result.update(failed_result(error))
        if self._warnings:
            result["warnings"] = result.get("warnings", []) + self._warnings
        if self._advice:
            result["advice"] = self._advice
        cleaned: dict[str, Any] = without(validation._no_log_values, result)
        if not takes_turns():  # else it is part of another task's result
            keep((str(self._task_vars.get("inventory_hostname")), str(self._task._uuid)), cleaned)
        return cleaned

    @abstractmethod
    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do the work and return the result's fields. PelionError becomes the task's failure."""

    def warn(self, message: str) -> None:
        """Show ``message`` to the user as a warning of this task."""
        self._warnings.append(message)

    def advise(self, message: str) -> None:
        """Have the summary at the end of a run say ``message``: it asks people to do something."""
        self._advice.append(message)

    @property
    def diff_mode(self) -> bool:
        return bool(self._task.diff)

    @property
    def check_mode(self) -> bool:
        return bool(self._task.check_mode)


def _take_api_keys() -> None:
    """Take the API keys out of this process's environment, which each ssh that it starts would inherit.

    A task has a process of its own, so no other misses them. What its loop runs next finds them by ``api_key``.
    """
    for name in API_KEY_VARIABLES:
        if name in os.environ:
            _taken[name] = os.environ.pop(name)


def api_key() -> str:
    """An argument's fallback: the key that the environment had. Raises AnsibleFallbackNotFound without one."""
    for name in API_KEY_VARIABLES:
        if name in _taken:
            return _taken[name]
    raise AnsibleFallbackNotFound


def variable_of(key: str) -> str | None:
    """The environment variable that ``key`` came from; None for one that came another way."""
    return next((name for name in API_KEY_VARIABLES if _taken.get(name) == key), None)


def failed_result(error: PelionError) -> dict[str, Any]:
    """The result of a task that ends with ``error``."""
    return {"failed": True, "msg": str(error), **error.facts}


def without(secrets: Collection[str], value: Any) -> Any:
    """``value`` with stars in the place of the ``secrets`` in its texts."""
    if isinstance(value, Mapping):
        return {without(secrets, key): without(secrets, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without(secrets, item) for item in value]
    if isinstance(value, str):
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            value = value.replace(secret, "********")
    return value


def plain(value: Any) -> Any:
    """``value`` of built-in types only.

    Since ansible-core 2.19 arguments carry tags (where they come from, whether to trust them) in
    subclasses of the built-in types, which libraries such as PyYAML do not take.
    """
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return "".join(str(value))
