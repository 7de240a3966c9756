# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plugin_utils.task.action import Action
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, find_key, open_api
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores
from ..plugin_utils.team.developer_certificates import (
    DeveloperCertificateKeeper,
    check_request,
    from_store,
)
from ..plugin_utils.team.outcome import Outcome


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
        for notice in outcome.notices:
            self.warn(notice)
        result = {"changed": outcome.changed, "source": outcome.source, **outcome.facts}
        if self.diff_mode:
            result["diff"] = {"before": _shown(outcome.before), "after": _shown(outcome.after)}
        return result

    def _outcome(self, arguments: dict[str, Any]) -> Outcome:
        name, state, verify = arguments["name"], arguments["state"], arguments["verify"]
        stores = open_stores(self, arguments)
        if verify is None:
            verify = find_key(arguments, stores) is not None
        if state == "present" and not verify and (stored := from_store(stores.team, name)):
            return stored
        with open_api(self, arguments, stores) as api:
            keeper = DeveloperCertificateKeeper(api, stores.team, name, dry_run=self.check_mode)
            if state == "absent":
                return keeper.absent(force=arguments["force"])
            if state == "inactive":
                return keeper.inactive(arguments["description"])
            return keeper.present(arguments["description"], create=arguments["create"], force=arguments["force"])


def _shown(state: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """What cloud and store have, for a diff that people read."""
    return {
        place: "none" if held is None else {name: value for name, value in held.items() if value} or "a new one"
        for place, held in state.items()
    }
