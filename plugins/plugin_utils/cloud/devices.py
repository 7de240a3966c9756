# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Device Directory: finding devices and waiting for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

from ..times import time_text
from .api_answers import DEVELOPER_MODE, Device
from .pelion_api import PelionApi, require_id

STATES = ("unenrolled", "cloud_enrolling", "bootstrapped", "registered", "deregistered")

# A request line may be 8 kB long at usual servers; this leaves room for the other filters.
LONGEST_LIST = 4000

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 15.0


def find_devices(
    api: PelionApi,
    *,
    ids: Iterable[str] | None = None,
    names: Iterable[str] | None = None,
    serial_numbers: Iterable[str] | None = None,
    states: Iterable[str] | None = None,
    certificate_id: str | None = None,
) -> list[Device]:
    """The devices that all given filters fit, each once, in the directory's order.

    An id that the directory does not have is left out; of ``ids``, ``names`` and ``serial_numbers``, one may be given.
    Makes one call for each 1000 devices found, at least one for about 100 ids or for 4000 characters of names or
    serial numbers. Raises PelionError for text that is not an ID.
    """
    wanted_ids, wanted_names, wanted_serials = _list(ids), _list(names), _list(serial_numbers)
    wanted_states = _list(states)
    for device_id in wanted_ids or ():
        require_id(device_id)
    filters: dict[str, str | int] = {}
    if certificate_id is not None:
        filters["ca_id__eq"] = certificate_id
    if wanted_states is not None:
        filters["state__in"] = ",".join(wanted_states)
    if wanted_ids is not None:
        queries = [{**filters, "id__in": ",".join(some)} for some in _parts(wanted_ids)]
    elif wanted_names is not None:
        queries = [{**filters, **query} for query in _any_of("name", wanted_names)]
    elif wanted_serials is not None:
        queries = [{**filters, **query} for query in _any_of("serial_number", wanted_serials)]
    else:
        queries = [filters]
    # The filters are applied again here: a service that overlooks one must not make a device seem what it is not.
    found = {
        device.id: device
        for query in queries
        for device in api.devices(query)
        if (wanted_ids is None or device.id in wanted_ids)
        and (wanted_names is None or device.name in wanted_names)
        and (wanted_serials is None or device.serial_number in wanted_serials)
        and (wanted_states is None or device.state in wanted_states)
        and certificate_id in (None, device.certificate_id)
    }
    return list(found.values())


def await_devices(
    api: PelionApi, ids: Iterable[str], is_there: Callable[[Device], bool], timeout: float
) -> dict[str, Device]:
    """The devices ``ids`` by id, as last seen, once ``is_there`` holds for all or ``timeout`` seconds are over.

    Each look asks only for those for which it did not hold yet; pauses grow from one second to 15. A device that
    the directory does not have is left out.
    """
    waiting = _list(ids) or []
    seen: dict[str, Device] = {}
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE
    while True:
        seen.update((device.id, device) for device in find_devices(api, ids=waiting))
        waiting = [device_id for device_id in waiting if device_id not in seen or not is_there(seen[device_id])]
        left = deadline - time.monotonic()
        if not waiting or left <= 0:
            return seen
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)


def developer_devices(api: PelionApi) -> dict[str, str | None]:
    """The account's devices with developer certificates, in whatever state: their ids, and their certificates' ids.

    Makes one call for each 1000 devices. That a device's ``ca_id`` is its developer certificate's id is
    inferred, as the service documents it only as "the certificate issuer's ID".
    """
    devices = api.devices({"device_execution_mode__eq": DEVELOPER_MODE})
    return {device.id: device.certificate_id for device in devices if device.developer}


def describe_device(device: Device) -> dict[str, Any]:
    """JSON-able facts of a device."""
    return {
        "id": device.id,
        "state": device.state,
        "name": device.name,
        "description": device.description,
        "endpoint_name": device.endpoint_name,
        "serial_number": device.serial_number,
        "certificate_id": device.certificate_id,
        "developer": device.developer,
        "bootstrapped_at": time_text(device.bootstrapped_at),
        "created_at": time_text(device.created_at),
        "updated_at": time_text(device.updated_at),
        "custom_attributes": dict(device.custom_attributes),
        "suspended": device.suspended,
    }


def _list(values: Iterable[str] | None) -> list[str] | None:
    """``values`` once each, in their order."""
    return None if values is None else list(dict.fromkeys(values))


def _any_of(field: str, texts: list[str]) -> list[dict[str, str]]:
    """Filters for the devices whose ``field`` is one of ``texts``."""
    # In a list, a comma in a text would part it in two.
    alone = [{f"{field}__eq": text} for text in texts if "," in text]
    return alone + [{f"{field}__in": ",".join(some)} for some in _parts([text for text in texts if "," not in text])]


def _parts(values: list[str]) -> Iterator[list[str]]:
    """``values`` in lists that are short enough for a URL."""
    part: list[str] = []
    length = 0
    for value in values:
        size = len(quote(value, safe="")) + len("%2C")
        if part and length + size > LONGEST_LIST:
            yield part
            part, length = [], 0
        part.append(value)
        length += size
    if part:
        yield part
