# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..plugin_utils.errors import PelionError
from ..plugin_utils.fleet.memory import read_fleet
from ..plugin_utils.report.entries import Report
from ..plugin_utils.report.files import read_report
from ..plugin_utils.report.merging import Silence, merge
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.reporting import result_of
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(Action):
    ARGUMENTS = {
        **STORE_ARGUMENTS,
        "reports": {"type": "dict", "required": True},
        "expected": {"type": "dict", "default": {}},
        "dest": {"type": "path"},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        reports, expected = arguments["reports"], arguments["expected"]
        if strange := expected.keys() - reports.keys():
            raise PelionError(f"expected names the site {sorted(strange)[0]!r}, which is not one of those in reports.")
        sites = {site: _report_or_silence(str(place), expected.get(site) or ()) for site, place in reports.items()}
        team = open_stores(self, arguments, only_read=True).team
        report = merge(sites, datetime.now(timezone.utc), read_fleet(team))
        return result_of(report, arguments["dest"])


def _report_or_silence(place: str, expected: Collection[str]) -> Report | Silence:
    try:
        return read_report(Path(place).absolute())
    except PelionError as error:
        return Silence(str(error), expected)
