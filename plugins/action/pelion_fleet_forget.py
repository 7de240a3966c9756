# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..plugin_utils.fleet.memory import (
    Remembered,
    forget,
    forget_host_keys,
    read_fleet,
    unknown_names,
    write_fleet,
)
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
        change = forget_host_keys if arguments["host_keys_only"] else forget
        before = read_fleet(team)
        inventory = set(self._task_vars.get("groups", {}).get("all", ()))
        seen = names_seen(self)
        # A board that is there is not to be forgotten by mistake.
        suggested = None if arguments["host_keys_only"] else before.keys() - inventory
        for name, near in unknown_names(before, names, inventory | seen, suggested).items():
            hint = f" Did you mean {near}?" if near else ""
            self.warn(f"{name} is neither in the inventory nor among the boards that the team remembers.{hint}")
        after = change(before, names)
        if after != before and not self.check_mode:
            with team.locked():
                before = read_fleet(team)
                after = change(before, names)
                write_fleet(team, after)
        if not self.check_mode:
            miss_no_longer(self, names)
        forgotten = sorted(name for name, board in before.items() if after.get(name) != board)
        result: dict[str, Any] = {"changed": bool(forgotten), "forgotten": forgotten}
        if self.diff_mode:
            result["diff"] = {"before": _described(before, names), "after": _described(after, names)}
        return result


def _described(boards: dict[str, Remembered], names: list[str]) -> dict[str, Any]:
    return {name: asdict(boards[name]) for name in names if name in boards}
