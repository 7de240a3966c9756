# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step of a run in which one board is brought to what was decided for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..board.board import Board
from ..board.inspection import Inspection
from ..store.store import Store
from .injecting import Warn, bring_to, read_items
from .part import Part
from .proof import Claim
from .reasons import WORK_REASONS
from .work import NOT_IN_STORE, Work, work_for


def carry_out(
    name: str,
    board: Board,
    found: Inspection,
    part: Part,
    team: Store,
    host_keys: Callable[[], Sequence[str]],
    warn: Warn,
    *,
    dry_run: bool,
    diff: bool = False,
) -> dict[str, Any]:
    """Give the ``board`` of that ``name`` its ``part``, and return the task's result, with a claim where the Device
    Directory is to prove it. ``host_keys`` gives the fingerprints that are proven of it by now.

    Raises what bring_to and read_items do.
    """
    items, work = None, NOT_IN_STORE
    if not (dry_run and part.to_be_made):  # until then, the store has what is to be replaced
        items = read_items(team, part.dev_cert, part.update_resources, warn, dry_run=dry_run)
    if items is not None:
        work = work_for(found, items, part.when_bootstrapped)
    elif part.holds:
        work = Work(reconnect=found.registered is False)
    if part.reconnect and not work.changes:
        work = replace(work, reconnect=True)
    names = (part.dev_cert, part.update_resources)
    result = bring_to(
        board, found, work, items, part.registration_timeout, warn, dry_run=dry_run, diff_names=names if diff else None
    )
    if part.reconnect:
        result["reasons"].append(part.reconnect.text(WORK_REASONS))
        result["reason_codes"].append(part.reconnect.code)
    if result["changed"] and part.registration_timeout and not dry_run:
        claim = Claim(
            name,
            result["device_id"],
            part.dev_cert,
            developer_certificate=result["after"]["developer_certificate"]["fingerprint"],
            bootstrapped=work.inject and work.bootstrap != "as-is",
            bootstrapped_at=part.bootstrapped_at,
            timeout=part.registration_timeout,
            host_keys=tuple(host_keys()),
            site=part.site,
            injected=work.inject,
            update_resources=part.update_resources,
            update_certificate=result["after"]["update_certificate"]["fingerprint"],
            drift=found.drift,
        )
        result["claim"] = claim.to_json()
    return result
