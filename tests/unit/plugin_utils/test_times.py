# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.times import parse_time, span_text, time_text

NOON = datetime(2018, 2, 14, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2018-02-14T12:00:00Z", NOON),
        ("2018-02-14T12:00:00.22Z", NOON + timedelta(milliseconds=220)),
        ("2018-02-14T12:00:00.009Z", NOON + timedelta(milliseconds=9)),
        ("2018-02-14T12:00:00.576563Z", NOON + timedelta(microseconds=576563)),
        ("2018-02-14T12:00:00.5765639Z", NOON + timedelta(microseconds=576563)),
        ("2018-02-14t13:00:00.5+01:00", NOON + timedelta(milliseconds=500)),
        ("2018-02-14T12:00:00", NOON),
        # What YAML makes of an unquoted time, and of a date.
        ("2018-02-14 12:00:00+00:00", NOON),
        ("2018-02-14", NOON - timedelta(hours=12)),
    ],
)
def test_times_that_are_read(text: str, moment: datetime) -> None:
    assert parse_time(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2018-02-30T12:00:00Z",
        "2018-02-14T25:00:00Z",
        "2018-02-14T12:00:00.Z",
        "14.02.2018",
        # Moments that have no year from 1 to 9999 in UTC.
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_texts_that_are_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


@given(st.datetimes(timezones=st.just(timezone.utc)), st.integers(0, 6))
def test_any_moment_is_read_in_any_precision(moment: datetime, digits: int) -> None:
    text = moment.isoformat(timespec="seconds").removesuffix("+00:00")
    fraction = f".{moment.microsecond:06}"[: digits + 1] if digits else ""
    read = parse_time(f"{text}{fraction}Z")
    assert timedelta(0) <= moment - read < timedelta(seconds=10.0**-digits)
    assert time_text(read) == text + "Z"


@given(st.text())
def test_any_other_text_is_a_value_error_or_a_time(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_time(text).tzinfo


def test_times_of_other_zones_are_told_in_utc() -> None:
    assert time_text(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == "2026-01-01T00:00:00Z"
    assert time_text(None) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (172800, "2 days"),
        (86400 + 3 * 3600 + 5, "1 day and 3 hours"),
        (86400 + 5, "1 day"),
        (61, "1 minute and 1 second"),
        (0.2, "0 seconds"),
    ],
)
def test_a_span_is_in_words(seconds: float, text: str) -> None:
    assert span_text(seconds) == text
