# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

from ..plugin_utils.credentials.update_resources import UpdateResources
from ..plugin_utils.fleet.deciding import decide_for
from ..plugin_utils.fleet.wishes import UpdateWish
from ..plugin_utils.task.fleet_action import FleetAction
from ..plugin_utils.task.given_files import read_update_resources
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.readiness_options import TERMS_ARGUMENTS, terms_of
from ..plugin_utils.task.seen_boards import miss_no_longer
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(FleetAction):
    BYPASS_HOST_LOOP = True  # see pelion_fleet_check
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        "asked": {"type": "dict", "required": True},
        "verify": {"type": "bool", "default": True},
        **TERMS_ARGUMENTS,
        "only_look": {"type": "bool", "default": False},
    }

    def take_step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        stores = open_stores(self, arguments)
        with open_api(self, arguments, stores) if arguments["verify"] else contextlib.nullcontext() as api:
            decided = decide_for(
                arguments["asked"],
                stores.team,
                api,
                self._read_src,
                set(self._task_vars["groups"]["all"]),
                partial(terms_of, arguments),
                self.warn,
                dry_run=self.check_mode,
                only_look=arguments["only_look"],
                limited=bool(self._task_vars.get("ansible_limit")),
                warn_days=arguments["warn_days"],
            )
        miss_no_longer(self, decided.former)
        return {"changed": False, **decided.result}

    def _read_src(self, wish: UpdateWish) -> UpdateResources:
        options = ("provision_pelion_update_src", "provision_pelion_update_private_key_src")
        return read_update_resources(self, wish.src, wish.private_key_src, options).resources
