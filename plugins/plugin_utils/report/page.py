# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as one HTML page that needs no network: for a phone, a screen, and paper.

Every text in it may come from a network, so all of them go through ``_text``; and the page's own policy lets
nothing run and nothing load.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from html import escape
from pathlib import Path

from ..times import parse_time
from ..words import counted, printable
from .alike import Alike, alike, by_urgency, not_taking, unsaid
from .certificate_ends import ACTIVE, CertificateEnd, certificate_ends
from .entries import ANSWERS, BAD, OUTCOMES, TAKING, BoardReport, HeldCertificate, Place, Report
from .since import told_together
from .summary import absence

YEAR = 365.25
MARKS = {"now": 0.0, "1 week": 7, "1 month": 30.4, "1 year": YEAR, "5 years": 5 * YEAR, "20 years": 20 * YEAR}
"""Of the time line, in days. It is logarithmic: what ends next week matters more than what ends in ten years."""
SOON = 30
"""Days before its end from which a certificate is shown in the colour of warnings."""

HEADS = (
    *("Board", "State", "Takes updates", "Device"),
    *("Developer certificate ends", "Update certificate ends", "Last seen"),
)
"""Of the boards' table."""

STYLE = "".join(Path(__file__).with_name("page.css").read_text().splitlines(keepends=True)[2:])
"""Without the lines about its licence."""


def page(report: Report) -> str:
    """The whole document."""
    title = f"Fleet: {report.playbook}"
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{_text(title)}</h1><p>{counted(len(report.boards), 'board')}, {_text(report.made_at)}</p>\n"
        + "".join(part + "\n" for part in _parts(report))
        + "</body></html>\n"
    )


def _parts(report: Report) -> Iterator[str]:
    tiles = (
        f'<li class="{outcome}"><b>{count}</b>{_text(report.words(outcome, count))}</li>'
        for outcome, count in report.counts.items()
    )
    yield f'<ul class="tiles">{"".join(tiles)}</ul>'
    found = alike(report.boards)
    problems = unsaid(report.problems, found)
    yield "".join(f'<div class="step failed"><p>{_text(problem)}</p></div>' for problem in problems)
    yield "".join(f'<div class="step attention"><p>{_text(warning)}</p></div>' for warning in report.warnings)
    steps = [_step(step, OUTCOMES[step.outcome]) for step in found if step.reason or step.code]
    steps += [_step(group, TAKING[answer]) for answer, group in not_taking(report.boards)]
    if steps:
        yield f'<section id="steps"><h2>What to do</h2>{"".join(steps)}</section>'
    if report.since:
        told = told_together(report.since.changes)
        items = [f"<li><b>{_text(', '.join(names))}</b>: {_text(text)}</li>" for text, names in told]
        yield (
            f'<section id="since"><h2>Since {_text(report.since.made_at)}</h2>'
            + (f"<ul>{''.join(items)}</ul>" if items else "<p>Nothing has changed.</p>")
            + "</section>"
        )
    now = parse_time(report.made_at)
    lines = [_time_line(end, now) for end in certificate_ends(report)]
    if lines:
        marks = "".join(f'<span style="left:{_place(days):.1f}%">{mark}</span>' for mark, days in MARKS.items())
        yield (
            f'<section id="ends"><h2>When certificates end</h2><div class="scale">{marks}</div>'
            f"{''.join(lines)}</section>"
        )
    if report.places:
        yield (
            '<section id="places"><h2>Places in developer certificates</h2>'
            + "".join(
                _bar(
                    f"{place.name} ({place.status.lower()}): {place.devices} of {place.limit} devices",
                    100 * place.devices / max(place.limit, 1),
                    _fullness(place),
                )
                for place in report.places
            )
            + "</section>"
        )
    if report.absent:
        yield f"<p>{_text(absence(report))}</p>"
    rows = "".join(_row(board, report.words(board.outcome)) for board in by_urgency(report.boards))
    heads = "".join(f"<th>{head}</th>" for head in HEADS)
    yield (
        f'<section id="boards"><h2>Boards</h2><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        "</section>"
    )


