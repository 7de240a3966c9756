# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as one HTML page that needs no network: for a phone, a screen, and paper.

Every text in it may come from a network, so all of them go through ``_text``; and the page's own policy lets nothing
load, and nothing run but its script, which sorts and searches and may be missing.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterator, Sequence, Set
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

MANY = 20
"""Names beside a step, from which on they get a place of their own that does not push the rest away."""


def _part(name: str) -> str:
    """A file beside this one, without the lines about its licence."""
    return "".join(Path(__file__).with_name(name).read_text().splitlines(keepends=True)[2:])


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


STYLE, SCRIPT = _part("page.css"), _part("page.js")
POLICY = (
    f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; base-uri 'none'; form-action 'none'"
)


def page(report: Report) -> str:
    """The whole document."""
    title = f"Fleet: {report.playbook}"
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main><h1>{_text(title)}</h1><p>{counted(len(report.boards), 'board')}, {_text(report.made_at)}</p>\n"
        + "".join(part + "\n" for part in _parts(report))
        + f"</main><script>{SCRIPT}</script></body></html>\n"
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
    steps = [(OUTCOMES[step.outcome], step) for step in found if step.reason or step.code]
    steps += [(TAKING[answer], group) for answer, group in not_taking(report.boards)]
    if steps:
        first = {step.code: at for at, (_what, step) in reversed(list(enumerate(steps)))}
        told = (_step(step, what, is_first=first[step.code] == at) for at, (what, step) in enumerate(steps))
        yield f'<section id="steps"><h2>What to do</h2>{"".join(told)}</section>'
    if report.since:
        changes = told_together(report.since.changes)
        items = [f"<li>{_of_boards(names, _text(text))}</li>" for text, names in changes]
        yield (
            f'<section id="since"><h2>Since {_text(report.since.made_at)}</h2>'
            + (f"<ul>{''.join(items)}</ul>" if items else "<p>Nothing has changed.</p>")
            + "</section>"
        )
    now = parse_time(report.made_at)
    lines = [_time_line(end, now) for end in certificate_ends(report)]
    if lines:
        marks = "".join(f'<text x="{_place(days):.1f}%" y="1em">{mark}</text>' for mark, days in MARKS.items())
        yield (
            f'<section id="ends"><h2>When certificates end</h2><svg class="scale" aria-hidden="true">{marks}</svg>'
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
    linked = {step.code for _what, step in steps}
    rows = "".join(_row(board, report.words(board.outcome), linked) for board in by_urgency(report.boards))
    heads = "".join(f'<th scope="col">{head}</th>' for head in HEADS)
    yield (
        '<section id="boards"><h2>Boards</h2>'
        '<p hidden><label for="search">Search</label> <input type="search" id="search" autocomplete="off"> '
        '<span id="found" role="status"></span></p>'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></section>"
    )


def _step(step: Alike, what: str, *, is_first: bool) -> str:
    """``is_first`` of its code is where links to the code lead."""
    target = f' id="{_anchor(step.code)}"' if step.code and is_first else ""
    next_step = f"<p>→ {_text(step.next_step)}</p>" if step.next_step else ""
    return (
        f'<div class="step {step.outcome}"{target}>'
        f"{_of_boards(step.names, f'{_text(what)}. {_text(step.reason)} {_code(step.code)}')}{next_step}</div>"
    )


def _of_boards(names: Sequence[str], said: str) -> str:
    """What is ``said`` of them, in HTML."""
    text = _text(", ".join(names))
    if len(names) <= MANY:
        return f"<p><b>{text}</b>: {said}</p>"
    return f'<p><b>{len(names)} boards</b>: {said}</p><p class="names" tabindex="0">{text}</p>'


def _anchor(code: str) -> str:
    return _text(f"do-{code}")


def _fullness(place: Place) -> str:
    if place.status != ACTIVE or place.devices < 0.9 * place.limit:
        return ""
    return "bad" if place.devices >= place.limit else "warn"


def _row(board: BoardReport, outcome: str, linked: Set[str]) -> str:
    """Codes that are ``linked`` have a step."""
    # What the directory calls a board that does not answer is not how it is now.
    known = "in the directory: " if board.outcome in BAD else ""
    state = f" ({known}{_text(board.state)})" if board.state else ""
    cells = (
        f"<b>{_text(board.name)}</b><br><small>{_text(_where(board))}</small>",
        f"{_text(outcome)}{state} {_link(board.code, linked)}",
        _taking(board, linked),
        f"<code>{_text(board.device_id)}</code>" if board.device_id else "",
        _held(board.developer_certificate),
        _held(board.update_certificate),
        _text((board.last_seen or "").replace("T", " ").rstrip("Z")),
    )
    # On a phone, the first cell is a heading of its own.
    labels = ("", *HEADS[1:])
    row = zip(labels, cells, strict=True)
    return (
        f'<tr class="{board.outcome}">'
        + "".join(f'<td data-label="{label}">{cell}</td>' for label, cell in row)
        + "</tr>"
    )


def _taking(board: BoardReport, linked: Set[str]) -> str:
    told = board.takes_updates
    if told is None:
        return ""
    # Told once, where it is the board's own.
    code = _link(told.code, linked) if told.code != board.code else ""
    proof = f"<br><small>proven by itself on {_text(told.proven_at[:10])}</small>" if told.proven_at else ""
    return f"{_text(ANSWERS[told.answer])} {code}{proof}"


def _code(code: str) -> str:
    return f"<code>{_text(code)}</code>" if code else ""


def _link(code: str, linked: Set[str]) -> str:
    return f'<a href="#{_anchor(code)}">{_code(code)}</a>' if code in linked - {""} else _code(code)


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
    inner = f'<rect width="{width:.1f}%" height="100%"/>' if width else ""
    drawn = f'<svg class="bar {urgency}" aria-hidden="true">{inner}</svg>'
    return f'<div class="row"><p>{_text(text)}</p>{drawn}</div>'


def _text(value: str | None) -> str:
    return escape(printable(value or ""), quote=True)
