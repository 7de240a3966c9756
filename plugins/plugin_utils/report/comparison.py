# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two reports of one fleet beside each other: what has changed from the one to the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..fleet.assignment import natural
from ..fleet.readiness import NOT_KNOWN
from .entries import ANSWERS, GOOD, MISSING, NOT_REACHED, BoardReport, HeldCertificate, Report
from .since import Change, Since


def since(before: Report, now: Report, inventory: Collection[str] = ()) -> Since | None:
    """None where ``before`` is no report of the same fleet, or only of what would be done.

    Boards that ``before`` has and ``now`` has not were left out when the ``inventory`` has them; otherwise they are
    forgotten, or have another name now.
    """
    former, present = _by_name(before), _by_name(now)
    if before.check_mode or not former.keys() & present.keys():
        return None
    left_out = {*(name for name, _site in former), *(before.since.left_out if before.since else ())}
    left_out = (left_out & set(inventory)) - {board.name for board in now.boards}
    earlier = set(before.since.left_out) if before.since else set()
    # The name that a device had, where nobody has that name now.
    names = {b.device_id: b.name for key, b in former.items() if b.device_id and key not in present}
    changes: list[Change] = []
    for key, board in present.items():
        if known := former.get(key):
            changes += _changes(known, board)
        elif board.outcome == MISSING:
            if board.name not in before.absent:
                changes.append(Change(board.name, board.site, "missing"))
        elif name := names.get(board.device_id or ""):
            changes.append(Change(board.name, board.site, "renamed", name))
        elif board.name not in earlier:
            changes.append(Change(board.name, board.site, "new"))
    return Since(before.made_at, changes, sorted(left_out, key=natural))


def _by_name(report: Report) -> dict[tuple[str, str], BoardReport]:
    """Sites may have boards of one name; otherwise what a site is called says nothing of its boards."""
    return {(board.name, (board.site or "") if report.sites else ""): board for board in report.boards}


def _changes(before: BoardReport, now: BoardReport) -> Iterator[Change]:
    def change(what: str, former: str = "", present: str = "") -> Change:
        return Change(now.name, now.site, what, former, present)

    told = _told(before), _told(now)
    if now.outcome == MISSING and before.outcome != MISSING:
        yield change("missing")
    elif None not in told and told[0] != told[1]:
        what = "in-order" if not told[1] else "other-reason" if told[0] else "not-in-order"
        yield change(what, told[0] or "", told[1] or "")
    if before.device_id and now.device_id and before.device_id != now.device_id:
        yield change("device", before.device_id, now.device_id)
    held = (
        ("developer", before.developer_certificate, now.developer_certificate),
        (
            "update",
            before.update_certificate,
            now.update_certificate,
        ),
    )
    for kind, former, present in held:
        if former and present and former.fingerprint != present.fingerprint:
            yield change(f"{kind}-certificate", *_both(former, present))
    answers = [board.takes_updates.answer if board.takes_updates else NOT_KNOWN for board in (before, now)]
    if NOT_KNOWN not in answers and answers[0] != answers[1]:
        yield change("takes-updates", *(ANSWERS[answer] for answer in answers))


def _told(board: BoardReport) -> str | None:
    """Why the board is not in order, empty where it is, None where that is not known."""
    if board.outcome == NOT_REACHED:
        return None
    return "" if board.outcome in GOOD else board.code or board.outcome


def _both(before: HeldCertificate, now: HeldCertificate) -> tuple[str, str]:
    """What tells one from the other."""
    if before.words != now.words:
        return before.words, now.words
    return before.fingerprint[:16], now.fingerprint[:16]
