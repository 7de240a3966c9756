# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificates of boards, store and cloud end soon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..board.description import BoardStatus
from ..cloud.api_answers import DeveloperCertificate
from ..reasons import Reason
from ..times import parse_time, time_text
from ..words import counted, some
from .alike import alike
from .entries import FAILED, BoardReport, HeldCertificate
from .failure import Failure

MOST_TEXTS = 10
"""In one message."""


@dataclass(frozen=True, order=True)
class Ending:
    """A certificate that ends at ``not_after`` (2026-01-01T00:00:00Z), ``days`` from now, negative when it has."""

    not_after: str
    days: int
    place: str
    kind: str
    name: str


def endings(
    now: datetime,
    within_days: int,
    *,
    boards: Mapping[str, BoardStatus],
    stored: Iterable[Mapping[str, Any]],
    in_cloud: Iterable[DeveloperCertificate],
) -> list[Ending]:
    """Those that end within so many days, the first to end first.

    ``stored`` are entries of store_report. Of the cloud's certificates only the active ones count: nothing depends on
    the others.
    """
    stored, in_cloud = list(stored), list(in_cloud)
    # A certificate's common name may be a mere number.
    names = {entry["fingerprint"]: entry["name"] for entry in stored if "fingerprint" in entry}
    names |= {certificate.fingerprint: certificate.name for certificate in in_cloud}
    holders: dict[tuple[str, str, str | None], list[str]] = {}
    for board, status in boards.items():
        for title, description in (("developer", status.developer_certificate), ("update", status.update_certificate)):
            if held := HeldCertificate.described(description):
                name = names.get(held.fingerprint) or held.name or held.fingerprint[:16]
                holders.setdefault((title, name, held.not_after), []).append(board)
    found = [(_boards(holding), *certificate) for certificate, holding in holders.items()]
    kinds = {"developer-credentials": "developer", "update-resources": "update"}
    found += [
        ("team store", kinds[entry["kind"]], entry["name"], entry.get("not_after"))
        for entry in stored
        if entry["kind"] in kinds
    ]
    found += [("cloud", "developer", c.name, time_text(c.not_after)) for c in in_cloud if c.active]
    return sorted(
        Ending(not_after, days, place, kind, str(name))
        for place, kind, name, not_after in found
        if not_after and (days := (parse_time(not_after) - now).days) < within_days
    )


def ending_text(found: Sequence[Ending], within_days: int) -> list[str]:
    """What to say of them, in sentences: each certificate once, with all its places."""
    places: dict[tuple[str, str, str, int], list[str]] = {}
    for ending in found:
        places.setdefault((ending.kind, ending.name, ending.not_after, ending.days), []).append(ending.place)
    if not places:
        return []
    said = [
        f"The {kind} certificate {name!r} {_when(days)} ({not_after}): {', '.join(where)}."
        for (kind, name, not_after, days), where in places.items()
    ]
    number = f"{counted(len(said), 'certificate')} end{'s' if len(said) == 1 else ''} within {within_days} days."
    more = [f"And {len(said) - MOST_TEXTS} more."] if len(said) > MOST_TEXTS else []
    return [number, *said[:MOST_TEXTS], *more, "Run pelion.mbl.rotate for the fleet to get new ones."]


def _when(days: int) -> str:
    return f"ends in {counted(days, 'day')}" if days >= 0 else "has ended"


def unchecked_text(failures: Mapping[str, Failure | None]) -> list[str]:
    """What to say of boards that did not answer, None of one that was not asked: each text once."""
    whose = ("its", "their")
    boards = [
        failure.report(board) if failure else BoardReport.because(board, FAILED, Reason("not-asked"))
        for board, failure in failures.items()
    ]
    texts = [
        f"{some(step.names)} did not answer, so {whose[len(step.names) > 1]} certificates were not checked: "
        f"{step.reason.rstrip('.')}."
        for step in alike(boards)
    ]
    more = [f"And {len(texts) - MOST_TEXTS} more."] if len(texts) > MOST_TEXTS else []
    return [*texts[:MOST_TEXTS], *more]


def _boards(names: list[str]) -> str:
    if len(names) == 1:
        return f"board {names[0]}"
    shown = ", ".join(names[:5])
    return f"{len(names)} boards ({shown}{', …' if len(names) > 5 else ''})"
