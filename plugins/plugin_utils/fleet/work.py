# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done so that a board holds the wanted items and is registered."""

from __future__ import annotations

from dataclasses import dataclass

from ..board import kcm
from ..board.errors import BoardError
from ..board.inspection import Inspection
from ..board.items import Items
from ..credentials.certified import describe_certificate
from ..credentials.rules import sha256_hex
from ..reasons import Reason
from .reasons import FLEET_REASONS, coded
from .wishes import KEEP_IDENTITY, REFUSE, WhenBootstrapped


@dataclass(frozen=True)
class Work:
    """``inject`` with these ``reasons`` (of WORK_REASONS), else ``reconnect``, else nothing. ``bootstrap`` is for
    Board.inject."""

    reasons: tuple[Reason, ...] = ()
    reconnect: bool = False
    bootstrap: str = "as-is"

    @property
    def inject(self) -> bool:
        return bool(self.reasons)

    @property
    def changes(self) -> bool:
        return self.inject or self.reconnect


@dataclass(frozen=True)
class Certificates:
    """What is known of items whose key the store lacks, from the cloud and the update resources. DER."""

    developer_certificate: bytes
    update_certificate: bytes


NOT_IN_STORE = Work((Reason("not-in-store"),))
"""For check mode, when an earlier task would have made the credentials."""


def work_for(found: Inspection, items: Items | Certificates, policy: WhenBootstrapped) -> Work:
    """Compare what a board was ``found`` to hold with the wanted ``items``, or with their certificates, as far as these
    tell. Raises BoardError where ``policy`` forbids what is needed."""
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
    wanted = describe_certificate(items.developer_certificate)
    if used["common_name"] == wanted["common_name"] and used["fingerprint"] in (None, wanted["fingerprint"]):
        return Work(reasons)
    if policy == REFUSE:
        reason = Reason("bootstrapped", {"bootstrapped_with": used["common_name"] or "not known"})
        raise BoardError(reason.message(FLEET_REASONS), **coded(reason), before=found.describe())
    return Work(reasons, bootstrap="keep-identity" if policy == KEEP_IDENTITY else "new-identity")


def differences(found: Inspection, items: Items | Certificates) -> list[Reason]:
    """Why the board is not proven to hold ``items``, of WORK_REASONS; none when it is."""
    if kcm.is_empty(found.missing_items):
        return [Reason("holds-nothing")]
    differing = []
    if not found.record:
        differing.append(Reason("no-record"))
    elif isinstance(items, Items) and found.record.get("fingerprint") != items.fingerprint:
        differing.append(Reason("other-injected"))
    elif found.record.get("kcm") != found.kcm_digest and not found.damaged:
        differing.append(Reason("kcm-changed"))
    if found.damaged:
        differing.append(Reason("damaged-items", {"items": list(found.damaged)}))
    for title, held, wanted in (
        ("developer", found.developer_certificate, items.developer_certificate),
        ("update", found.update_certificate, items.update_certificate),
    ):
        if held is None:
            differing.append(Reason("lacks-certificate", {"title": title}))
        elif held["fingerprint"] != sha256_hex(wanted):
            differing.append(Reason("holds-other-certificate", {"title": title}))
    if found.missing_items:
        differing.append(Reason("lacks-items", {"items": found.missing_items}))
    if found.status_code not in (0, None):
        differing.append(Reason("status-not-good", {"status": found.status}))
    used = (found.bootstrapped_with or {}).get("common_name")
    if used and used != describe_certificate(items.developer_certificate)["common_name"]:
        differing.append(Reason("bootstrapped-with-other", {"common_name": used}))
    return differing
