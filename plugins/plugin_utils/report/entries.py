# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is reported of a run and of each board. The form as JSON is docs/fleet-report.schema.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..fleet.readiness import NO, NOT_KNOWN, YES, Readiness
from ..json_object import JsonObject, read
from ..reasons import Reason
from ..times import parse_time, time_text
from .reasons import KINDS
from .since import Since

FORMAT = 1
"""Of the JSON: raised when a reader of the former one would misunderstand it. New fields do not raise it."""

FAILED, UNREACHABLE, MISSING = "failed", "unreachable", "missing"
NOT_REACHED, ATTENTION, CHANGED, OK = "not_reached", "attention", "changed", "ok"

OUTCOMES = {
    FAILED: "failed",
    UNREACHABLE: "no answer",
    MISSING: "missing",
    NOT_REACHED: "not reached",
    ATTENTION: "needs attention",
    CHANGED: "changed",
    OK: "in order",
}
"""What can become of a board, the worst first, with the words for people."""
BAD = frozenset({FAILED, UNREACHABLE, MISSING, NOT_REACHED})
"""Those that make a run's exit code differ from 0."""
GOOD = frozenset({OK, CHANGED})
"""Those that need no reason."""


MOST_DEVICES = 10**9
"""More are not believed."""


def _check_times(*texts: str | None) -> None:
    """Raises ValueError."""
    for text in texts:
        if text:
            parse_time(text)


@dataclass(frozen=True)
class HeldCertificate:
    """A certificate on a board: SHA-256, ``name`` in the cloud or in the store where it is known, and its end."""

    fingerprint: str
    name: str | None = None
    not_after: str | None = None

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.name or self.fingerprint[:16]} ({(self.not_after or 'no end')[:10]})"

    @classmethod
    def from_json(cls, held: Any) -> HeldCertificate:
        certificate = read(cls, held)
        _check_times(certificate.not_after)
        return certificate

    @classmethod
    def described(cls, description: Mapping[str, Any] | None, name: str | None = None) -> HeldCertificate | None:
        """From a board's description of a certificate, None without one. ``name`` goes before the common name."""
        if not description:
            return None
        given = JsonObject(description)
        return cls(
            given.text("fingerprint"), name or given.text_or_none("common_name"), given.text_or_none("not_after")
        )


ANSWERS: Mapping[str, str] = {YES: "yes", NO: "no", NOT_KNOWN: "not known"}
"""To whether a board takes updates, with the words for people."""
TAKING: Mapping[str, str] = {
    YES: "takes updates",
    NO: "takes no updates",
    NOT_KNOWN: "it is not known whether it takes updates",
}


@dataclass(frozen=True)
class TakesUpdates:
    """Whether a board takes updates. Where the ``answer`` (of ANSWERS) is not yes, ``code`` with its ``facts`` says
    why, ``reason`` says it for people, and ``next_step`` what to do about it. Times are texts: ``rotate_by`` is when
    the certificate should be replaced at the latest, ``proven_at`` when the board itself last gave a proof."""

    answer: str
    code: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    next_step: str = ""
    rotate_by: str | None = None
    proven_at: str | None = None

    @classmethod
    def of(cls, found: Readiness, proven_at: str | None = None) -> TakesUpdates:
        why, rotate_by = found.reason, time_text(found.rotate_by)
        if why is None:
            return cls(found.answer, rotate_by=rotate_by, proven_at=proven_at)
        texts = (why.text(KINDS), why.next_step(KINDS))
        return cls(found.answer, why.code, why.facts, *texts, rotate_by, proven_at)

    @classmethod
    def as_the_board(cls, answer: str, board: BoardReport) -> TakesUpdates:
        """For what ``board`` is reported with."""
        return cls(answer, board.code, board.facts, board.reason, board.next_step)

    @classmethod
    def from_json(cls, told: Any) -> TakesUpdates:
        """Raises ValueError."""
        takes = read(cls, told)
        if takes.answer not in ANSWERS:
            raise ValueError(f"has a board that takes updates: {takes.answer!r}")
        _check_times(takes.rotate_by, takes.proven_at)
        return takes


