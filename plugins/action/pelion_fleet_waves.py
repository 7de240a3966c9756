# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.errors import PelionError
from ..plugin_utils.fleet.waves import DEFAULT_WAVES, Wave, divide, names_in, plan
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.given_files import is_given_file, read_given_file


class ActionModule(Action):
    ARGUMENTS = {
        "waves": {"type": "list", "elements": "str", "default": list(DEFAULT_WAVES)},
        "boards": {"type": "list", "elements": "str", "required": True},
        "gets": {"type": "dict", "required": True},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        groups = self._task_vars["groups"]
        named = {name: [name] for name in groups["all"]} | {name: list(boards) for name, boards in groups.items()}
        divided = divide(arguments["boards"], arguments["waves"], named, self._listed)
        waves = [Wave(boards, arguments["gets"]) for boards in divided]
        return {
            "changed": False,
            "waves": [{"boards": list(wave.boards), "to_do": wave.to_do} for wave in waves],
            "order": [board for wave in waves for board in wave.boards],
            "sizes": [len(wave.boards) for wave in waves],
            "plan": plan(waves),
        }

    def _listed(self, path: str) -> list[list[str]] | None:
        if not is_given_file(self, path):
            return None
        found, text = read_given_file(self, "waves", path)
        try:
            return names_in(text.decode())
        except UnicodeDecodeError:
            raise PelionError(f"waves: {found} is not a text file with names of boards.") from None
