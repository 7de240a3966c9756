# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from ..plugin_utils.board.description import BoardStatus
from ..plugin_utils.errors import PelionError
from ..plugin_utils.report.endings import ending_text, endings, unchecked_text
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.reporting import answers_of
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores
from ..plugin_utils.team.store_report import report


class ActionModule(Action):
    BYPASS_HOST_LOOP = True  # see pelion_fleet_check
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        "boards": {"type": "dict", "default": {}},
        "within_days": {"type": "int", "default": 30},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        stores = open_stores(self, arguments, only_read=True)
        stored = report(stores.team, warn_days=0)
        # An entry that has ended is one of those that are looked for; without a date, nothing is known of it.
        unreadable = [entry["problem"] for entry in stored if entry["problem"] and "not_after" not in entry]
        if unreadable:
            # With a wrong secret, one error is enough.
            stores.team.require_secret()
        with open_api(self, arguments, stores) as api:
            in_cloud = api.developer_certificates()
        answers = answers_of(arguments["boards"])
        boards = {board: answer for board, answer in answers.items() if isinstance(answer, BoardStatus)}
        unchecked = {board: answer for board, answer in answers.items() if not isinstance(answer, BoardStatus)}
        found = endings(
            datetime.now(timezone.utc),
            arguments["within_days"],
            boards=boards,
            stored=stored,
            in_cloud=in_cloud,
        )
        facts = [asdict(ending) for ending in found]
        problems = [*ending_text(found, arguments["within_days"]), *unreadable, *unchecked_text(unchecked)]
        if problems:
            raise PelionError(" ".join(problems), ending=facts, unchecked=list(unchecked))
        return {"changed": False, "ending": facts, "unchecked": []}
