# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done so that a board holds the wanted items and is registered."""

from __future__ import annotations

from dataclasses import dataclass

from ..board import kcm
from ..board.board import record_of
from ..board.errors import BoardError
from ..board.inspection import Inspection
from ..board.items import Items
from .wishes import KEEP_IDENTITY, REFUSE


@dataclass(frozen=True)
class Work:
    """``inject`` with these ``reasons``, else ``reconnect``, else nothing. ``bootstrap`` is for Device.inject."""

    reasons: tuple[str, ...] = ()
    reconnect: bool = False
    bootstrap: str = "as-is"

    @property
    def inject(self) -> bool:
        return bool(self.reasons)

    @property
    def changes(self) -> bool:
        return self.inject or self.reconnect


def work_for(found: Inspection, items: Items, policy: str) -> Work:
    """Compare what a board was ``found`` to hold with the wanted ``items``. Raises BoardError where ``policy`` forbids
    what is needed."""
    if not found.has_utility:
        raise BoardError.of("no-utility")
    reasons = tuple(differences(found, items))
    if not reasons:
        return Work(reconnect=found.registered is False)
    for obstacle in found.obstacles:
        raise BoardError.of(*obstacle)
    used = found.bootstrapped_with
    if used is None:
        return Work(reasons, bootstrap="not-yet")
    wanted, held = record_of(items)["developer_certificate"], found.developer_certificate
    if used["fingerprint"] == wanted:
        return Work(reasons)
    # Another tool puts a certificate on a board without making it bootstrap again, so there it may be of no effect.
    if used["fingerprint"] is None and held and held["fingerprint"] == wanted and policy == REFUSE:
        return Work(reasons)
    if policy == REFUSE:
        name = used["common_name"]
        raise BoardError(
            "This board has already bootstrapped with "
            + (f"the developer certificate {name}" if name else "a developer certificate that nothing tells any more")
            + ", and its client would ignore another one. "
            "Set when_bootstrapped (of the role: provision_pelion_when_bootstrapped) to keep_identity "
            "(it bootstraps again under its device id) or to "
            "new_identity (factory reset: it becomes a new device in the cloud).",
            reason="bootstrapped",
            before=found.describe(),
        )
    return Work(reasons, bootstrap="keep-identity" if policy == KEEP_IDENTITY else "new-identity")


def differences(found: Inspection, items: Items) -> list[str]:
    """Why the board is not proven to hold ``items``: texts for the user, none when it is."""
    if kcm.is_empty(found.missing_items):
        return ["it holds none of the credentials"]
    wanted = record_of(items)
    told = []
    if not found.record:
        told.append("it has no record of what was injected")
    elif found.record.get("fingerprint") != wanted["fingerprint"]:
        told.append("other credentials were injected")
    elif found.record.get("kcm") != found.kcm_digest:
        told.append("its KCM was changed by another tool since")
    for title, held in (("developer", found.developer_certificate), ("update", found.update_certificate)):
        if held is None:
            told.append(f"it holds no {title} certificate")
        elif held["fingerprint"] != wanted[f"{title}_certificate"]:
            told.append(f"it holds another {title} certificate")
    if found.missing_items:
        told.append(f"its KCM lacks {', '.join(found.missing_items)}")
    if found.status_code not in (0, None):
        told.append(f"its status is not good: {found.status}")
    return told
