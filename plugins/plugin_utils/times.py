# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times as text: read as RFC 3339 and its relatives write them, written in one way."""

from __future__ import annotations

import re
from datetime import datetime, timezone

_TIME = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[Tt ](?P<time>\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d+))?\s*(?P<zone>[Zz]|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)


def parse_time(text: str) -> datetime:
    """The moment that ``text`` names, in UTC: RFC 3339 with any number of digits after the second, or a date alone.

    Without a zone it is taken as UTC, and a date as its midnight. What is finer than a microsecond is cut off. Raises
    ValueError, also for a moment that is outside the years 1 to 9999 in UTC.
    """
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise ValueError("is not a time such as 2026-01-31T12:00:00Z")
    # Python 3.10 reads fractions of three and six digits only, and no Z.
    fraction = (match["fraction"] or "")[:6].ljust(6, "0")
    zone = match["zone"] or "Z"
    moment = datetime.fromisoformat(
        f"{match['date']}T{match['time'] or '00:00:00'}.{fraction}{'+00:00' if zone in 'Zz' else zone}"
    )
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError("is not a time in the years 1 to 9999") from None


def time_text(moment: datetime | None) -> str | None:
    """``moment`` as all results give times, which is the cloud's way: 2018-02-14T15:24:14Z."""
    if moment is None:
        return None
    # Not strftime, which gives years before 1000 fewer than four digits.
    return moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def span_text(seconds: float) -> str:
    """A span of time in its two largest units: 2 days, 1 day and 3 hours, 40 seconds."""
    left, parts = round(seconds), []
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {unit}" if number == 1 else f"{number} {unit}s")
        elif parts:
            break
    return " and ".join(parts[:2]) or "0 seconds"
