# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What boards get by a decision, for people who look at it before it is carried out."""

from __future__ import annotations

from collections.abc import Iterator

from .decision import Decision, Fleet
from .member import Member
from .part import Part
from .reasons import WORK_REASONS
from .stock import Stock


def gets(fleet: Fleet, stock: Stock, decision: Decision) -> dict[str, str]:
    """By the names of the boards that have something to do."""
    return {
        member.name: " and ".join(_parts(member, part, stock)) or "the same credentials again"
        for member in fleet.members
        if (part := decision.parts.get(member.name)) and not part.refused
    }


def _parts(member: Member, part: Part, stock: Stock) -> Iterator[str]:
    if part.reconnect:
        yield f"registers anew, since {part.reconnect.text(WORK_REASONS)}"
        return
    if part.holds:
        yield "what it holds already"
        return
    if not stock.is_ready(part.dev_cert):
        yield f"the developer certificate {part.dev_cert!r}, which is not in the team store yet"
    elif stock.stored_names.get(member.holds or "") != part.dev_cert:
        yield f"the developer certificate {part.dev_cert!r}"
    update, held = stock.updates[member.wishes.update], member.board.update_certificate
    wanted = update.resources.fingerprint if update.resources else None
    if held is None or held["fingerprint"] != wanted:
        yield f"{'the' if update.ready else 'a new'} update certificate of {part.update_resources!r}"
