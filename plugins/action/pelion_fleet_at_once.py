# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import resource
import time
from typing import Any

from ansible.utils.display import Display

from ..plugin_utils.report.failure import has_failed
from ..plugin_utils.task.at_once import HostsAtOnce, NotAtOnceError
from ..plugin_utils.task.fleet_action import FleetAction

TOLD_FIRST = 2.0
"""Seconds after which it is said how far it is; then each time when twice as many have gone by."""

FILES_FOR_A_BOARD = 10
"""That Ansible's ssh plugin has open at a time: pipes to ssh, one for a password, and what starting a program takes."""
OWN_FILES = 100


class ActionModule(FleetAction):
    BYPASS_HOST_LOOP = True  # see pelion_fleet_check
    ARGUMENTS = {
        "task": {"type": "str", "required": True},
        "boards": {"type": "list", "elements": "str"},
        "parallel": {"type": "int", "default": 64},
    }

    def take_step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        batch = [str(name) for name in self._task_vars["ansible_play_batch"]]
        wanted = batch if arguments["boards"] is None else [name for name in batch if name in set(arguments["boards"])]
        if not wanted:
            return {"changed": False, "boards": {}, "one_by_one": [], "failed_boards": []}
        try:
            hosts = HostsAtOnce(self, self._task_vars)
        except NotAtOnceError as why:
            self.warn(f"The boards are worked on one by one, as many at a time as Ansible's `forks` says, since {why}.")
            return {"changed": False, "boards": {}, "one_by_one": wanted, "failed_boards": []}
        parallel = max(1, min(arguments["parallel"], len(wanted)))
        if throttle := int(self._task.throttle or 0):
            parallel = min(parallel, throttle)
        if (possible := most_with_files(parallel)) < parallel:
            parallel = possible
            self.warn(f"Only {parallel} boards are worked on at a time, since a process may not open more files here.")
        boards = dict(
            hosts.results(self._find_needle("tasks", arguments["task"]), wanted, parallel, self._progress(len(wanted)))
        )
        for result in boards.values():
            for warning in result.pop("warnings", ()):
                if warning not in self._warnings:
                    self.warn(warning)
        failed = [name for name in wanted if has_failed(boards.get(name, {}))]
        return {"changed": False, "boards": boards, "one_by_one": [], "failed_boards": failed}

    def _progress(self, all_of_them: int) -> Any:
        began, next_at, display = time.monotonic(), TOLD_FIRST, Display()

        def tell(ended: int) -> None:
            nonlocal next_at
            if time.monotonic() - began >= next_at:
                next_at *= 2
                display.display(f"{self._task.get_name()}: {ended} of {all_of_them} boards so far")

        return tell


def most_with_files(parallel: int) -> int:
    """How many boards, ``parallel`` at the most, this process may have files for. Raises its own limit where it can."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = OWN_FILES + parallel * FILES_FOR_A_BOARD
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(1, (soft - OWN_FILES) // FILES_FOR_A_BOARD)
    return parallel
