# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..plugin_utils.fleet.forgetting import forget_boards
from ..plugin_utils.fleet.memory import Remembered, read_fleet, unknown_names
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.seen_boards import miss_no_longer, names_seen
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(Action):
    ARGUMENTS = {
        **STORE_ARGUMENTS,
        "names": {"type": "list", "elements": "str", "required": True},
        "host_keys_only": {"type": "bool", "default": False},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        team, names = open_stores(self, arguments, only_read=True).team, arguments["names"]
        before = read_fleet(team)
        inventory = set(self._task_vars.get("groups", {}).get("all", ()))
        seen = names_seen(self)
        # A board that is there is not to be forgotten by mistake.
        suggested = None if arguments["host_keys_only"] else before.keys() - inventory
        for name, near in unknown_names(before, names, inventory | seen, suggested).items():
            hint = f" Did you mean {near}?" if near else ""
            self.warn(f"{name} is neither in the inventory nor among the boards that the team remembers.{hint}")
        gone = forget_boards(team, names, host_keys_only=arguments["host_keys_only"], dry_run=self.check_mode)
        if not self.check_mode:
            miss_no_longer(self, names)
        result: dict[str, Any] = {"changed": bool(gone.names), "forgotten": gone.names}
        if self.diff_mode:
            result["diff"] = {"before": _described(gone.before, names), "after": _described(gone.after, names)}
        return result


def _described(boards: Mapping[str, Remembered], names: list[str]) -> dict[str, Any]:
    return {name: asdict(boards[name]) for name in names if name in boards}
