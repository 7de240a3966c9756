# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards of which the same is to be said, so that a cause that many have in common is reported once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..fleet.readiness import NO, NOT_KNOWN
from ..reasons import Kind, Reason
from ..words import MOST_NAMES, printable
from .entries import ATTENTION, GOOD, OUTCOMES, BoardReport
from .reasons import KINDS


@dataclass(frozen=True)
class Alike:
    """Boards with one outcome for one reason; ``names`` have their sites with them."""

    outcome: str
    code: str
    reason: str
    next_step: str
    names: Sequence[str]


def alike(boards: Iterable[BoardReport]) -> list[Alike]:
    """The boards that are not in order, the worst first."""
    found: dict[tuple[str, ...], list[BoardReport]] = {}
    for board in by_urgency(boards):
        if board.outcome not in GOOD:
            said = _in_common(board, "") or (board.reason, board.next_step)
            found.setdefault((board.outcome, board.code, *said), []).append(board)
    return [_joined(group) for group in found.values()]


def not_taking(boards: Sequence[BoardReport]) -> list[tuple[str, Alike]]:
    """The boards that take no updates, and those of which that is not known, with the answer (of ANSWERS). Those left
    out for which the reason is told as that of their outcome."""
    found = []
    for answer in (NO, NOT_KNOWN):
        theirs = [
            BoardReport(board.name, ATTENTION, told.reason, told.next_step, told.code, told.facts, site=board.site)
            for board in boards
            if (told := board.takes_updates) and told.answer == answer and told.code != board.code
        ]
        found += [(answer, group) for group in alike(theirs)]
    return found


def unsaid(problems: Iterable[str], steps: Iterable[Alike]) -> list[str]:
    """The ``problems`` of the fleet that are not the text of some of its boards."""
    said = {text for step in steps for text in (step.reason, f"{step.reason} {step.next_step}".strip())}
    return [problem for problem in problems if problem not in said]


def by_urgency(boards: Iterable[BoardReport]) -> list[BoardReport]:
    """The worst outcome first, boards of one outcome in the order that they had."""
    order = list(OUTCOMES)
    return sorted(boards, key=lambda board: order.index(board.outcome))


def named(board: BoardReport) -> str:
    """The board's name, with its site where it has one."""
    return printable(f"{board.name} at {board.site}" if board.site else board.name)


def _joined(group: Sequence[BoardReport]) -> Alike:
    first = group[0]
    said = (first.reason, first.next_step)
    kind = KINDS.get(first.code)
    of_one = len(group) > 1 and kind is not None and kind.speaks_of_one
    if of_one or any((board.reason, board.next_step) != said for board in group):
        names = ",".join([board.name for board in group[:MOST_NAMES]] + ["…"] * (len(group) > MOST_NAMES))
        said = _in_common(first, names) or said
    # The next step is to note the key, which the common text does not have.
    keyed = kind is not None and "{host_keys}" in kind.text and said != (first.reason, first.next_step)
    return Alike(first.outcome, first.code, *said, [_with_key(board) if keyed else named(board) for board in group])


def _with_key(board: BoardReport) -> str:
    keys = board.facts.get("host_keys")
    return f"{named(board)} ({printable(str(keys))})" if keys else named(board)


def _in_common(board: BoardReport, names: str) -> tuple[str, str] | None:
    """What is said of several boards, text and next step. None for a reason that has no such text, or that a report of
    another version gave in a way that is not known here."""
    kind = KINDS.get(board.code)
    if kind is None or kind.common is None:
        return None
    why, common = Reason(board.code, {**board.facts, "board": names}), {board.code: Kind(kind.common, kind.next_step)}
    try:
        return why.text(common), why.next_step(common)
    except (KeyError, TypeError, ValueError):
        return None
