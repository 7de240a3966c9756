# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any, TypeVar

from ..plugin_utils.board.board import Board, describe_certificate
from ..plugin_utils.board.device import Device
from ..plugin_utils.board.items import Items
from ..plugin_utils.credentials.developer_credentials import DeveloperCredentials
from ..plugin_utils.credentials.update_resources import UpdateResources
from ..plugin_utils.errors import PelionError
from ..plugin_utils.fleet.part import POLICIES, REFUSE, Plan, plan
from ..plugin_utils.store.store import Store
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import DEVICE_ARGUMENTS, device_of
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores

Stored = TypeVar("Stored", DeveloperCredentials, UpdateResources)


class ActionModule(Action):
    ARGUMENTS = {
        "dev_cert": {"type": "str", "required": True},
        "update_resources": {"type": "str", "required": True},
        "when_bootstrapped": {"type": "str", "choices": list(POLICIES), "default": REFUSE},
        "found": {"type": "dict"},
        "registration_timeout": {"type": "int", "default": 120},
        **DEVICE_ARGUMENTS,
        **STORE_ARGUMENTS,
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        items, known_updates = self._items(arguments)
        device = device_of(self, arguments["lock_timeout"])
        board = self._found(arguments["found"]) or device.inspect(may_change=not self.check_mode)
        if board.interrupted:
            self.warn("An injection was cut off on this board; a run without --check puts back what it held before.")
        if items is None:
            return self._result(board, Plan(reasons=("the team store does not have its credentials yet",)), None)
        work = plan(board, items, arguments["when_bootstrapped"])
        held = board.update_certificate
        if work.inject and held and held["fingerprint"] not in known_updates:
            self.warn(
                f"The update certificate of {self._task_vars['inventory_hostname']} ({held['fingerprint'][:16]}…) is "
                "none of those that the team store has under this name; once it is replaced, the board takes no more "
                "updates that are signed with the former key. Is this the store that it was provisioned from?"
            )
        result = self._result(board, work, items)
        if work.changes and not self.check_mode:
            self._carry_out(device, board, work, items, arguments["registration_timeout"], result)
        return result

    def _found(self, found: dict[str, Any] | None) -> Board | None:
        """What an earlier task found, unless there is something to undo or to tidy up on the board first."""
        try:
            board = Board.from_json(found) if found else None
        except ValueError as error:
            raise PelionError(f"found must be what pelion.mbl.mbl_pelion_status returned as found: {error}.") from error
        return None if board is None or board.interrupted else board

    def _items(self, arguments: dict[str, Any]) -> tuple[Items | None, set[str]]:
        """What should be on the board, and the fingerprints of the update certificates that it may hold by now.

        There are no items in check mode when an earlier task would have made them.
        """
        team = open_stores(self, arguments).team
        developer = self._stored(team, DeveloperCredentials, arguments["dev_cert"], "pelion_dev_cert")
        update = self._stored(team, UpdateResources, arguments["update_resources"], "mbl_update_resources")
        if not developer or not update:
            return None, set()
        known = {update.fingerprint, *(former.fingerprint for former in update.former)}
        return Items.of(developer.values, update.values), known

    def _stored(self, store: Store, kind: type[Stored], name: str, module: str) -> Stored | None:
        found = store.read(kind, name)
        if found is not None:
            for warning in found.check():
                self.warn(warning)
        elif not self.check_mode:
            raise PelionError(f"The team store has no {kind.KIND} named {name!r}. Run pelion.mbl.{module} first.")
        return found

    def _result(self, board: Board, work: Plan, items: Items | None) -> dict[str, Any]:
        before = board.describe()
        after = {
            "developer_certificate": items and describe_certificate(items.developer_certificate),
            "update_certificate": items and describe_certificate(items.update_certificate),
            "provisioned_by": "pelion.mbl",
            "missing_items": [],
        }
        fingerprint = items and items.fingerprint
        result: dict[str, Any] = {
            "changed": work.changes or board.recovered,
            "injected": work.inject,
            "reconnected": work.reconnect,
            "recovered": board.recovered,
            "reasons": list(work.reasons),
            "fingerprint": fingerprint,
            "before": before,
            "after": after,
            "registered": board.registered,
            "device_id": board.log.device_id,
        }
        if self._task.diff:
            result["diff"] = {
                "before": before | {"fingerprint": board.record.get("fingerprint")},
                "after": after | {"fingerprint": fingerprint},
            }
        return result

    def _carry_out(
        self, device: Device, board: Board, work: Plan, items: Items, timeout: int, result: dict[str, Any]
    ) -> None:
        """The second exchange; completes ``result``."""
        if work.inject:
            log = device.inject(
                items, found_digest=board.kcm_digest, bootstrap=work.bootstrap, registration_timeout=timeout
            )
        else:
            log = device.reconnect(registration_timeout=timeout)
        result |= {"registered": bool(log.registered), "device_id": log.device_id}
        if timeout and not log.registered:
            did = "The credentials are on the board, but it" if work.inject else "The board"
            said = f"Its client says: {log.error}." if log.error else "Its client says nothing of it."
            raise PelionError(
                f"{did} did not register within {timeout} seconds. {said} Look at /var/log/mbl-cloud-client.log there, "
                "at its network and at its clock, then run again.",
                **result,
            )
