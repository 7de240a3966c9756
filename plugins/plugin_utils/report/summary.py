# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as lines of text, for people at a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from ..words import counted, printable, some
from .alike import alike, not_taking, unsaid
from .entries import ANSWERS, BAD, GOOD, OUTCOMES, TAKING, BoardReport, HeldCertificate, Report, TakesUpdates
from .since import told_together

MOST_COLUMNS = 160
"""Characters of a table's line where no terminal says how many there are."""
BETWEEN = "  "
MOST_LINES = 40
"""About boards. A report in files has all."""


def summary(report: Report) -> list[str]:
    """The counts, and the boards that are not in order with what to do, those of which the same is to be said in one
    line."""
    counts = ", ".join(f"{count} {report.words(outcome, count)}" for outcome, count in report.counts.items())
    steps = alike(report.boards)
    lines = [f"Failed: {printable(problem)}" for problem in unsaid(report.problems, steps)]
    lines.append(f"{counted(len(report.boards), 'board')}: {counts or 'none'}")
    for step in steps[:MOST_LINES]:
        code = f" ({printable(step.code)})" if step.code else ""
        words = (
            f"{some(step.names)}: {OUTCOMES[step.outcome]}{code}",
            printable(step.reason),
            printable(step.next_step),
        )
        lines.append(" | ".join(word for word in words if word))
    if more := sum(len(step.names) for step in steps[MOST_LINES:]):
        lines.append(f"… and {more} more boards that are not in order; -e report=DIR lists all of them.")
    lines += _updates(report)
    lines += changed_since(report)
    lines += [f"Note: {printable(warning)}" for warning in report.warnings]
    if report.absent:
        lines.append(absence(report))
    return lines


def _updates(report: Report) -> Iterator[str]:
    """How many boards take updates, and why the others do not."""
    answers = Counter(board.takes_updates.answer for board in report.boards if board.takes_updates)
    if not answers:
        return
    yield "Takes updates: " + ", ".join(
        f"{answers[answer]} {words}" for answer, words in ANSWERS.items() if answers[answer]
    )
    groups = not_taking(report.boards)
    for answer, group in groups[:MOST_LINES]:
        what = (
            f"{some(group.names)}: {TAKING[answer]} ({printable(group.code)})",
            printable(group.reason),
            printable(group.next_step),
        )
        yield " | ".join(word for word in what if word)
    if more := sum(len(group.names) for _answer, group in groups[MOST_LINES:]):
        yield f"… and {more} more boards; -e report=DIR lists all of them."


def changed_since(report: Report) -> Iterator[str]:
    """What has changed since the last report."""
    if not report.since:
        return
    when = f"Since {report.since.made_at}"
    told = told_together(report.since.changes)
    if not told:
        yield f"{when}: nothing has changed"
    for text, names in told[:MOST_LINES]:
        yield f"{when}: {printable(some(names))}: {printable(text)}"
    if more := sum(len(names) for _text, names in told[MOST_LINES:]):
        yield f"… and {more} more changes; -e report=DIR lists all of them."


def absence(report: Report) -> str:
    """What to say of the boards that are ``absent``."""
    return (
        "Not in the inventory, though the team has provisioned them: "
        f"{some([printable(name) for name in report.absent])}. pelion.mbl.status reports on them."
    )


def table(report: Report, width: int = MOST_COLUMNS) -> list[str]:
    """The boards as lines of a table, with a heading. The last columns are left out where a line of ``width``
    characters has no room for them, and named below."""
    columns = [
        [heading, *(printable(cell(board) or "-") for board in report.boards)]
        for heading, cell in _COLUMNS.items()
        if heading != TAKES or any(board.takes_updates for board in report.boards)
    ]
    widths = [max(map(len, column)) for column in columns]
    hidden: list[str] = []
    while len(columns) > NEEDED_COLUMNS and sum(widths) + len(BETWEEN) * (len(widths) - 1) > width:
        hidden.insert(0, columns.pop()[0])
        widths.pop()
    rows = [
        BETWEEN.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]
    return [*rows, *([f"No room here for: {', '.join(hidden)}. -e report=DIR writes all."] if hidden else ())]


def _state(board: BoardReport) -> str:
    """What the board is found as. What the directory calls one that does not answer is not how it is now."""
    if board.outcome in GOOD:
        return board.state or OUTCOMES[board.outcome]
    state = f" ({board.state})" if board.state and board.outcome not in BAD else ""
    return OUTCOMES[board.outcome] + state


def _taking(told: TakesUpdates | None) -> str:
    if told is None:
        return ""
    return f"{ANSWERS[told.answer]}{f' ({told.code})' if told.code else ''}"


def _held(held: HeldCertificate | None) -> str:
    return held.words if held else ""


TAKES = "takes updates"
"""The column that reports have that are about it."""
_COLUMNS: Mapping[str, Callable[[BoardReport], str | None]] = {
    "board": lambda board: board.name,
    "address": lambda board: board.address,
    "device ID": lambda board: board.device_id,
    "state": _state,
    TAKES: lambda board: _taking(board.takes_updates),
    "update certificate": lambda board: _held(board.update_certificate),
    "developer certificate": lambda board: _held(board.developer_certificate),
}
NEEDED_COLUMNS = 4
"""Of the table, the first ones."""
