# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the certificates of a report end: those on boards, and those of the account that boards may get."""

from __future__ import annotations

from dataclasses import dataclass

from ..times import parse_time
from .entries import Report

ACTIVE = "ACTIVE"


@dataclass(frozen=True)
class CertificateEnd:
    """``boards`` is how many boards hold it; ``rotate_by`` is empty where that is not known."""

    kind: str
    name: str
    not_after: str
    boards: int
    rotate_by: str = ""


def certificate_ends(report: Report) -> list[CertificateEnd]:
    """Each certificate once, the first to end first."""
    held: dict[tuple[str, str, str], int] = {}
    rotate_by: dict[tuple[str, str, str], str] = {}
    for board in report.boards:
        for kind, certificate in (
            ("developer", board.developer_certificate),
            ("update", board.update_certificate),
        ):
            if certificate and certificate.not_after:
                key = (kind, certificate.name or certificate.fingerprint[:16], certificate.not_after)
                held[key] = held.get(key, 0) + 1
                told = board.takes_updates if kind == "update" else None
                if told and told.rotate_by:
                    rotate_by[key] = told.rotate_by
    for place in report.places:
        if place.status == ACTIVE:
            held.setdefault(("developer", place.name, place.not_after), 0)
    ends = (CertificateEnd(*key, boards, rotate_by.get(key, "")) for key, boards in held.items() if key[2])
    return sorted(ends, key=lambda end: parse_time(end.not_after))
