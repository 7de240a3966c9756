# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells of each board, for people and for machines. Its form is docs/fleet-report.schema.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from ..times import parse_time

T = TypeVar("T")

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
MOST_NAMES, MOST_LINES = 20, 40
"""In one line of a summary, and of lines about boards. A report in files has all."""


@dataclass(frozen=True)
class HeldCertificate:
    """A certificate on a board: ``name`` in the cloud or in the store where it is known, SHA-256, and its end."""

    fingerprint: str
    name: str | None = None
    not_after: str | None = None


@dataclass(frozen=True)
class BoardReport:
    """One board. ``state`` is the Device Directory's word; times are texts such as 2026-01-01T00:00:00Z.

    ``reason`` says why the outcome is not ``ok``, ``next_step`` what to do about it. ``site`` is where the board is,
    None where sites have no names.
    """

    name: str
    outcome: str
    reason: str = ""
    next_step: str = ""
    address: str | None = None
    device_id: str | None = None
    state: str | None = None
    developer_certificate: HeldCertificate | None = None
    update_certificate: HeldCertificate | None = None
    last_registration: str | None = None
    last_seen: str | None = None
    site: str | None = None


@dataclass(frozen=True)
class Place:
    """A developer certificate of the account: how many of its ``limit`` devices the directory has."""

    name: str
    devices: int
    limit: int
    status: str
    not_after: str


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
    """

    playbook: str
    made_at: str
    boards: Sequence[BoardReport]
    places: Sequence[Place] = ()
    problems: Sequence[str] = ()
    sites: Sequence[SiteRun] = ()
    absent: Sequence[str] = ()
    check_mode: bool = False

    @property
    def success(self) -> bool:
        return not self.problems and not any(board.outcome in BAD for board in self.boards)

    @property
    def counts(self) -> dict[str, int]:
        """How many boards there are of each outcome, the worst first, those of none left out."""
        counts = Counter(board.outcome for board in self.boards)
        return {outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]}

    def words(self, outcome: str) -> str:
        """``outcome`` for people."""
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
        }

    @classmethod
    def from_json(cls, document: Any) -> Report:
        """What ``to_json`` made. Fields that are not known are passed over. Raises ValueError for anything else."""
        given = _mapping(document)
        if given.get("format") != FORMAT:
            raise ValueError(f"has the format {given.get('format')!r}, not {FORMAT}")
        boards = [_read(BoardReport, board) for board in _list(given, "boards")]
        for board in boards:
            if board.outcome not in OUTCOMES:
                raise ValueError(f"has a board with the outcome {board.outcome!r}")
        problems, absent = _list(given, "problems"), _list(given, "absent")
        texts = [given.get("playbook"), given.get("made_at"), *problems, *absent]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("has something else than text where text should be")
        playbook, made_at = texts[:2]
        parse_time(made_at)
        places = [_read(Place, place) for place in _list(given, "places")]
        sites = [_read(SiteRun, site) for site in _list(given, "sites")]
        return cls(playbook, made_at, boards, places, problems, sites, absent, given.get("check_mode") is True)


_KINDS = {"str": str, "str | None": (str, type(None)), "int": int}


def _read(kind: type[T], entry: Any) -> T:
    """An instance of the dataclass ``kind`` from the JSON of one. Raises ValueError."""
    given, entry = {}, _mapping(entry)
    for field in fields(kind):
        if field.name not in entry:
            continue
        value = entry[field.name]
        if field.type == "HeldCertificate | None":
            value = value and _read(HeldCertificate, value)
        elif not isinstance(value, _KINDS[field.type]):
            raise ValueError(f"has {value!r} as {field.name}")
        given[field.name] = value
    try:
        return kind(**given)
    except TypeError as error:
        raise ValueError(f"has an incomplete entry: {error}") from None


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("is not made of objects where it should be")
    return value


def _list(given: Mapping[str, Any], name: str) -> list[Any]:
    value = given.get(name, [])
    if not isinstance(value, list):
        raise ValueError(f"has no list of {name}")
    return value


def summary(report: Report) -> list[str]:
    """Lines for a terminal: the counts, and the boards that are not in order with what to do. Boards of which the same
    is to be said share a line, so that a cause that all have in common does not flood it."""
    counts = ", ".join(f"{count} {report.words(outcome)}" for outcome, count in report.counts.items())
    lines = [f"Failed: {printable(problem)}" for problem in report.problems]
    lines.append(f"{len(report.boards)} board{'' if len(report.boards) == 1 else 's'}: {counts or 'none'}")
    steps = alike(report.boards)
    for step in steps[:MOST_LINES]:
        words = (f"{_some(step.names)}: {OUTCOMES[step.outcome]}", printable(step.reason), printable(step.next_step))
        lines.append(" | ".join(word for word in words if word))
    if more := sum(len(step.names) for step in steps[MOST_LINES:]):
        lines.append(f"… and {more} more boards that are not in order; -e report=DIR writes of all.")
    if report.absent:
        lines.append(absence(report))
    return lines


def absence(report: Report) -> str:
    """What to say of the boards that are ``absent``."""
    return (
        f"Not in the inventory, though the team has provisioned them: {_some([printable(n) for n in report.absent])}. "
        "pelion.mbl.status tells more."
    )


@dataclass(frozen=True)
class Alike:
    """Boards of which the same is to be said; ``names`` have their sites with them."""

    outcome: str
    reason: str
    next_step: str
    names: Sequence[str]


def alike(boards: Iterable[BoardReport]) -> list[Alike]:
    """The boards that are not in order, the worst first."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for board in by_urgency(boards):
        if board.outcome not in (OK, CHANGED):
            found.setdefault((board.outcome, board.reason, board.next_step), []).append(named(board))
    return [Alike(*key, names) for key, names in found.items()]


def _some(names: Sequence[str]) -> str:
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[: MOST_NAMES - 1])} and {len(names) - MOST_NAMES + 1} others"


def table(report: Report) -> list[str]:
    """The boards as lines of a table, with a heading."""
    rows = [("board", "address", "device id", "state")]
    rows += [
        (
            printable(board.name),
            printable(board.address or "-"),
            printable(board.device_id or "-"),
            printable(board.state or OUTCOMES[board.outcome]),
        )
        for board in report.boards
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows]


def named(board: BoardReport) -> str:
    """The board's name, with its site where it has one."""
    return printable(f"{board.name} at {board.site}" if board.site else board.name)


def by_urgency(boards: Iterable[BoardReport]) -> list[BoardReport]:
    """The worst outcome first, boards of one outcome in the order that they had."""
    order = list(OUTCOMES)
    return sorted(boards, key=lambda board: order.index(board.outcome))


def printable(text: str) -> str:
    """``text`` on one line and without control characters: boards and networks chose parts of it."""
    return "".join(character if character.isprintable() else " " for character in text).strip()
