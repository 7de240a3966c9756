# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a board to hold credentials of the team store: what mbl_kcm_inject and the role's own action share."""

from __future__ import annotations

from typing import Any, TypeVar

from ..board.answers import Restart
from ..board.board import Board
from ..board.inspection import Inspection
from ..board.items import Items
from ..credentials.certified import describe_certificate
from ..credentials.developer_credentials import DeveloperCredentials
from ..credentials.update_resources import UpdateResources
from ..fleet.reasons import WORK_REASONS, failure
from ..fleet.work import Work
from ..reasons import Reason
from ..store.store import Store
from .action import Action

Stored = TypeVar("Stored", DeveloperCredentials, UpdateResources)


def read_items(action: Action, team: Store, dev_cert: str, update_resources: str) -> Items | None:
    """What a board is to hold; None in check mode, when an earlier task would have made it.

    Raises PelionError when the store does not have it, CredentialError when it must not reach a board.
    """
    developer = _stored(action, team, DeveloperCredentials, dev_cert, "pelion_dev_cert")
    update = _stored(action, team, UpdateResources, update_resources, "mbl_update_resources")
    return Items.of(developer.values, update.values) if developer and update else None


def bring_to(
    action: Action, board: Board, found: Inspection, work: Work, items: Items | None, registration_timeout: int
) -> dict[str, Any]:
    """Do ``work`` on the board, unless in check mode, and return the task's result.

    Raises BoardError when the board could not do it, and PelionError when it did not register in time.
    """
    before = found.describe()
    after: dict[str, Any] = {
        "developer_certificate": items and describe_certificate(items.developer_certificate),
        "update_certificate": items and describe_certificate(items.update_certificate),
        "provisioned_by": "pelion.mbl",
        "missing_items": [],
    }
    fingerprint = items and items.fingerprint
    result: dict[str, Any] = {
        "changed": work.changes or found.recovered,
        "injected": work.inject,
        "reconnected": work.reconnect,
        "recovered": found.recovered,
        "reasons": [reason.text(WORK_REASONS) for reason in work.reasons],
        "reason_codes": [reason.code for reason in work.reasons],
        "fingerprint": fingerprint,
        "before": before,
        "after": after,
        "registered": found.registered,
        "device_id": found.device_id,
    }
    if action.diff_mode:
        result["diff"] = {
            "before": before | {"fingerprint": found.record.get("fingerprint")},
            "after": after | {"fingerprint": fingerprint},
        }
    if work.changes and not action.check_mode:
        restart = _carry_out(board, found, work, items, registration_timeout, result)
        for warning in restart.warnings:
            action.warn(warning)
    return result


def _stored(action: Action, store: Store, kind: type[Stored], name: str, module: str) -> Stored | None:
    found = store.read(kind, name)
    if found is not None:
        for warning in found.check():
            action.warn(warning)
    elif not action.check_mode:
        text = f"The team store has no {kind.KIND} named {name!r}. Run pelion.mbl.{module} first."
        raise failure(Reason("store", {"text": text}))
    return found


def _carry_out(
    board: Board, found: Inspection, work: Work, items: Items | None, timeout: int, result: dict[str, Any]
) -> Restart:
    """The second exchange; completes ``result``."""
    if work.inject and items is not None:
        restart = board.inject(
            items, found_digest=found.kcm_digest, bootstrap=work.bootstrap, registration_timeout=timeout
        )
    else:
        restart = board.reconnect(registration_timeout=timeout)
    result |= {"registered": bool(restart.registered), "device_id": restart.device_id}
    if timeout and not restart.registered:
        reason = Reason(
            "injected-not-registered" if work.inject else "reconnected-not-registered",
            {"timeout": timeout, "client_says": restart.error or "nothing of it"},
        )
        raise failure(reason, **result)
    return restart
