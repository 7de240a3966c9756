# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done so that a board holds the wanted items and is registered."""

from __future__ import annotations

from dataclasses import dataclass

from ..board import kcm
from ..board.board import Board
from ..board.device import DeviceError, record_of
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


def work_for(board: Board, items: Items, policy: str) -> Work:
    """Compare ``board`` with the wanted ``items``. Raises DeviceError where ``policy`` forbids what is needed."""
    if not board.has_utility:
        raise DeviceError.of("no-utility")
    reasons = tuple(differences(board, items))
    if not reasons:
        return Work(reconnect=board.registered is False)
    for obstacle in board.obstacles:
        raise DeviceError.of(*obstacle)
    used = board.bootstrapped_with
    if used is None:
        return Work(reasons, bootstrap="not-yet")
    wanted, held = record_of(items)["developer_certificate"], board.developer_certificate
    if used["fingerprint"] == wanted:
        return Work(reasons)
    # Another tool puts a certificate on a board without making it bootstrap again, so there it may be of no effect.
    if used["fingerprint"] is None and held and held["fingerprint"] == wanted and policy == REFUSE:
        return Work(reasons)
    if policy == REFUSE:
        name = used["common_name"]
        raise DeviceError(
            "This board has already bootstrapped with "
            + (f"the developer certificate {name}" if name else "a developer certificate that nothing tells any more")
            + ", and its client would ignore another one. "
            "Set when_bootstrapped (of the role: provision_pelion_when_bootstrapped) to keep_identity "
            "(it bootstraps again under its device id) or to "
            "new_identity (factory reset: it becomes a new device in the cloud).",
            reason="bootstrapped",
            before=board.describe(),
        )
    return Work(reasons, bootstrap="keep-identity" if policy == KEEP_IDENTITY else "new-identity")


def differences(board: Board, items: Items) -> list[str]:
    """Why the board is not proven to hold ``items``: texts for the user, none when it is."""
    if kcm.is_empty(board.missing_items):
        return ["it holds none of the credentials"]
    wanted = record_of(items)
    found = []
    if not board.record:
        found.append("it has no record of what was injected")
    elif board.record.get("fingerprint") != wanted["fingerprint"]:
        found.append("other credentials were injected")
    elif board.record.get("kcm") != board.kcm_digest:
        found.append("its KCM was changed by another tool since")
    for title, held in (("developer", board.developer_certificate), ("update", board.update_certificate)):
        if held is None:
            found.append(f"it holds no {title} certificate")
        elif held["fingerprint"] != wanted[f"{title}_certificate"]:
            found.append(f"it holds another {title} certificate")
    if board.missing_items:
        found.append(f"its KCM lacks {', '.join(board.missing_items)}")
    if board.status_code not in (0, None):
        found.append(f"its status is not good: {board.status}")
    return found
