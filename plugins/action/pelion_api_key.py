# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.cloud.api_key import ApiKey
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, connect, require_key
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(Action):
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        stores = open_stores(self, arguments)
        if arguments["state"] == "absent":
            saved = stores.user.has(ApiKey, ApiKey.NAME)
            if saved and not self.check_mode:
                stores.user.remove(ApiKey, ApiKey.NAME)
            return {"changed": saved}
        key = require_key(arguments, stores)
        with connect(self, arguments, key) as api:
            account = api.account()
        changed = stores.user.read(ApiKey, ApiKey.NAME) != key
        if changed and not self.check_mode:
            stores.user.write(ApiKey.NAME, key)
        return {
            "changed": changed,
            "account_id": account.id,
            "account_name": account.display_name,
            "tier": account.tier,
            "api_host": key.host,
        }
