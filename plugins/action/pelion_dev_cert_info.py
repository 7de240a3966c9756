# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.cloud.pelion_api import PelionApi
from ..plugin_utils.fleet.assignment import PlannedBoard, plan_certificates, planned_certificates
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores
from ..plugin_utils.team.certificate_overview import CertificateOverview
from ..plugin_utils.team.developer_certificates import check_request

BOARD_ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "fingerprint": {"type": "str"},
    "device_id": {"type": "str"},
}
PLAN_ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "spread": {"type": "bool", "default": False},
    "create": {"type": "bool", "default": True},
    "boards": {"type": "list", "elements": "dict", "required": True, "options": BOARD_ARGUMENTS},
}


class ActionModule(Action):
    ARGUMENTS = {**PELION_ARGUMENTS, **STORE_ARGUMENTS, "plan": {"type": "dict", "options": PLAN_ARGUMENTS}}

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        stores = open_stores(self, arguments)
        wanted = arguments["plan"]
        if wanted:
            check_request(wanted["name"], None)
        with open_api(self, arguments, stores) as api:
            overview = CertificateOverview.take(api, stores.team)
            for error in overview.unreadable:
                self.warn(error)
            result: dict[str, Any] = {"changed": False, "certificates": overview.describe()}
            if wanted:
                result["plan"] = _plan(api, overview, wanted)
        return result


def _plan(api: PelionApi, overview: CertificateOverview, wanted: dict[str, Any]) -> dict[str, Any]:
    left = api.account().certificates_limit - api.trusted_certificate_count() if wanted["create"] else 0
    plan = plan_certificates(
        wanted["name"],
        [
            PlannedBoard(board["name"], board["fingerprint"], overview.counts(board["device_id"], board["fingerprint"]))
            for board in wanted["boards"]
        ],
        planned_certificates(overview),
        spread=wanted["spread"],
        certificates_left=max(left, 0),
    )
    return {"assignments": plan.assignments, "certificates": plan.certificates, "create": plan.create}
