# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query parameters of list calls: paging and filters.

Source: Pelion's OpenAPI document of 2020-07. It is silent about parameters that it does not know; here
they are refused (400), so that a misspelt filter never passes for an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from .records import Device, Group, TrustedCertificate
from .service_error import invalid
from .times import now, parse

_PAGING = {"limit", "after", "order", "include"}
_LIMIT_MIN, _LIMIT_DEFAULT, _LIMIT_MAX = 2, 50, 1000
_EXPIRE_MAX = 100_000  # days; what lies farther off cannot be reckoned with

_DEVICE_TIMES = {
    "bootstrap_expiration_date",
    "bootstrapped_timestamp",
    "connector_expiration_date",
    "created_at",
    "enrolment_list_timestamp",
    "etag",
    "manifest_timestamp",
    "updated_at",
}
_PLAIN_TIMES = {"created_at", "date_time", "finished", "started_at", "timestamp", "updated_at"}
_DEVICE_IDS = {"device_class", "vendor_id"}
_DEVICE_FIELDS = _DEVICE_TIMES | {
    "account_id",
    "auto_update",
    "ca_id",
    "deployed_state",
    "deployment",
    "description",
    "device_class",
    "device_execution_mode",
    "device_key",
    "endpoint_name",
    "endpoint_type",
    "firmware_checksum",
    "host_gateway",
    "id",
    "manifest",
    "mechanism",
    "mechanism_url",
    "name",
    "serial_number",
    "state",
    "vendor_id",
}


def certificate_page(certificates: list[TrustedCertificate], query: Mapping[str, str]) -> dict[str, Any]:
    """The answer of ``GET /v3/trusted-certificates``; ``total_count`` is always in it."""
    tests = [_certificate_test(name, value) for name, value in query.items() if name not in _PAGING]
    return _page(certificates, query, tests, clamp=False)


def device_page(devices: list[Device], query: Mapping[str, str]) -> dict[str, Any]:
    """The answer of ``GET /v3/devices/``, with filters as parameters of their own or within ``filter``."""
    given = {name: value for name, value in query.items() if name not in _PAGING}
    wanted = [*parse_qsl(given.pop("filter", ""), keep_blank_values=True), *given.items()]
    return _directory_page(devices, query, [_device_test(name, value) for name, value in wanted])


def chosen_devices(devices: list[Device], device_filter: str) -> list[Device]:
    """Those that a campaign's ``device_filter`` means."""
    tests = [_device_test(name, value) for name, value in parse_qsl(device_filter, keep_blank_values=True)]
    return [device for device in devices if all(test(device) for test in tests)]


def plain_page(records: list[Any], query: Mapping[str, str], *, filters: bool = True) -> dict[str, Any]:
    """The answer of a list call whose filters are fields of what it lists, each by the operators of its kind."""
    given = {name: value for name, value in query.items() if name not in _PAGING}
    if given and not filters:
        raise invalid(next(iter(given)), f"Unknown parameter: {next(iter(given))}.")
    return _directory_page(records, query, [_plain_test(name, value) for name, value in given.items()])


def group_page(groups: list[Group], query: Mapping[str, str]) -> dict[str, Any]:
    """The answer of ``GET /v3/device-groups/``; of its filters, those by id and name."""
    tests = [_group_test(name, value) for name, value in query.items() if name not in _PAGING]
    return _directory_page(groups, query, tests)


def _directory_page(
    records: list[Any], query: Mapping[str, str], tests: Iterable[Callable[[Any], bool]]
) -> dict[str, Any]:
    page = _page(records, query, tests, clamp=True)
    if "total_count" not in _words(query.get("include", "")):
        del page["total_count"]
    return page


def included(query: Mapping[str, str], *known: str) -> set[str]:
    """The words of ``include``."""
    words = _words(query.get("include", ""))
    for word in words:
        if word not in known:
            raise invalid("include", f"Unknown include: {word}.")
    return words


def _page(
    records: list[Any], query: Mapping[str, str], tests: Iterable[Callable[[Any], bool]], *, clamp: bool
) -> dict[str, Any]:
    included(query, "total_count")
    limit = _limit(query.get("limit"), clamp)
    order = query.get("order", "ASC")
    if order not in ("ASC", "DESC"):
        raise invalid("order", "Order must be ASC or DESC.")
    ordered = records if order == "ASC" else records[::-1]
    tests = list(tests)
    matching = [record for record in ordered if all(test(record) for test in tests)]
    after = query.get("after")
    rest = matching
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


