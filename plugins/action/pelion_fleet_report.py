# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

from ..plugin_utils.cloud.api_answers import DEVELOPER_MODE
from ..plugin_utils.fleet.memory import read_fleet
from ..plugin_utils.fleet.update_proof import standing_proofs
from ..plugin_utils.report.status import Fleet, held_update_certificate, status_report
from ..plugin_utils.store.errors import StoreError
from ..plugin_utils.store.store import Store
from ..plugin_utils.store.vault import NoSecretError
from ..plugin_utils.task.action import Action, plain
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.readiness_options import TERMS_ARGUMENTS, terms_of
from ..plugin_utils.task.reporting import answers_of, result_of
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores
from ..plugin_utils.team.signers import Signers, read_signers


class ActionModule(Action):
    BYPASS_HOST_LOOP = True  # see pelion_fleet_check
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        "boards": {"type": "dict", "required": True},
        "addresses": {"type": "dict", "default": {}},
        "inventory": {"type": "list", "elements": "str", "default": []},
        "roster": {"type": "list", "elements": "str", "default": []},
        "site": {"type": "str", "default": ""},
        "verify": {"type": "bool", "default": True},
        **TERMS_ARGUMENTS,
        "dest": {"type": "path"},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        stores = open_stores(self, arguments, only_read=True)
        answers, remembered = answers_of(arguments["boards"]), read_fleet(stores.team)
        devices, certificates, ahead = None, [], timedelta(0)
        if arguments["verify"]:
            with open_api(self, arguments, stores) as api:
                devices = list(api.devices({"device_execution_mode__eq": DEVELOPER_MODE}))
                certificates = api.developer_certificates()
                ahead = api.ahead
        report = status_report(
            Fleet(
                answers,
                {name: str(address) for name, address in arguments["addresses"].items()},
                arguments["inventory"],
                arguments["roster"],
                remembered,
                devices,
                certificates,
                arguments["site"],
                self._signers(stores.team),
                standing_proofs(
                    {name: board.update_proof for name, board in remembered.items()},
                    {name: held_update_certificate(answer) for name, answer in answers.items()},
                ),
            ),
            terms_of(arguments, ahead),
            playbook="status",
            problems=[plain(problem)] if (problem := self._task_vars.get("mbl_discovery_problem")) else [],
        )
        kept = stores.user.directory / "last-status"
        return result_of(report, arguments["dest"], arguments["inventory"], None if self.check_mode else kept)

    def _signers(self, team: Store) -> Signers | None:
        """A fleet can be looked at without the vault secret, and then they are not known."""
        with contextlib.suppress(StoreError, NoSecretError):
            return read_signers(team)
        return None
