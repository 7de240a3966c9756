# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from typing import Any

import pytest
from cloud import Cloud
from cloud_access import api_of, calls

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud import devices
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_answers import Device
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.devices import (
    await_devices,
    describe_device,
    developer_devices,
    find_devices,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "FIRST_PAUSE", 0.01)


def set_device(cloud: Cloud, device_id: str, **changes: Any) -> None:
    cloud.state.update_device(cloud.account_id, device_id, changes)


def found(cloud: Cloud, **filters: Any) -> list[str]:
    return [device.id for device in find_devices(api_of(cloud), **filters)]


def test_filters_alone_and_together(cloud: Cloud) -> None:
    one, other = cloud.state.seed_certificates(2)
    first = cloud.state.seed_devices(3, one)
    second = cloud.state.seed_devices(2, other, state="bootstrapped")
    production = cloud.state.seed_devices(1, None, device_execution_mode=5)
    set_device(cloud, first[0], name="shelf, left")
    set_device(cloud, second[0], name="shelf & right")
    assert found(cloud) == first + second + production
    assert found(cloud, certificate_id=one) == first
    assert found(cloud, states=["bootstrapped", "deregistered"]) == second
    assert found(cloud, ids=[second[1], first[2], second[1], "0" * 32]) == [first[2], second[1]]
    assert sorted(found(cloud, names=["shelf, left", "shelf & right", "none"])) == sorted([first[0], second[0]])
    assert found(cloud, ids=first, names=["shelf, left"], states=["registered"], certificate_id=one) == [first[0]]
    assert found(cloud, ids=first, states=["bootstrapped"]) == []


def test_empty_lists_find_nothing_and_ask_nothing(cloud: Cloud) -> None:
    cloud.state.seed_devices(1)
    assert found(cloud, ids=[]) == []
    assert found(cloud, names=[]) == []
    assert not calls(cloud)


def test_calls_grow_with_pages_and_not_with_devices(cloud: Cloud) -> None:
    ids = cloud.state.seed_devices(1000)
    assert sorted(found(cloud, ids=ids)) == sorted(ids)
    assert calls(cloud).total() <= 10
    assert max(len(call.query) for call in cloud.log.calls) < 4200
    cloud.log.clear()
    assert len(found(cloud)) == 1000
    assert calls(cloud).total() == 1


@pytest.mark.parametrize("bad", ["", "abc", "../x", "0" * 31, "Z" * 32])
def test_ids_that_are_none_are_refused_before_anything_is_asked(cloud: Cloud, bad: str) -> None:
    with pytest.raises(PelionError, match="32 hexadecimal digits"):
        found(cloud, ids=[bad])
    assert not calls(cloud)


def test_a_service_that_overlooks_filters_does_not_fool_us(cloud: Cloud) -> None:
    certificate_id = cloud.state.seed_certificates(1)[0]
    device_id = cloud.state.seed_devices(1, certificate_id, state="bootstrapped")[0]
    wrong = {"data.*.state": "deregistered", "data.*.ca_id": "0" * 32, "data.*.name": "other"}
    cloud.faults.add("edited", set=wrong)
    assert found(cloud, states=["bootstrapped"]) == []
    assert found(cloud, certificate_id=certificate_id) == []
    assert found(cloud, names=[""]) == []
    assert found(cloud, ids=[device_id]) == [device_id]


def test_developer_devices_of_all_states(cloud: Cloud) -> None:
    one, other = cloud.state.seed_certificates(2)
    ids = cloud.state.seed_devices(2, one) + cloud.state.seed_devices(1, one, state="deregistered")
    more = cloud.state.seed_devices(1, other)
    cloud.state.seed_devices(1, None, device_execution_mode=5)
    assert developer_devices(api_of(cloud)) == dict.fromkeys(ids, one) | dict.fromkeys(more, other)


# --- waiting


def is_registered(device: Device) -> bool:
    return device.state == "registered"


def test_a_fleet_is_waited_for(cloud: Cloud) -> None:
    ids = cloud.state.seed_devices(5, state="bootstrapped")

    def register() -> None:
        for device_id in ids:
            set_device(cloud, device_id, state="registered")
            threading.Event().wait(0.02)

    thread = threading.Thread(target=register)
    thread.start()
    arrived = await_devices(api_of(cloud), ids, is_registered, 10)
    thread.join()
    assert list(arrived) == ids
    assert {device.state for device in arrived.values()} == {"registered"}


def test_only_those_that_are_missing_are_asked_for_again(cloud: Cloud) -> None:
    registered, waiting = cloud.state.seed_devices(1)[0], cloud.state.seed_devices(1, state="bootstrapped")[0]
    looks = iter(range(3))
    seen = await_devices(api_of(cloud), [registered, waiting], lambda it: is_registered(it) or next(looks) == 2, 60)
    assert {device_id: device.state for device_id, device in seen.items()} == {
        registered: "registered",
        waiting: "bootstrapped",
    }
    calls(cloud)
    queries = [call.query for call in cloud.log.calls]
    assert registered in queries[0] and len(queries) == 3
    assert all(registered not in query and waiting in query for query in queries[1:])


def test_no_time_to_wait_is_one_look(cloud: Cloud) -> None:
    assert await_devices(api_of(cloud), ["0" * 32], is_registered, 0) == {}
    assert calls(cloud).total() == 1


def test_a_device_is_described_as_the_directory_has_it(cloud: Cloud) -> None:
    certificate_id = cloud.state.seed_certificates(1)[0]
    device_id = cloud.state.seed_devices(1, certificate_id)[0]
    facts = describe_device(find_devices(api_of(cloud), ids=[device_id])[0])
    assert (facts["id"], facts["state"], facts["certificate_id"]) == (device_id, "registered", certificate_id)
    assert facts["developer"] is True
    assert facts["bootstrapped_at"].endswith("Z")
