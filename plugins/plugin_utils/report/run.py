# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run over a fleet as it goes: what each task said of each board, until a report is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..board.inspection import Inspection
from ..fleet.assignment import natural
from ..times import time_text
from .report import CHANGED, FAILED, NOT_REACHED, OK, UNREACHABLE, BoardReport, HeldCertificate, Report
from .unreachable import explain

AGAIN = "run it again; what is in order already is left as it is."
CERTIFICATES = ("developer_certificate", "update_certificate")


@dataclass
class _Seen:
    """What is known of one board so far; ``batch`` is the number of the last batch that it was seen in."""

    outcome: str = NOT_REACHED
    reason: str = ""
    device_id: str | None = None
    site: str | None = None
    batch: int = 0


class Run:
    """``reported`` tells that a task of the run made a report of its own; ``check_mode`` is the run's."""

    def __init__(self, playbook: str) -> None:
        self.playbook = playbook
        self.reported = False
        self._batch = 0
        self._play: tuple[str, ...] = ()
        self._boards: dict[str, _Seen] = {}
        self._held: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._names: dict[str, Mapping[str, str]] = {}
        self._problems: list[str] = []
        self._absent: set[str] = set()
        self.check_mode = False

    def begin_batch(self, boards: Iterable[str]) -> None:
        """A play, or a batch of it, begins; ``boards`` are all of the play. It is about them from the first answer of
        one of them on: plays that only decide for the fleet have its boards as hosts, too."""
        self._batch += 1
        self._play = tuple(boards)

    def decided(self, action: str, answer: Mapping[str, Any]) -> None:
        """A task that stands for the whole batch was done; ``action`` is a plugin's name without its collection."""
        if action in ("pelion_fleet_report", "pelion_fleet_merge"):
            self.reported = True
        elif action == "pelion_fleet_decide":
            self._names.update(answer.get("parts") or {})
            self._absent.update(answer.get("absent") or ())

    def succeeded(self, name: str, answer: Mapping[str, Any]) -> None:
        """A task was done on the board."""
        self._expect()
        if name in self._boards:
            seen = self._see(name)
            if answer.get("changed"):
                seen.outcome = CHANGED
            elif seen.outcome == NOT_REACHED:
                seen.outcome = OK
            self._note(name, seen, answer)

    def failed(self, name: str, reason: str, answer: Mapping[str, Any]) -> None:
        """A task failed on the board, and so the run on it."""
        self._expect()
        if name in self._boards:
            seen = self._see(name)
            seen.outcome, seen.reason = FAILED, reason
            self._note(name, seen, answer)

    def unreachable(self, name: str, reason: str) -> None:
        self._expect()
        if name in self._boards:
            seen = self._see(name)
            seen.outcome, seen.reason = UNREACHABLE, reason

    def stopped(self, reason: str) -> None:
        """A task that stands for the whole batch failed: what was begun in it stays unfinished."""
        self._problems.append(reason)
        self._expect()
        for seen in self._boards.values():
            if seen.batch == self._batch and seen.outcome in (OK, CHANGED):
                seen.outcome, seen.reason = FAILED, "A task for the whole fleet failed."

    def report(self, now: datetime) -> Report:
        return Report(
            self.playbook,
            time_text(now) or "",
            [self._report(name, now) for name in sorted(self._boards, key=natural)],
            problems=tuple(dict.fromkeys(self._problems)),
            absent=sorted(self._absent, key=natural),
            check_mode=self.check_mode,
        )

    def _expect(self) -> None:
        for name in self._play:
            self._boards.setdefault(name, _Seen())

    def _see(self, name: str) -> _Seen:
        seen = self._boards[name]
        seen.batch = self._batch
        return seen

    def _note(self, name: str, seen: _Seen, answer: Mapping[str, Any]) -> None:
        """The facts of an answer of this collection's actions."""
        facts = answer.get("after") or answer
        if "found" in answer:
            try:
                board = Inspection.from_json(answer["found"])
            except ValueError:
                return
            facts = {**board.describe(), "device_id": board.device_id}
            seen.site = answer.get("wishes", {}).get("site") or None
        seen.device_id = answer.get("device_id") or facts.get("device_id") or seen.device_id
        held = {title: facts[title] for title in CERTIFICATES if isinstance(facts.get(title), Mapping)}
        self._held.setdefault(name, {}).update(held)

    def _report(self, name: str, now: datetime) -> BoardReport:
        seen = self._boards[name]
        held, part = self._held.get(name, {}), self._names.get(name, {})
        reason, next_step = seen.reason, ""
        if seen.outcome == NOT_REACHED:
            reason = "The run ended before it came to this board."
            next_step = f"Mend why it ended. Then {AGAIN}" if self._problems else AGAIN.capitalize()
        elif seen.outcome == UNREACHABLE:
            reason, next_step = explain(name, reason)
        elif seen.outcome == FAILED:
            next_step = f"Do what it says. Then {AGAIN}"
        names = {"developer_certificate": part.get("dev_cert"), "update_certificate": part.get("update_resources")}
        certificates = {
            title: HeldCertificate(
                facts["fingerprint"],
                (seen.outcome == CHANGED and names[title]) or facts.get("common_name"),
                facts.get("not_after"),
            )
            for title, facts in held.items()
            if facts.get("fingerprint")
        }
        return BoardReport(
            name,
            seen.outcome,
            reason,
            next_step,
            device_id=seen.device_id,
            last_seen=time_text(now) if seen.outcome in (OK, CHANGED) else None,
            site=seen.site,
            **certificates,
        )
