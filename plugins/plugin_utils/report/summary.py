# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as lines of text, for people at a terminal."""

from __future__ import annotations

from ..words import printable, some
from .alike import alike
from .entries import OUTCOMES, Report

MOST_LINES = 40
"""About boards. A report in files has all."""


def summary(report: Report) -> list[str]:
    """The counts, and the boards that are not in order with what to do, those of which the same is to be said in one
    line."""
    counts = ", ".join(f"{count} {report.words(outcome)}" for outcome, count in report.counts.items())
    lines = [f"Failed: {printable(problem)}" for problem in report.problems]
    lines.append(f"{len(report.boards)} board{'' if len(report.boards) == 1 else 's'}: {counts or 'none'}")
    steps = alike(report.boards)
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
    lines += [f"Warning: {printable(warning)}" for warning in report.warnings]
    if report.absent:
        lines.append(absence(report))
    return lines


def absence(report: Report) -> str:
    """What to say of the boards that are ``absent``."""
    return (
        "Not in the inventory, though the team has provisioned them: "
        f"{some([printable(name) for name in report.absent])}. pelion.mbl.status reports on them."
    )


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