def _certificate_test(name: str, value: str) -> Callable[[TrustedCertificate], bool]:
    if name == "name__eq":
        return lambda certificate: certificate.name == value
    if name == "service__eq":
        _one_of(name, value, "lwm2m", "bootstrap")
        return lambda certificate: certificate.service == value
    if name == "status__eq":
        _one_of(name, value, "ACTIVE", "INACTIVE")
        return lambda certificate: certificate.status == value
    if name == "owner__eq":
        return lambda certificate: certificate.owner_id == value
    if name in ("device_execution_mode__eq", "device_execution_mode__neq"):
        mode = _number(name, value)
        return lambda certificate: (certificate.execution_mode == mode) == name.endswith("__eq")
    if name == "enrollment_mode__eq":
        mode = _boolean(name, value)
        return lambda certificate: certificate.enrollment_mode == mode
    if name == "valid__eq":
        valid = _boolean(name, value)
        return lambda certificate: certificate.valid == valid
    if name == "expire__eq":
        # "Expire filter in days": taken as ending within that many days, or ended.
        end = now() + timedelta(days=_days(name, value))
        return lambda certificate: certificate.not_after <= end
    if name in ("issuer__like", "subject__like"):
        field = name.removesuffix("__like")
        return lambda certificate: value.lower() in getattr(certificate, field).lower()
    raise invalid(name, f"Unknown parameter: {name}.")


def _device_test(name: str, value: str) -> Callable[[Device], bool]:
    field, _unused, operator = name.partition("__")
    if field == "custom_attributes":
        attribute, _unused, operator = operator.partition("__")
        if operator not in ("", "eq", "neq"):
            raise invalid(name, f"Unknown parameter: {name}.")
        return _compare(name, operator or "eq", value, lambda device: device.custom_attributes.get(attribute))
    if field not in _DEVICE_FIELDS:
        raise invalid(name, f"Unknown parameter: {name}.")
    operator = operator or "eq"
    if field in _DEVICE_TIMES:
        return _compare(name, operator, value, lambda device: device.to_json()[field], _moment)
    if field in _DEVICE_IDS:
        # Filtered by 32 digits (manifest-tool), shown with dashes (OpenAPI document).
        return _compare(
            name, operator, value, lambda device: device.to_json()[field], lambda _, id_: id_.replace("-", "")
        )
    return _compare(name, operator, value, lambda device: _as_text(device.to_json().get(field)))


def _plain_test(name: str, value: str) -> Callable[[Any], bool]:
    field, _unused, operator = name.partition("__")

    def actual(record: Any) -> Any:
        shown = record.to_json()
        if field not in shown:
            raise invalid(name, f"Unknown parameter: {name}.")
        return shown[field]

    if field in _PLAIN_TIMES:
        return _compare(name, operator, value, actual, _moment)
    return _compare(name, operator, value, lambda record: _as_text(actual(record)))


def _group_test(name: str, value: str) -> Callable[[Group], bool]:
    field, _unused, operator = name.partition("__")
    if field not in ("id", "name"):
        raise invalid(name, f"Unknown parameter: {name}.")
    return _compare(name, operator, value, lambda group: getattr(group, field))


def _compare(
    name: str,
    operator: str,
    value: str,
    actual: Callable[[Any], Any],
    convert: Callable[[str, Any], Any] = lambda name, text: text,
) -> Callable[[Any], bool]:
    def known(record: Any) -> Any:
        found = actual(record)
        return None if found is None else convert(name, found)

    if operator in ("in", "nin"):
        wanted = {convert(name, one) for one in value.split(",")}
        return lambda record: (known(record) in wanted) == (operator == "in")
    wanted = convert(name, value)
    if operator in ("eq", "neq"):
        return lambda record: (known(record) == wanted) == (operator == "eq")
    if operator in ("lte", "gte") and convert is _moment:
        if operator == "lte":
            return lambda record: known(record) is not None and known(record) <= wanted
        return lambda record: known(record) is not None and known(record) >= wanted
    raise invalid(name, f"Unknown parameter: {name}.")


def _moment(name: str, text: str) -> Any:
    try:
        return parse(text)
    except ValueError:
        raise invalid(name, f"{name} must be an RFC 3339 time in UTC.") from None


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",") if word.strip()}


def _one_of(name: str, value: str, *choices: str) -> None:
    if value not in choices:
        raise invalid(name, f"{name} must be one of {', '.join(choices)}.")


def _number(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise invalid(name, f"{name} must be a number.") from None


def _days(name: str, value: str) -> int:
    return max(-_EXPIRE_MAX, min(_number(name, value), _EXPIRE_MAX))


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise invalid(name, f"{name} must be true or false.")
    return value.lower() == "true"