def _step(step: Alike, what: str) -> str:
    next_step = f"<p>→ {_text(step.next_step)}</p>" if step.next_step else ""
    return (
        f'<div class="step {step.outcome}"><p><b>{_text(", ".join(step.names))}</b>: {_text(what)}. '
        f"{_text(step.reason)} {_code(step.code)}</p>{next_step}</div>"
    )


def _fullness(place: Place) -> str:
    if place.status != ACTIVE or place.devices < 0.9 * place.limit:
        return ""
    return "bad" if place.devices >= place.limit else "warn"


def _row(board: BoardReport, outcome: str) -> str:
    # What the directory calls a board that does not answer is not how it is now.
    known = "in the directory: " if board.outcome in BAD else ""
    state = f" ({known}{_text(board.state)})" if board.state else ""
    cells = (
        f"<b>{_text(board.name)}</b><br><small>{_text(_where(board))}</small>",
        f"{_text(outcome)}{state} {_code(board.code)}",
        _taking(board),
        f"<code>{_text(board.device_id)}</code>" if board.device_id else "",
        _held(board.developer_certificate),
        _held(board.update_certificate),
        _text((board.last_seen or "").replace("T", " ").rstrip("Z")),
    )
    # On a phone, the first cell is a heading of its own.
    labels = ("", *HEADS[1:])
    row = zip(labels, cells, strict=True)
    return "<tr>" + "".join(f'<td data-label="{label}">{cell}</td>' for label, cell in row) + "</tr>"


def _taking(board: BoardReport) -> str:
    told = board.takes_updates
    if told is None:
        return ""
    # Told once, where it is the board's own.
    code = _code(told.code) if told.code != board.code else ""
    proof = f"<br><small>proven by itself on {_text(told.proven_at[:10])}</small>" if told.proven_at else ""
    return f"{_text(ANSWERS[told.answer])} {code}{proof}"


def _code(code: str) -> str:
    return f"<code>{_text(code)}</code>" if code else ""


def _where(board: BoardReport) -> str:
    return ", ".join(part for part in (board.site, board.address) if part)


def _held(held: HeldCertificate | None) -> str:
    if held is None:
        return ""
    return f"{_text((held.not_after or 'unknown')[:10])}<br><small>{_text(held.name or held.fingerprint[:16])}</small>"


def _time_line(end: CertificateEnd, now: datetime) -> str:
    days = (parse_time(end.not_after) - now).total_seconds() / 86400
    # A board that is away for long must find the rotation under way while it still takes part in it.
    left = min(days, (parse_time(end.rotate_by) - now).total_seconds() / 86400) if end.rotate_by else days
    urgency = "bad" if days <= 0 else "warn" if left < SOON else ""
    boards = counted(end.boards, "board") if end.boards else "no board of this report"
    when = "ended" if days <= 0 else f"ends in {counted(round(days), 'day')}"
    rotate = f"; rotate by {end.rotate_by[:10]}" if end.rotate_by and days > 0 else ""
    text = f"{end.kind} certificate {end.name}: {when}, {end.not_after[:10]}{rotate}; {boards}"
    return _bar(text, _place(days) if days > 0 else 100, urgency)


def _place(days: float) -> float:
    """Where on the time line, in percent, that many days from now are."""
    return 100 * min(1.0, math.log1p(max(days, 0)) / math.log1p(20 * YEAR))


def _bar(text: str, percent: float, urgency: str) -> str:
    # Nothing is drawn as nothing, but the little that there is must be seen.
    width = max(1.0, min(100.0, percent)) if percent > 0 else 0.0
    inner = f'<i style="width:{width:.1f}%"></i>' if width else ""
    return f'<div class="row"><p>{_text(text)}</p><div class="bar {urgency}">{inner}</div></div>'


def _text(value: str | None) -> str:
    return escape(printable(value or ""), quote=True)
