# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from ..plugin_utils.credentials.update_resources import UpdateResources
from ..plugin_utils.errors import PelionError
from ..plugin_utils.fleet.identity import Identities
from ..plugin_utils.fleet.memory import note_update_proofs, read_fleet, remember
from ..plugin_utils.fleet.part import Part
from ..plugin_utils.fleet.proof import Claim, Proof, prove, takes_updates
from ..plugin_utils.fleet.reasons import failure
from ..plugin_utils.reasons import Reason
from ..plugin_utils.store.store import Store
from ..plugin_utils.task.action import failed_result
from ..plugin_utils.task.fleet_action import FleetAction
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.readiness_options import TERMS_ARGUMENTS, terms_of
from ..plugin_utils.task.seen_boards import miss_no_longer
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores
from ..plugin_utils.team.signers import Signers


class ActionModule(FleetAction):
    BYPASS_HOST_LOOP = True  # see pelion_fleet_check
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        "asked": {"type": "dict", "required": True},
        "parts": {"type": "dict", "required": True},
        "carried_out": {"type": "dict", "default": {}},
        "told": {"type": "list", "elements": "str", "default": []},
        "tell": {"type": "str", "choices": ["every", "concerned"], "default": "every"},
        "verify": {"type": "bool", "default": True},
        **TERMS_ARGUMENTS,
    }

    def take_step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        claims = {
            name: Claim.from_json(name, done["claim"])
            for name, done in arguments["carried_out"].items()
            if "claim" in done
        }
        unproven, ready = self._prove(claims, arguments) if claims else ({}, {})
        refused = {name: part.refused for name, part in _parts(arguments["parts"]).items() if part.refused}
        refused |= unproven
        in_order = {
            name: {"changed": bool(answer.get("changed"))}
            for name, answer in arguments["asked"].items()
            if not answer.get("failed") and not answer.get("unreachable")
        }
        ended = {**in_order, **arguments["carried_out"]}
        ended |= {name: {"changed": False, **failed_result(failure(reason))} for name, reason in refused.items()}
        told = set(arguments["told"]) - refused.keys()
        tell = [
            name
            for name, result in ended.items()
            if name not in told and (arguments["tell"] == "every" or result.get("failed") or _is_of_note(result))
        ]
        return {"changed": False, "boards": ended, "tell": tell, "proven": sorted(ready), "takes_updates": ready}

    def _prove(
        self, claims: Mapping[str, Claim], arguments: dict[str, Any]
    ) -> tuple[Mapping[str, Reason], dict[str, dict[str, Any]]]:
        """The boards whose claim does not hold, and why; and whether the others, which the team store remembers, take
        updates."""
        stores = open_stores(self, arguments)
        identities = Identities.of(
            (claim.sighting for claim in claims.values()), read_fleet(stores.team), self._task_vars["groups"]["all"]
        )
        proof, ahead = Proof({name: copy.reason for name, copy in identities.copies.items()}), timedelta(0)
        if arguments["verify"]:
            with open_api(self, arguments, stores) as api:
                timeout = max(claim.timeout for claim in claims.values())
                proof = prove(api, list(claims.values()), timeout, identities)
                ahead = api.ahead
        proven = {
            name: identities.now(name, claim.dev_cert, claim.site)
            for name, claim in claims.items()
            if name not in proof.unproven
        }
        try:
            former = identities.former_names(proven)
            injected = {name for name, claim in claims.items() if claim.injected}
            remember(stores.team, proven, former, injected)
            note_update_proofs(stores.team, dict.fromkeys(injected - proven.keys()))
            miss_no_longer(self, former)
        except PelionError as error:
            self.warn(str(error))
        signers = self._signers(stores.team, {claims[name].update_resources for name in proven})
        terms = terms_of(arguments, ahead)
        ready = {name: takes_updates(claims[name], signers, proof.devices, terms).to_json() for name in proven}
        return proof.unproven, ready

    def _signers(self, team: Store, names: Iterable[str]) -> Signers | None:
        """What has just been put on boards was read a moment ago; who has removed it since is told by ``status``."""
        try:
            entries = {name: team.read(UpdateResources, name) for name in names}
        except PelionError as error:
            self.warn(str(error))
            return None
        return Signers.of((name, entry) for name, entry in entries.items() if entry)


def _parts(parts: Mapping[str, Any]) -> dict[str, Part]:
    return {name: Part.from_json(part) for name, part in parts.items()}


def _is_of_note(result: Mapping[str, Any]) -> bool:
    return bool(result.get("unreachable") or result.get("changed"))
