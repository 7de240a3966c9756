# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.store.vault import Vault
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, find_key, open_api
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores
from ..plugin_utils.team.developer_certificates import (
    DeveloperCertificateKeeper,
    Outcome,
    check_request,
    from_store,
)


class ActionModule(Action):
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent", "inactive"], "default": "present"},
        "description": {"type": "str"},
        "create": {"type": "bool", "default": True},
        "verify": {"type": "bool"},
        "force": {"type": "bool", "default": False},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        check_request(arguments["name"], arguments["description"])
        outcome = self._outcome(arguments)
        for warning in outcome.warnings:
            self.warn(warning)
        result = {
            "changed": outcome.changed,
            "source": outcome.source,
            "devices": outcome.devices,
            **outcome.facts,
        }
        if self._task.diff:
            result["diff"] = {"before": outcome.before, "after": outcome.after}
        return result

    def _outcome(self, arguments: dict[str, Any]) -> Outcome:
        name, state, verify = arguments["name"], arguments["state"], arguments["verify"]
        stores = open_stores(self, arguments)
        if verify is None:
            verify = find_key(arguments, stores) is not None
        if state == "present":
            if not verify and (stored := from_store(stores.team, name)):
                return stored
            # A certificate that is made and then cannot be kept would be a bad surprise.
            Vault.of_this_run(self._loader, arguments["vault_id"]).encrypt(b"")
        with open_api(self, arguments, stores) as api:
            keeper = DeveloperCertificateKeeper(api, stores.team, name, dry_run=self.check_mode)
            if state == "absent":
                return keeper.absent(force=arguments["force"])
            if state == "inactive":
                return keeper.inactive(arguments["description"])
            return keeper.present(arguments["description"], create=arguments["create"], force=arguments["force"])
