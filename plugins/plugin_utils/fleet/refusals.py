# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is refused, and why: a chain of checks, each a pure function. A board that one refuses comes to no later one.

What cannot be undone is refused unless a policy says otherwise. So keys go to known boards only, and no update
certificate gives way that the team does not know: only its key may be able to update the board.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator
from functools import cache

from ..board.errors import BoardError
from ..board.inspection import Inspection
from ..reasons import Reason
from .host_keys import HostKeys
from .identity import Identities
from .member import Member
from .reasons import reason_of
from .roster import is_in, needs_proof
from .stock import Stock
from .wishes import REFUSE, UpdateWish

Refusals = Iterator[tuple[str, Reason]]
"""Boards' names, each with the reason."""


# --- by what the board itself is; stores and cloud need not be read for those who are refused here ---


def not_in_roster(members: Iterable[Member], identities: Identities) -> Refusals:
    """A roster decides alone, also an empty one."""
    for member in members:
        name, roster, keys = member.name, member.wishes.roster, member.host_keys
        if roster is None or is_in(roster, name, keys.fingerprints):
            continue
        if not roster:
            yield name, Reason("empty-roster")
        elif keys.doubt and needs_proof(roster, name):
            yield name, Reason("host-key-unproven", {"why": keys.doubt})
        else:
            former = identities.renamed.get(name)
            facts = {"board": name, "host_keys": _shown(keys), **({"former": former} if former else {})}
            yield name, Reason("not-in-roster", facts)


def new_board(members: Iterable[Member], identities: Identities) -> Refusals:
    """Without a roster, the boards that the team has provisioned before are known, and those whose keys are pinned."""
    for member in members:
        keys, wishes = member.host_keys, member.wishes
        if wishes.new_boards != REFUSE or wishes.roster is not None or keys.pinned:
            continue
        before = identities.before(member.name)
        if before and before.host_keys and keys.doubt:
            yield member.name, Reason("host-key-unproven", {"why": keys.doubt})
        elif identities.is_changed(member.name):
            yield member.name, Reason("changed-board", {"host_keys": _shown(keys)})
        elif not before:
            yield member.name, Reason("new-board", {"host_keys": _shown(keys)})


def copied(members: Iterable[Member], identities: Identities) -> Refusals:
    """Nobody knows which one of several boards would get the keys, or which one the Device Directory has."""
    for member in members:
        copy = identities.copies.get(member.name)
        if copy:
            yield member.name, copy.reason


def unfit_board(members: Iterable[Member], _identities: Identities) -> Refusals:
    """Boards that were never provisioned and cannot be, so that nothing is made for them."""
    for member in members:
        if member.board.obstacles and member.board.provisioned_by != "pelion.mbl":
            obstacle = BoardError.of(*member.board.obstacles[0])
            yield member.name, reason_of(obstacle)


ADMISSION: tuple[Callable[[Iterable[Member], Identities], Refusals], ...] = (
    not_in_roster,
    new_board,
    copied,
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
    (holder, fingerprint), *_rest = unknown.items()
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
        stubborn = wishes.when_bootstrapped == REFUSE and member.board.bootstrapped
        if stubborn and not is_there(wishes.dev_cert, wishes.spread):
            facts = {"dev_cert": wishes.dev_cert, **stock.held_name(member)}
            yield member.name, Reason("would-ignore-certificate", facts)


CREDENTIALS: tuple[Callable[[Iterable[Member], Stock], Refusals], ...] = (
    wished_in_different_ways,
    update_wish,
    update_unknown,
    would_ignore_certificate,
)


def turned_away(members: Iterable[Member], identities: Identities) -> dict[str, Reason]:
    """Those whom ADMISSION refuses."""
    refused: dict[str, Reason] = {}
    for check in ADMISSION:
        refused.update(check(_others(members, refused), identities))
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


def _shown(host_keys: HostKeys) -> str:
    return ", ".join(sorted(set(host_keys.fingerprints))) or "not known here"
