# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boards of a decided fleet take updates, from what was read for the decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..reasons import Reason
from ..team.signers import Signers
from .decision import Decision, Fleet
from .readiness import Holding, Readiness, Terms, readiness, rotations
from .stock import Stock


def take_updates(fleet: Fleet, stock: Stock, decision: Decision, terms: Terms) -> dict[str, Readiness]:
    """Those that hold what they should and are registered, by name. The others are judged when they have been worked
    on, or are refused."""
    signers = _signers(stock)
    found = {}
    for member in fleet.members:
        if member.name in decision.proven:
            board = member.board
            device = stock.cloud.devices.get(fleet.device_id(member) or "") if stock.cloud else None
            held = Holding.described(board.update_certificate, board.drift, board.registered_since_injection)
            ready = readiness(held, signers, device, terms)
            wish = member.wishes.update
            given = stock.updates[wish].resources
            # It holds what the file of the wish has. To have it replaced, as a stranger's, would change nothing.
            if ready.reason and ready.reason.code == "not-our-certificate" and given and wish.src:
                facts = {**ready.reason.facts, "update_resources": wish.name, "src": wish.src}
                ready = replace(ready, reason=Reason("certificate-not-stored", facts))
            found[member.name] = ready
    return found


def rotations_of(fleet: Fleet, stock: Stock, terms: Terms) -> Iterator[str]:
    """A text for each certificate of which a rotation must begin soon, by the boards that hold it."""
    held = (member.board.update_certificate for member in fleet.members)
    yield from rotations((certificate["fingerprint"] for certificate in held if certificate), _signers(stock), terms)


def _signers(stock: Stock) -> Signers:
    """Those that the boards' wishes name and the store has, under whatever name."""
    ready = [
        (wish.name, update.resources) for wish, update in stock.updates.items() if update.ready and update.resources
    ]
    return Signers.of([*ready, *(update.stored for update in stock.updates.values() if update.stored)])
