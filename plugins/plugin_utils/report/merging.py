# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One report of several sites: what each one's run reported, and the boards of those that sent no report."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..fleet.assignment import natural
from ..fleet.identity import MOST_NAMED, Copied
from ..fleet.memory import Remembered
from ..fleet.readiness import NOT_KNOWN
from ..reasons import Reason
from ..times import parse_time, time_text
from .alike import named
from .entries import ATTENTION, GOOD, MISSING, NOT_REACHED, BoardReport, Place, Report, SiteRun, TakesUpdates


@dataclass(frozen=True)
class Silence:
    """A site that sent no report: why that is known, and the boards that should be there."""

    reason: str
    expected: Collection[str] = field(default_factory=frozenset)


def merge(sites: Mapping[str, Report | Silence], now: datetime, remembered: Mapping[str, Remembered]) -> Report:
    """The report of all ``sites``. Boards of a silent one are not reached: those that are expected or were
    remembered there, unless another site has them now.

    Each board is reported with its site. A board that one site misses and another one has is not missing. Two boards of
    one name are a problem, since memory, roster and host keys go by names.
    """
    heard = {site: report for site, report in sites.items() if isinstance(report, Report)}
    boards = [replace(board, site=site) for site, report in heard.items() for board in report.boards]
    where: dict[str, list[str]] = {}
    for board in boards:
        if board.outcome != MISSING:
            where.setdefault(board.name, []).append(board.site or "")
    there = {board.device_id for board in boards if board.outcome != MISSING and board.device_id}
    boards = [
        board
        for board in boards
        # A board that was renamed, or moved to another site, is there with its device.
        if board.outcome != MISSING or not (board.name in where or board.device_id in there)
    ]
    boards = _copies_told(boards)
    problems = [f"{site}: {problem}" for site, report in heard.items() for problem in report.problems]
    problems += [
        f"{' and '.join(places)} each have a board called {name}. Give them different names with name_template "
        "of the "
        "inventory source (such as 'north-{name}')."
        for name, places in where.items()
        if len(places) > 1
    ]
    for site, silence in sites.items():
        if isinstance(silence, Silence):
            problems.append(f"{site}: {silence.reason}")
            boards += _not_reached(site, silence, where, remembered)
    return Report(
        ", ".join(dict.fromkeys(report.playbook for report in heard.values())),
        time_text(now) or "",
        sorted(boards, key=lambda board: (natural(board.name), natural(board.site or ""))),
        _places(heard.values()),
        tuple(problems),
        [SiteRun(site, heard[site].made_at if site in heard else None) for site in sites],
        sorted({n for report in heard.values() for n in report.absent} - {b.name for b in boards}, key=natural),
        warnings=[f"{site}: {warning}" for site, report in heard.items() for warning in report.warnings],
    )


def _copies_told(boards: Sequence[BoardReport]) -> list[BoardReport]:
    """``boards``, those that have one device with one of another site told as copies where they seem to be in order."""
    with_device: dict[str, list[BoardReport]] = {}
    for board in boards:
        if board.device_id and board.outcome != MISSING:
            with_device.setdefault(board.device_id, []).append(board)
    told = []
    for board in boards:
        others = [o for o in with_device.get(board.device_id or "", ()) if (o.name, o.site) != (board.name, board.site)]
        if others and board.outcome in GOOD:
            copied = Copied(tuple(named(o) for o in others[:MOST_NAMED]), f"device ID ({board.device_id})")
            why = BoardReport.because(board.name, ATTENTION, copied.reason)
            board = replace(
                board,
                outcome=why.outcome,
                reason=why.reason,
                next_step=why.next_step,
                code=why.code,
                facts=why.facts,
                takes_updates=board.takes_updates and TakesUpdates.as_the_board(NOT_KNOWN, why),
            )
        told.append(board)
    return told


def _not_reached(
    site: str, silence: Silence, elsewhere: Collection[str], remembered: Mapping[str, Remembered]
) -> list[BoardReport]:
    here = {name for name, before in remembered.items() if before.site == site}
    return [
        replace(
            BoardReport.because(name, NOT_REACHED, Reason("site-silent", {"site": site})),
            device_id=before.device_id,
            last_seen=before.seen or None,
            site=site,
        )
        for name in {*silence.expected, *here}.difference(elsewhere)
        if (before := remembered.get(name, Remembered()))
    ]


def _places(reports: Collection[Report]) -> list[Place]:
    """The account is one for all sites: the newest word on each certificate."""
    newest = {
        place.name: place
        for report in sorted(reports, key=lambda report: parse_time(report.made_at))
        for place in report.places
    }
    return sorted(newest.values(), key=lambda place: natural(place.name))