@dataclass(frozen=True)
class BoardReport:
    """One board. ``state`` is the Device Directory's word; times are texts such as 2026-01-01T00:00:00Z.

    Where the outcome is not ``ok`` or ``changed``, ``code`` (see docs/reasons.md) with its ``facts`` says why, for
    scripts; ``reason`` says it for people, and ``next_step`` what to do about it. ``site`` is where the board is, None
    where sites have no names. ``takes_updates`` is None in a report that is not about that.
    """

    name: str
    outcome: str
    reason: str = ""
    next_step: str = ""
    code: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    address: str | None = None
    device_id: str | None = None
    state: str | None = None
    developer_certificate: HeldCertificate | None = None
    update_certificate: HeldCertificate | None = None
    last_registration: str | None = None
    last_seen: str | None = None
    site: str | None = None
    takes_updates: TakesUpdates | None = None

    @classmethod
    def because(cls, name: str, outcome: str, why: Reason, said: str = "") -> BoardReport:
        """For a reason of the tables. What was ``said``, if anything, stands in place of the reason's own text."""
        return cls(name, outcome, said or why.text(KINDS), why.next_step(KINDS), why.code, why.facts)

    @classmethod
    def from_json(cls, entry: Any) -> BoardReport:
        """Raises ValueError."""
        board = read(cls, entry)
        if board.outcome not in OUTCOMES:
            raise ValueError(f"has a board with the outcome {board.outcome!r}")
        return board


@dataclass(frozen=True)
class Place:
    """A developer certificate of the account: how many of its ``limit`` devices the directory has."""

    name: str
    devices: int
    limit: int
    status: str
    not_after: str

    @classmethod
    def from_json(cls, place: Any) -> Place:
        found = read(cls, place)
        for key in ("devices", "limit"):
            if not 0 <= getattr(found, key) <= MOST_DEVICES:
                raise ValueError(f"has a number as {key} that cannot be right")
        _check_times(found.not_after)
        return found


@dataclass(frozen=True)
class SiteRun:
    """A site's part in a report of several: when its own report was made, None when it sent none."""

    name: str
    made_at: str | None


@dataclass(frozen=True)
class Report:
    """A run of ``playbook`` that ended at ``made_at``.

    ``places`` are empty where the cloud was not asked; ``problems`` are those of the fleet as a whole; ``sites`` are
    those whose reports were put together in this one. ``absent`` are names of boards that the team has provisioned and
    that the run was not about, since the inventory does not have them. In ``check_mode``, what is changed would be.
    ``warnings`` are what people should know of the fleet, though nothing failed. ``since`` is what has changed, None
    without an earlier report to compare with.
    """

    playbook: str
    made_at: str
    boards: Sequence[BoardReport] = ()
    places: Sequence[Place] = ()
    problems: Sequence[str] = ()
    sites: Sequence[SiteRun] = ()
    absent: Sequence[str] = ()
    check_mode: bool = False
    warnings: Sequence[str] = ()
    since: Since | None = None

    @property
    def success(self) -> bool:
        return not self.problems and not any(board.outcome in BAD for board in self.boards)

    @property
    def counts(self) -> dict[str, int]:
        """How many boards there are of each outcome, the worst first, those of none left out."""
        counts = Counter(board.outcome for board in self.boards)
        return {outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]}

    def words(self, outcome: str, count: int = 1) -> str:
        """``outcome`` of so many boards, for people."""
        if outcome == ATTENTION and count != 1:
            return "need attention"
        return "would be changed" if self.check_mode and outcome == CHANGED else OUTCOMES[outcome]

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "playbook": self.playbook,
            "made_at": self.made_at,
            "success": self.success,
            "counts": self.counts,
            "boards": [asdict(board) for board in self.boards],
            "places": [asdict(place) for place in self.places],
            "problems": list(self.problems),
            "sites": [asdict(site) for site in self.sites],
            "absent": list(self.absent),
            "check_mode": self.check_mode,
            "warnings": list(self.warnings),
            "since": self.since and asdict(self.since),
        }

    @classmethod
    def from_json(cls, document: Any) -> Report:
        """What ``to_json`` made, in this format. Fields that are not known are passed over.

        Raises ValueError for anything else.
        """
        if JsonObject(document).number("format") != FORMAT:
            raise ValueError(f"has the format {document['format']}, and this version reads {FORMAT}")
        report = read(cls, document)
        parse_time(report.made_at)
        return report
