# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificates of boards, store and cloud end soon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..board.description import BoardStatus
from ..cloud.api_answers import DeveloperCertificate
from ..times import parse_time, time_text
from .entries import HeldCertificate
from .words import counted


@dataclass(frozen=True, order=True)
class Ending:
    """A certificate that ends at ``not_after`` (2026-01-01T00:00:00Z), ``days`` from now, negative when it has."""

    not_after: str
    days: int
    place: str
    kind: str
    name: str

    def __str__(self) -> str:
        when = f"ends in {counted(self.days, 'day')}" if self.days >= 0 else "has ended"
        return f"{self.place}: the {self.kind} certificate {self.name!r} {when} ({self.not_after})."


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


def _boards(names: list[str]) -> str:
    if len(names) == 1:
        return f"board {names[0]}"
    shown = ", ".join(names[:5])
    return f"{len(names)} boards ({shown}{', …' if len(names) > 5 else ''})"
