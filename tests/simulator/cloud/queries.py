# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query parameters of list calls: paging, and the filters that the collection and its tests use.

Source: Pelion's OpenAPI document of 2020-07. It is silent about parameters that it does not know; here
they are refused (400), so that a misspelt filter never passes for an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from .records import Device
from .service_error import invalid
from .times import parse

_PAGING = {"limit", "after", "order", "include"}
_TIMES = {"created_at", "date_time"}
_TEXTS = {
    *("id", "name", "state", "phase", "ca_id", "device_execution_mode", "serial_number", "device_class", "vendor_id"),
    *("device_id", "event_type"),
}
_LIMIT_MIN, _LIMIT_DEFAULT, _LIMIT_MAX = 2, 50, 1000


def certificate_page(certificates: Sequence[Any], query: Mapping[str, str]) -> dict[str, Any]:
    """The answer of ``GET /v3/trusted-certificates``; ``total_count`` is always in it."""
    return _page(certificates, query, clamp=False)


def page(records: Sequence[Any], query: Mapping[str, str]) -> dict[str, Any]:
    """The answer of the other list calls."""
    answer = _page(records, query, clamp=True)
    if "total_count" not in included(query, "total_count"):
        del answer["total_count"]
    return answer


def chosen_devices(devices: list[Device], device_filter: str) -> list[Device]:
    """Those that a campaign's ``device_filter`` means."""
    tests = [_test(name, value) for name, value in parse_qsl(device_filter, keep_blank_values=True)]
    return [device for device in devices if all(test(device) for test in tests)]


def included(query: Mapping[str, str], *known: str) -> set[str]:
    """The words of ``include``."""
    words = {word.strip() for word in query.get("include", "").split(",") if word.strip()}
    for word in words:
        if word not in known:
            raise invalid("include", f"Unknown include: {word}.")
    return words


def _page(records: Sequence[Any], query: Mapping[str, str], *, clamp: bool) -> dict[str, Any]:
    included(query, "total_count")
    tests = [_test(name, value) for name, value in query.items() if name not in _PAGING]
    limit = _limit(query.get("limit"), clamp)
    order = query.get("order", "ASC")
    if order not in ("ASC", "DESC"):
        raise invalid("order", "Order must be ASC or DESC.")
    ordered = records if order == "ASC" else records[::-1]
    matching = rest = [record for record in ordered if all(test(record) for test in tests)]
    after = query.get("after")
    if after is not None:
        # `after` need not itself match: it was the last of the page before, and may have changed since.
        ids = [record.id for record in ordered]
        if after not in ids:
            raise invalid("after", f"Unknown entity: {after}.")
        later = set(ids[ids.index(after) + 1 :])
        rest = [record for record in matching if record.id in later]
    return {
        "object": "list",
        "limit": limit,
        "order": order,
        "after": after,
        "has_more": len(rest) > limit,
        "total_count": len(matching),
        "data": [record.to_json() for record in rest[:limit]],
    }


def _limit(text: str | None, clamp: bool) -> int:
    try:
        limit = _LIMIT_DEFAULT if text is None else int(text)
    except ValueError:
        raise invalid("limit", "Limit must be a number.") from None
    if clamp:
        return min(max(limit, _LIMIT_MIN), _LIMIT_MAX)
    if not _LIMIT_MIN <= limit <= _LIMIT_MAX:
        raise invalid("limit", f"Limit must be between {_LIMIT_MIN} and {_LIMIT_MAX}.")
    return limit


def _test(name: str, value: str) -> Callable[[Any], bool]:
    """``FIELD__eq``, ``FIELD__in`` and, for times, ``FIELD__gte``."""
    field, _underscores, operator = name.partition("__")

    def actual(record: Any) -> str:
        shown = str(record.to_json().get(field))
        # Filtered by 32 digits (manifest-tool), shown with dashes (OpenAPI document).
        return shown.replace("-", "") if field == "vendor_id" else shown

    if field in _TEXTS and operator in ("eq", "in"):
        wanted = value.split(",") if operator == "in" else [value]
        return lambda record: actual(record) in wanted
    if field not in _TIMES or operator != "gte":
        raise invalid(name, f"Unknown parameter: {name}.")
    try:
        since = parse(value)
    except ValueError:
        raise invalid(name, f"{name} must be an RFC 3339 time in UTC.") from None
    return lambda record: parse(actual(record)) >= since
