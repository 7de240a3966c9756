# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API key in the controller's environment, kept from the processes that a task starts."""

from __future__ import annotations

import os

from ansible.module_utils.basic import AnsibleFallbackNotFound

API_KEY_VARIABLES = ("PELION_API_KEY", "MBED_CLOUD_SDK_API_KEY")

_taken: dict[str, str] = {}


def take_api_keys() -> None:
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
