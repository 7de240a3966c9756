# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: pelion_fleet_summary
type: aggregate
short_description: What became of each board, at the end of a run
description:
  - Ansible loads it with the playbooks beside it. It ends each run with a summary on standard error, and with
    C(-e report=DIR) writes C(fleet.json), C(fleet.csv), C(fleet.junit.xml), C(fleet.prom) and C(fleet.html) there,
    with what has changed since the report that was there before.
  - A callback, since it alone sees boards that failed or were never reached, batches of C(serial), and runs in which
    no board is left; and since it costs no process for each board.
author:
  - The pelion.mbl contributors (@pelion)
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timezone
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible.playbook.block import Block
from ansible.plugins.callback import CallbackBase

from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.files import compared, write_report
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.results import Reported
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.run import Run
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.summary import MOST_COLUMNS, summary
from ansible_collections.pelion.mbl.plugins.plugin_utils.task.kept_results import as_made, keep_results

LOCAL = ("localhost", "127.0.0.1", "::1")


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "pelion_fleet_summary"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._run = Run("")
        self._dest = ""
        self._inventory: Collection[str] = ()
        self._kept = keep_results()

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._run.playbook = Path(playbook._file_name).stem

    def v2_playbook_on_play_start(self, play: Any) -> None:
        # Once for each batch of `serial`.
        variables = play.get_variable_manager()
        self._dest = str(variables.extra_vars.get("report") or "")
        known = variables.get_vars(play=play)
        self._run.check_mode = bool(known.get("ansible_check_mode"))
        self._inventory = variables._inventory.hosts
        hosts = known.get("ansible_play_hosts_all", ())
        boards = [str(host) for host in hosts if host not in LOCAL]
        for board in boards:
            if address := variables._inventory.get_host(board).vars.get("ansible_host"):
                self._run.addresses[board] = str(address)
        self._run.begin_batch(boards if _has_a_task_for_each(play.compile()) else ())

    def v2_runner_on_ok(self, result: Any) -> None:
        made = self._made(result)
        if result._task.run_once or Reported.is_in(made):
            self._run.decided(made)
        else:
            self._run.succeeded(result._host.get_name(), made)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        made = self._made(result)
        if ignore_errors:
            return
        name = result._host.get_name()
        if name in LOCAL or result._task.run_once:
            self._run.stopped(made)
        else:
            self._run.failed(name, made)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        if not result._task.ignore_unreachable:
            self._run.failed(result._host.get_name(), {**result._result, "unreachable": True})

    def _made(self, result: Any) -> dict[str, Any]:
        return as_made(result._result, self._kept.take((result._host.get_name(), result._task._uuid)))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        # Not on standard output, where a user may have chosen a machine's format.
        if reported := self._run.reported:
            for line in (*reported.lines(get_terminal_size((MOST_COLUMNS, 0)).columns), *_where(reported.files)):
                self._display.display(line, stderr=True)
            return
        report = self._run.report(datetime.now(timezone.utc))
        if self._dest:
            report = compared(report, Path(self._dest).absolute(), self._inventory)
        for line in summary(report) if report.boards else ():
            self._display.display(line, stderr=True)
        if self._dest:
            try:
                files = write_report(report, Path(self._dest).absolute())
                for line in _where(files):
                    self._display.display(line, stderr=True)
            except PelionError as error:
                self._display.error(str(error))


def _where(files: Sequence[Any]) -> list[str]:
    """Of a report, the page."""
    return [f"Report: {files[-1]}"] if files else []


def _has_a_task_for_each(parts: Any) -> bool:
    """Whether a play does anything for each of its hosts, so that it is about them, or just decides with them."""
    return any(
        _has_a_task_for_each([*part.block, *part.rescue, *part.always])
        if isinstance(part, Block)
        # What is a template is decided when it is the task's turn.
        else part.run_once is not True and part.action not in C._ACTION_META
        for part in parts
    )
