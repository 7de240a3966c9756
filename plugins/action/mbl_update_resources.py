# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""mbl_update_resources: see plugins/modules/mbl_update_resources.py."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..plugin_utils.credentials.signing_files import SigningFiles
from ..plugin_utils.credentials.signing_key import key_in_token
from ..plugin_utils.credentials.update_certificate import DEFAULT_VALID_DAYS, common_name, derive_ids, parse_id
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.given_files import GivenResources, read_update_resources
from ..plugin_utils.task.store_options import COLLECTION, STORE_ARGUMENTS, open_stores
from ..plugin_utils.team.update_keeper import Renewal, UpdateKeeper


class ActionModule(Action):
    ARGUMENTS = {
        **STORE_ARGUMENTS,
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "src": {"type": "str"},
        "private_key_src": {"type": "str", "no_log": False},
        "private_key_uri": {"type": "str"},
        "vendor_domain": {"type": "str"},
        "device_class": {"type": "str"},
        "vendor_id": {"type": "str"},
        "class_id": {"type": "str"},
        "subject": {"type": "str"},
        "valid_days": {"type": "int", "default": DEFAULT_VALID_DAYS},
        "replace": {"type": "bool", "default": False},
        "renew_before_days": {"type": "int"},
        "renew_if_made_before": {"type": "str"},
        "warn_days": {"type": "int", "default": 30},
        "export_dir": {"type": "path"},
        "fingerprint": {"type": "str"},
        "key_in_clear": {"type": "bool", "default": True},
        "force": {"type": "bool", "default": False},
    }
    RULES = {
        "mutually_exclusive": [
            ["src", "vendor_domain", "vendor_id"],
            ["src", "subject"],
            ["private_key_src", "private_key_uri"],
        ],
        "required_together": [["vendor_domain", "device_class"], ["vendor_id", "class_id"]],
        "required_by": {"private_key_src": ["src"], "private_key_uri": ["src"], "fingerprint": ["export_dir"]},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        stores = open_stores(self, arguments)
        keeper = UpdateKeeper(stores.team, arguments["name"], dry_run=self.check_mode)
        exported: list[str] = []
        if arguments["state"] == "absent":
            outcome = keeper.absent(force=arguments["force"])
        else:
            files = self._signing_files(arguments)
            given = self._given(arguments)
            outcome = keeper.present(
                given=given.resources if given else None,
                ids=_ids(arguments),
                subject=_subject(arguments),
                valid_days=arguments["valid_days"],
                renewal=Renewal.of(arguments["renew_before_days"], arguments["renew_if_made_before"]),
                replace=arguments["replace"],
                warn_days=arguments["warn_days"],
                require=files.require_possible if files else None,
            )
            for notice in outcome.notices:
                self.warn(notice)
            if given and given.key_beside and outcome.changed:
                kept = "would now be" if self.check_mode else "is now"
                self.warn(
                    f"The signing key of {arguments['src']} {kept} in the team store, encrypted. Once the store is "
                    f"backed up, remove the copy in clear: {given.key_beside}."
                )
            if files and outcome.credentials:
                exported = files.write(outcome.credentials, dry_run=self.check_mode)
        return {
            "changed": outcome.changed or bool(exported),
            "name": arguments["name"],
            "source": outcome.source,
            "exported": exported,
            **outcome.facts,
            "diff": {"before": _shown(outcome.before), "after": _shown(outcome.after)},
        }

    def _given(self, arguments: dict[str, Any]) -> GivenResources | None:
        src, uri = arguments["src"], arguments["private_key_uri"]
        if not src:
            return None
        given = read_update_resources(self, src, arguments["private_key_src"])
        if not uri:
            return given
        key = key_in_token(uri, given.resources.der)
        return GivenResources(replace(given.resources, private_key=key))

    def _signing_files(self, arguments: dict[str, Any]) -> SigningFiles | None:
        if not arguments["export_dir"]:
            return None
        given = arguments["export_dir"]
        directory = Path(self._loader.path_dwim(given))
        if not Path(given).is_absolute() and COLLECTION in directory.resolve().parents:
            # The playbook is the collection's own, and the user is elsewhere.
            directory = Path(given).absolute()
        return SigningFiles(
            directory,
            arguments["vendor_domain"],
            arguments["device_class"],
            fingerprint=arguments["fingerprint"],
            signing_tool=None if arguments["key_in_clear"] else COLLECTION / "scripts/sign-update",
        )


def _shown(facts: Mapping[str, Any]) -> dict[str, Any]:
    """For a diff that people read: without what is not known before it is made."""
    return {name: value for name, value in facts.items() if value is not None}


def _ids(arguments: dict[str, Any]) -> tuple[uuid.UUID, uuid.UUID] | None:
    if arguments["vendor_domain"]:
        return derive_ids(arguments["vendor_domain"], arguments["device_class"])
    if arguments["vendor_id"]:
        return parse_id("vendor_id", arguments["vendor_id"]), parse_id("class_id", arguments["class_id"])
    return None


def _subject(arguments: dict[str, Any]) -> str | None:
    domain = arguments["vendor_domain"]
    return arguments["subject"] or (common_name(domain) if domain else None)
