# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.board.board import record_of
from ..plugin_utils.board.inspection import Inspection
from ..plugin_utils.board.items import Items
from ..plugin_utils.fleet.injecting import bring_to, read_items
from ..plugin_utils.fleet.reasons import failure
from ..plugin_utils.fleet.refusals import holds_unknown_update, unknown_update
from ..plugin_utils.fleet.wishes import REFUSE, WHEN_BOOTSTRAPPED, WHEN_UPDATE_UNKNOWN
from ..plugin_utils.fleet.work import NOT_IN_STORE, work_for
from ..plugin_utils.store.store import Store
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import BOARD_ARGUMENTS, board_of
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores
from ..plugin_utils.team.known_certificates import known_update_certificates, mbl_cli_store_in


class ActionModule(Action):
    ARGUMENTS = {
        "dev_cert": {"type": "str", "required": True},
        "update_resources": {"type": "str", "required": True},
        "when_bootstrapped": {"type": "str", "choices": list(WHEN_BOOTSTRAPPED), "default": REFUSE},
        "when_update_unknown": {"type": "str", "choices": list(WHEN_UPDATE_UNKNOWN), "default": REFUSE},
        "registration_timeout": {"type": "int", "default": 120},
        **BOARD_ARGUMENTS,
        **STORE_ARGUMENTS,
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        team = open_stores(self, arguments).team
        names = (arguments["dev_cert"], arguments["update_resources"])
        items = read_items(team, *names, self.warn, dry_run=self.check_mode)
        board = board_of(self, arguments)
        found = board.inspect(may_change=not self.check_mode)
        for warning in found.warnings:
            self.warn(warning)
        if items is None:
            work = NOT_IN_STORE
        else:
            work = work_for(found, items, arguments["when_bootstrapped"])
            if work.inject and arguments["when_update_unknown"] == REFUSE:
                self._refuse_unknown_update(team, found, items)
        return bring_to(
            board,
            found,
            work,
            items,
            arguments["registration_timeout"],
            self.warn,
            dry_run=self.check_mode,
            diff_names=names if self.diff_mode else None,
        )

    def _refuse_unknown_update(self, team: Store, found: Inspection, items: Items) -> None:
        known = known_update_certificates(team, self.warn)
        fingerprint = unknown_update(found, record_of(items)["update_certificate"], known)
        if fingerprint:
            raise failure(holds_unknown_update(fingerprint, team.place, mbl_cli_store_in(team)))
