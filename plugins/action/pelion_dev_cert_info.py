# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils.task.action import Action
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores
from ..plugin_utils.team.certificate_overview import CertificateOverview


class ActionModule(Action):
    ARGUMENTS = {**PELION_ARGUMENTS, **STORE_ARGUMENTS}

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        stores = open_stores(self, arguments)
        with open_api(self, arguments, stores) as api:
            overview = CertificateOverview.take(api, stores.team)
        for error in overview.unreadable:
            self.warn(error)
        return {"changed": False, "certificates": overview.describe()}
