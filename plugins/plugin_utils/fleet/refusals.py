# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is refused, and why: a chain of checks, each a pure function. A board that one refuses comes to no later one.

What cannot be undone is refused unless a policy says otherwise. So keys go to known boards only, and no update
certificate gives way that the team does not know: only its key may be able to update the board.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import cache

from ..board.errors import BoardError
from ..board.inspection import Inspection
from ..reasons import Reason
from .member import Member
from .memory import Remembered
from .reasons import reason_of
from .roster import is_in, is_new
from .stock import Stock
from .wishes import REFUSE, UpdateWish

Refusals = Iterator[tuple[str, Reason]]
"""Boards' names, each with the reason."""


# --- by what the board itself is; stores and cloud need not be read for those who are refused here ---


def not_in_roster(members: Iterable[Member], _remembered: Mapping[str, Remembered]) -> Refusals:
    """A roster decides alone."""
    for member in members:
        roster = member.wishes.roster
        if roster and not is_in(roster, member.name, member.host_keys):
            yield member.name, Reason("not-in-roster", {"board": member.name, "host_keys": _shown(member.host_keys)})


def new_board(members: Iterable[Member], remembered: Mapping[str, Remembered]) -> Refusals:
    """Without a roster, the boards that the team has provisioned before are known."""
    for member in members:
        wishes = member.wishes
        if wishes.new_boards == REFUSE and not wishes.roster and is_new(member.name, member.host_keys, remembered):
            yield member.name, Reason("new-board", {"host_keys": _shown(member.host_keys)})


def unfit_board(members: Iterable[Member], _remembered: Mapping[str, Remembered]) -> Refusals:
    """Boards that were never provisioned and cannot be, so that nothing is made for them."""
    for member in members:
        if member.board.obstacles and member.board.provisioned_by != "pelion.mbl":
            obstacle = BoardError.of(*member.board.obstacles[0])
            yield member.name, reason_of(obstacle)


ADMISSION: tuple[Callable[[Iterable[Member], Mapping[str, Remembered]], Refusals], ...] = (
    not_in_roster,
    new_board,
    unfit_board,
)


# --- by what stores and cloud hold ---


def wished_in_different_ways(members: Iterable[Member], _stock: Stock) -> Refusals:
    members = list(members)
    ways: dict[str, set[UpdateWish]] = defaultdict(set)
    for member in members:
        ways[member.wishes.update.name].add(member.wishes.update)
    for member in members:
        name = member.wishes.update.name
        if len(ways[name]) > 1:
            yield member.name, Reason("different-ways", {"update_resources": name, "ways": len(ways[name])})


def update_wish(members: Iterable[Member], stock: Stock) -> Refusals:
    """Nothing says what to make, or what is there is unfit."""
    for member in members:
        problem = stock.updates[member.wishes.update].problem
        if problem:
            yield member.name, problem


def update_unknown(members: Iterable[Member], stock: Stock) -> Refusals:
    """A board that holds an unknown update certificate keeps it. It also lets no key be made for others: the store is
    likely to be the wrong one."""
    members = list(members)
    unknown = {}
    for member in members:
        if member.wishes.when_update_unknown != REFUSE:
            continue
        resources = stock.updates[member.wishes.update].resources
        fingerprint = unknown_update(member.board, resources.fingerprint if resources else None, stock.known_updates)
        if fingerprint:
            unknown[member.name] = fingerprint
            yield member.name, holds_unknown_update(fingerprint, stock.team_store, stock.mbl_cli_store)
    if not unknown:
        return
    holder, fingerprint = next(iter(unknown.items()))
    known_names = set(stock.known_updates.values())
    for member in members:
        wish = member.wishes.update
        if member.name not in unknown and stock.updates[wish].resources is None and wish.name not in known_names:
            yield (
                member.name,
                Reason(
                    "no-key-made",
                    {
                        "update_resources": wish.name,
                        "holder": holder,
                        "fingerprint": fingerprint,
                        "team_store": stock.team_store,
                        **({"mbl_cli_store": stock.mbl_cli_store} if stock.mbl_cli_store else {}),
                    },
                ),
            )


def would_ignore_certificate(members: Iterable[Member], stock: Stock) -> Refusals:
    """So that no certificate is made, and no place taken, for boards that would ignore them."""
    cloud = stock.cloud
    if cloud is None:
        return
    is_there = cache(cloud.has)
    for member in members:
        wishes = member.wishes
        stubborn = wishes.when_bootstrapped == REFUSE and member.board.bootstrapped and member.holds
        if stubborn and not is_there(wishes.dev_cert, wishes.spread):
            facts = {"dev_cert": wishes.dev_cert, **stock.held_name(member)}
            yield member.name, Reason("would-ignore-certificate", facts)


CREDENTIALS: tuple[Callable[[Iterable[Member], Stock], Refusals], ...] = (
    wished_in_different_ways,
    update_wish,
    update_unknown,
    would_ignore_certificate,
)


def turned_away(members: Iterable[Member], remembered: Mapping[str, Remembered]) -> dict[str, Reason]:
    """Those whom ADMISSION refuses."""
    refused: dict[str, Reason] = {}
    for check in ADMISSION:
        refused.update(check(_others(members, refused), remembered))
    return refused


def refusals(members: Iterable[Member], stock: Stock) -> dict[str, Reason]:
    """Those of the admitted ``members`` whom CREDENTIALS refuse."""
    refused: dict[str, Reason] = {}
    for check in CREDENTIALS:
        refused.update(check(_others(members, refused), stock))
    return refused


# --- the update guard, which serves single boards as well ---


def unknown_update(found: Inspection, wanted: str | None, known: Container[str]) -> str | None:
    """The fingerprint of the board's update certificate when it is neither ``wanted`` nor ``known``, else None."""
    held = found.update_certificate
    if held is None or held["fingerprint"] == wanted or held["fingerprint"] in known:
        return None
    return str(held["fingerprint"])


def holds_unknown_update(fingerprint: str, team_store: str, mbl_cli_store: str = "") -> Reason:
    """The reason to refuse a board that holds such a certificate. ``team_store``: where the store is, for people;
    ``mbl_cli_store``: see Stock."""
    imported = {"mbl_cli_store": mbl_cli_store} if mbl_cli_store else {}
    return Reason("update-unknown", {"fingerprint": fingerprint, "team_store": team_store, **imported})


def _others(members: Iterable[Member], refused: Container[str]) -> list[Member]:
    return [member for member in members if member.name not in refused]


def _shown(host_keys: Iterable[str]) -> str:
    return ", ".join(sorted(set(host_keys))) or "not known here"
