# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a board to hold credentials of the team store: what mbl_kcm_inject and the role's own action share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ..board.answers import Restart
from ..board.board import Board
from ..board.inspection import Inspection
from ..board.items import Items
from ..board.kcm import is_empty
from ..credentials.certified import describe_certificate
from ..credentials.developer_credentials import DeveloperCredentials
from ..credentials.update_resources import UpdateResources
from ..reasons import Reason
from ..store.store import Store
from .reasons import WORK_REASONS, failure
from .work import Work

Stored = TypeVar("Stored", DeveloperCredentials, UpdateResources)
Warn = Callable[[str], None]


def read_items(team: Store, dev_cert: str, update_resources: str, warn: Warn, *, dry_run: bool) -> Items | None:
    """What a board is to hold; None in a dry run, when an earlier step would have made it.

    Raises PelionError when the store does not have it, CredentialError when it must not reach a board.
    """
    developer = _stored(team, DeveloperCredentials, dev_cert, "pelion_dev_cert", warn, dry_run)
    update = _stored(team, UpdateResources, update_resources, "mbl_update_resources", warn, dry_run)
    return Items.of(developer.values, update.values) if developer and update else None


def bring_to(
    board: Board,
    found: Inspection,
    work: Work,
    items: Items | None,
    registration_timeout: int,
    warn: Warn,
    *,
    dry_run: bool,
    diff_names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Do ``work`` on the board, unless in a dry run, and return the task's result. With ``diff_names``, what the store
    calls the developer credentials and the update resources, it has a diff.

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
        "changed": work.changes or found.recovered or found.interrupted,
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
    if diff_names is not None:
        result["diff"] = {"before": shown(before), "after": shown(after, diff_names, planned=items is None)}
    if work.changes and not dry_run:
        restart = _carry_out(board, found, work, items, registration_timeout, result)
        for warning in restart.warnings:
            warn(warning)
    return result


def shown(state: Mapping[str, Any], names: Sequence[str] = (), *, planned: bool = False) -> dict[str, Any]:
    """``state`` of a board (its description, or what it is to hold) for a diff that people read. With ``planned``, an
    earlier task would make what it is to hold."""
    told: dict[str, Any] = {}
    for number, title in enumerate(("developer_certificate", "update_certificate")):
        held = state.get(title)
        name = names[number] if names else held and held.get("common_name")
        if held:
            end = (held.get("not_after") or "no end")[:10]
            told[title] = f"{name or 'no name'}, ends {end}, SHA-256 {held['fingerprint'][:16]}..."
        else:
            told[title] = f"{name}, which would be made" if planned else "none"
    missing = state.get("missing_items")
    told["missing"] = "none" if not missing else "everything" if is_empty(missing) else list(missing)
    return told | {"provisioned_by": state.get("provisioned_by") or "nobody"}


def _stored(store: Store, kind: type[Stored], name: str, module: str, warn: Warn, dry_run: bool) -> Stored | None:
    found = store.read(kind, name)
    if found is not None:
        for warning in found.check():
            warn(warning)
    elif not dry_run:
        text = f"The team store has no {kind.KIND} named {name!r}. Run pelion.mbl.{module} first."
        raise failure(Reason("store", {"text": text}))
    return found


def _carry_out(
    board: Board, found: Inspection, work: Work, items: Items | None, timeout: int, result: dict[str, Any]
) -> Restart:
    """The second exchange; completes ``result``."""
    if work.inject and items is not None:
        restart = board.inject(
            items,
            found_digest=found.kcm_digest,
            bootstrap=work.bootstrap,
            registration_timeout=timeout,
            # A board that does not bootstrap registers at another server, which it alone knows.
            server=items.server if timeout and work.bootstrap != "as-is" else None,
        )
    else:
        restart = board.reconnect(found_digest=found.kcm_digest, registration_timeout=timeout)
    result |= {"registered": bool(restart.registered), "device_id": restart.device_id}
    if timeout and not restart.registered:
        reason = Reason(
            "injected-not-registered" if work.inject else "reconnected-not-registered",
            {"timeout": timeout, "client_says": restart.error or "nothing of it"},
        )
        raise failure(reason, **result)
    return restart
