# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run over a fleet as it goes: what each task said of each board, until a report is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ..fleet.assignment import natural
from ..fleet.readiness import NOT_KNOWN
from ..reasons import Reason
from ..times import time_text
from .entries import ATTENTION, CHANGED, GOOD, NOT_REACHED, OK, BoardReport, HeldCertificate, Report, TakesUpdates
from .failure import Failure, has_failed
from .results import BoardFacts, Decided, Names, Reported, advice, diagnosed, has_looked, judged, results_of_boards
from .status import not_yet_judged


@dataclass
class _Seen:
    """What is known of one board so far; ``batch`` is the number of the last batch that it was seen in.

    ``bad`` is what is reported of it when it did not come to a good end, ``takes_updates`` what a task judged of what
    it holds now. ``unjudged`` is what is reported of one that was asked how it is and of which nothing else is known,
    in a run that ends before anything comes of its answer.
    """

    name: str
    outcome: str = NOT_REACHED
    bad: BoardReport | None = None
    unjudged: BoardReport | None = None
    device_id: str | None = None
    site: str | None = None
    batch: int = 0
    held: dict[str, HeldCertificate] = field(default_factory=dict)
    takes_updates: TakesUpdates | None = None

    def ended(self, bad: BoardReport) -> None:
        self.outcome, self.bad = bad.outcome, bad

    def note(self, facts: BoardFacts) -> None:
        self.device_id = facts.device_id or self.device_id
        self.site = facts.site or self.site
        self.held.update(facts.held)

    def report(self, names: Names, now: datetime) -> BoardReport:
        """``names`` are those of the certificates that it was to get."""
        told = self.bad or BoardReport(self.name, self.outcome)
        if self.outcome == NOT_REACHED and self.bad is None:
            told = BoardReport.because(self.name, NOT_REACHED, Reason("not-reached"))
        return replace(
            told,
            device_id=self.device_id,
            developer_certificate=self._certificate("developer_certificate", names.developer_certificate),
            update_certificate=self._certificate("update_certificate", names.update_certificate),
            last_seen=time_text(now) if self.outcome in GOOD else None,
            site=self.site,
            takes_updates=self.takes_updates if told.outcome in GOOD else None,
        )

    def _certificate(self, title: str, given: str) -> HeldCertificate | None:
        held = self.held.get(title)
        return replace(held, name=given) if held and given and self.outcome == CHANGED else held


class Run:
    """``reported`` is the report that a task of the run made itself; ``check_mode`` is the run's.
    ``addresses`` are those of boards, where they are known."""

    def __init__(self, playbook: str) -> None:
        self.playbook = playbook
        self.reported: Reported | None = None
        self._batch = 0
        self._play: tuple[str, ...] = ()
        self._boards: dict[str, _Seen] = {}
        self._names: dict[str, Names] = {}
        self._problems: list[str] = []
        self._advice: list[str] = []
        self._absent: set[str] = set()
        self._judged = False
        self._looked = 0
        """The last batch in which it was only looked at what would be done."""
        self.check_mode = False
        self.addresses: dict[str, str] = {}

    def begin_batch(self, boards: Iterable[str]) -> None:
        """A play, or a batch of it, begins; ``boards`` are all of the play. It is about them from the first answer of
        one of them on: plays that only decide for the fleet have its boards as hosts, too."""
        self._batch += 1
        self._play = tuple(boards)

    def decided(self, result: Mapping[str, Any]) -> None:
        """A task that stands for the whole batch was done."""
        self._advice += advice(result)
        self.reported = Reported.from_json(result) or self.reported
        for name, own in results_of_boards(result).items():
            if has_failed(own):
                self.failed(name, own)
            else:
                self.succeeded(name, own)
        for name, found in judged(result).items():
            self._judged = True
            if seen := self._boards.get(name):
                seen.takes_updates = TakesUpdates.of(found)
        if decided := Decided.from_json(result):
            if decided.only_look:
                self._looked = self._batch
            self._names.update(decided.names)
            self._absent.update(decided.absent)
            for seen in self._boards.values():
                here = seen.batch == self._batch and seen.outcome == NOT_REACHED
                if here and not decided.only_look and seen.name not in decided.names:
                    seen.outcome = OK

    def succeeded(self, name: str, result: Mapping[str, Any]) -> None:
        """A task was done on the board, or told why it was not."""
        if isinstance(failure := result.get("failure"), Mapping):
            self.failed(name, failure)
        elif seen := self._see(name):
            if result.get("changed"):
                if seen.outcome != CHANGED:  # else it is told once more, after it was judged
                    # What was judged before is of what it held before.
                    seen.takes_updates = None
                seen.outcome = CHANGED
            elif seen.outcome == NOT_REACHED and not Decided.is_awaited_by(result) and self._batch != self._looked:
                seen.outcome = OK
                seen.unjudged = not_yet_judged(name, result)
            if why := diagnosed(result):
                seen.ended(BoardReport.because(name, ATTENTION, why))
            seen.note(BoardFacts.from_json(result))

    def failed(self, name: str, result: Mapping[str, Any]) -> None:
        """A task failed on the board or did not reach it, and so the run on it."""
        if seen := self._see(name):
            seen.ended(Failure.from_json(result).report(name))
            seen.note(BoardFacts.from_json(result))

    def stopped(self, result: Mapping[str, Any]) -> None:
        """A task that stands for the whole batch failed: what was begun in it stays unfinished."""
        self._advice += advice(result)
        failure = Failure.from_json(result)
        self._problems.append(failure.said)
        self._expect()
        # The boards have the failure's own code and text: it may be a refusal of all of them.
        failure = replace(failure, reason=failure.reason or Reason("fleet-failed"))
        for seen in self._boards.values():
            if seen.batch == self._batch and seen.bad is None:
                seen.ended(failure.report(seen.name))
            elif seen.outcome == OK and seen.unjudged and not has_looked(result):
                seen.ended(seen.unjudged)

    def report(self, now: datetime) -> Report:
        return Report(
            self.playbook,
            time_text(now) or "",
            [self._told(name, now) for name in sorted(self._boards, key=natural)],
            problems=tuple(dict.fromkeys(self._problems)),
            absent=sorted(self._absent, key=natural),
            check_mode=self.check_mode,
            warnings=tuple(dict.fromkeys(self._advice)),
        )

    def _told(self, name: str, now: datetime) -> BoardReport:
        told = replace(self._boards[name].report(self._names.get(name, Names()), now), address=self.addresses.get(name))
        if self._judged and told.outcome not in GOOD:
            return replace(told, takes_updates=TakesUpdates.as_the_board(NOT_KNOWN, told))
        return told

    def _expect(self) -> None:
        for name in self._play:
            self._boards.setdefault(name, _Seen(name))

    def _see(self, name: str) -> _Seen | None:
        """None for a host that is not a board of the play."""
        self._expect()
        seen = self._boards.get(name)
        if seen:
            seen.batch = self._batch
        return seen
