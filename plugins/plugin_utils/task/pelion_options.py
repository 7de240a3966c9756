# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of everything that talks to the cloud's API, and the client that they make."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import env_fallback

try:
    from ansible.module_utils.secrets import register_secret  # ansible-core 2.22 and newer
except ImportError:

    def register_secret(secret: str) -> None:
        """Older Ansible has no list of secrets; there, nothing shows what is not in a result."""


from ..cloud.api_host import api_url
from ..cloud.api_key import ApiKey
from ..cloud.api_transport import ApiTransport
from ..cloud.pelion_api import PelionApi
from ..errors import PelionError
from .action import Action, api_key, variable_of
from .store_options import Stores

# Documented in plugins/doc_fragments/pelion.py.
PELION_ARGUMENTS: dict[str, Any] = {
    "api_key": {"type": "str", "no_log": True, "fallback": (api_key,)},
    "api_host": {"type": "str", "fallback": (env_fallback, ["PELION_API_HOST", "MBED_CLOUD_SDK_HOST"])},
    "ca_path": {"type": "path", "fallback": (env_fallback, ["PELION_CA_PATH"])},
    "validate_certs": {"type": "bool", "default": True},
    "api_timeout": {"type": "int", "default": 30},
    "api_retries": {"type": "int", "default": 4},
}


def find_key(arguments: dict[str, Any], stores: Stores) -> ApiKey | None:
    """The API key and its host, from the options, the environment, or the user store; None without one.

    Raises PelionError for a host that is not one, and for a saved key that is not for the host asked for.
    """
    host = api_url(arguments["api_host"]) if arguments["api_host"] else None
    key: ApiKey | None
    if arguments["api_key"]:
        origin = variable_of(arguments["api_key"]) or "given as api_key"
        key = ApiKey(arguments["api_key"].strip(), host or PelionApi.DEFAULT_HOST, origin)
    else:
        key = stores.user.read(ApiKey, ApiKey.NAME)
        if key is None:
            return None
        if host not in (None, key.host):
            raise PelionError(
                f"The saved API key is for {key.host} and is not sent to {host}, which api_host names. "
                "Give a key for that host, or leave api_host out."
            )
    register_secret(key.key)
    return key


def require_key(arguments: dict[str, Any], stores: Stores) -> ApiKey:
    """As find_key; raises PelionError when there is no API key."""
    key = find_key(arguments, stores)
    if key is None:
        raise PelionError(
            "No API key: there is none in PELION_API_KEY or MBED_CLOUD_SDK_API_KEY, and none is saved in the user "
            f"store {stores.user.directory}. Set PELION_API_KEY, or save one with pelion.mbl.save_api_key. Keys are "
            "made in the portal, under access management."
        )
    return key


def open_api(action: Action, arguments: dict[str, Any], stores: Stores) -> PelionApi:
    """The client that the options describe, with the key that require_key gives."""
    return connect(action, arguments, require_key(arguments, stores))


def connect(action: Action, arguments: dict[str, Any], key: ApiKey) -> PelionApi:
    """A client with ``key`` and the other options of ``arguments``."""
    if not arguments["validate_certs"]:
        action.warn("validate_certs is false: anybody between here and the API can read the API key.")
    transport = ApiTransport(
        key.host,
        key.key,
        warn=action.warn,
        ca_path=arguments["ca_path"],
        validate_certs=arguments["validate_certs"],
        timeout=arguments["api_timeout"],
        retries=arguments["api_retries"],
        origin=key.origin,
    )
    return PelionApi(transport, warn=action.warn)
