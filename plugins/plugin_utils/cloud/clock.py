# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's clock beside the cloud's, which each answer tells."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from ..words import counted

TOLERATED = timedelta(minutes=5)
"""Answers are on their way for a while, and clocks that are set at times are not exact."""


def ahead_of_cloud(date: str | None, now: datetime) -> timedelta | None:
    """By how much ``now`` is ahead of ``date``, the header of an answer that came just now; None where it tells no
    time."""
    if not date:
        return None
    try:
        return now - parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError):
        return None  # a text that is not a time, or has no zone


def clock_difference(date: str | None, now: datetime) -> str | None:
    """What to tell users when ``now`` differs from ``date``, the header of an answer that came just now; None when
    there is nothing to tell. It is the same text for all answers of a run."""
    ahead = ahead_of_cloud(date, now)
    if ahead is None or abs(ahead) <= TOLERATED:
        return None
    return (
        f"The clock of this machine is about {_about(abs(ahead))} {'ahead of' if ahead > timedelta(0) else 'behind'} "
        "the cloud's, so certificates may be judged or made with the wrong time. Set it, such as with NTP."
    )


def _about(span: timedelta) -> str:
    for unit, size in (("day", timedelta(days=1)), ("hour", timedelta(hours=1))):
        if span >= 2 * size:
            return counted(round(span / size), unit)
    return counted(round(span / timedelta(minutes=1)), "minute")
