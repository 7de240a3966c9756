# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""pelion_store_import: see plugins/modules/pelion_store_import.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..plugin_utils.cloud.api_host import api_url
from ..plugin_utils.cloud.pelion_api import PelionApi
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, Stores, open_stores
from ..plugin_utils.team.mbl_cli_store import MblCliStoreError, is_mbl_cli_store
from ..plugin_utils.team.store_import import ImportOutcome, Takeover, import_mbl_cli_store


class ActionModule(Action):
    ARGUMENTS = {
        **STORE_ARGUMENTS,
        "src": {"type": "path"},
        "api_host": PELION_ARGUMENTS["api_host"],
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        stores = open_stores(self, arguments)
        api_host = api_url(arguments["api_host"] or PelionApi.DEFAULT_HOST)
        outcomes = {
            directory: import_mbl_cli_store(
                directory, stores.team, stores.user, api_host=api_host, dry_run=self.check_mode
            )
            for directory in self._sources(arguments["src"], stores)
        }
        for directory, outcome in outcomes.items():
            self._tell(directory, outcome)
        entries = [_facts(entry) for outcome in outcomes.values() for entry in outcome.entries]
        return {
            "changed": any(outcome.changed for outcome in outcomes.values()),
            "entries": entries,
            "api_keys": {str(directory): outcome.api_key for directory, outcome in outcomes.items()},
            "diff": {
                "before": {},
                "after": {entry["name"]: entry["kind"] for entry in entries if entry["result"] == "imported"},
            },
        }

    def _sources(self, src: str | None, stores: Stores) -> list[Path]:
        if src:
            # Relative to where the command was given, as a directory's name on a command line is.
            return [Path(src).absolute()]
        # mbl-cli has its stores at the same places.
        places = dict.fromkeys((stores.team.directory, stores.user.directory))
        found = [place for place in places if is_mbl_cli_store(place)]
        if not found:
            raise MblCliStoreError(
                f"There is no store of mbl-cli at {' or '.join(map(str, places))}: it would be a directory with a "
                "config.json, or with directories of .bin files. If it is elsewhere, set src.",
                searched=[str(place) for place in places],
            )
        return found

    def _tell(self, directory: Path, outcome: ImportOutcome) -> None:
        for notice in outcome.notices:
            self.warn(notice)
        for entry in outcome.entries:
            if entry.reason:
                self.warn(f"{entry.old.name!r} was not imported: {entry.reason}")
            for repair in entry.old.repairs if entry.result == "imported" else ():
                self.warn(f"{entry.old.name!r}: {repair}.")
            for notice in entry.old.notices if entry.result == "imported" else ():
                self.warn(f"{entry.old.name!r}: {notice}")
            if entry.old.left_out and entry.result == "imported":
                self.warn(
                    f"{entry.old.name!r}: left out, since pelion-provisioning-util does not use it: "
                    f"{', '.join(entry.old.left_out)}. If something else needs it, keep the old file."
                )
        if outcome.api_key == "refused":
            self.warn(f"The API key in {directory} was not imported: the user store has another one.")
        if outcome.entries or outcome.api_key != "none":
            self.warn(
                f"{directory} still has what mbl-cli wrote, including unencrypted keys. Remove its directories "
                "and config.json once everything works."
            )


def _facts(takeover: Takeover) -> dict[str, Any]:
    old = takeover.old
    return {
        "name": old.name,
        "path": str(old.path),
        "kind": old.entry.KIND if old.entry else None,
        "fingerprint": old.entry.fingerprint if old.entry else None,
        "result": takeover.result,
        "reason": takeover.reason,
        "repairs": list(old.repairs),
        "left_out": list(old.left_out),
        "notices": list(old.notices),
    }
