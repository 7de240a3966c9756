# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from cloud import Cloud
from cloud_access import api_of, calls

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.device_changes import (
    DeviceNotes,
    change_devices,
    remove_devices,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError

LIST, UPDATE = "GET /v3/devices/", "PUT /v3/devices/{id}/"


def entries(cloud: Cloud) -> dict[str, dict[str, Any]]:
    return {entry["id"]: entry for entry in cloud.state.snapshot()["devices"]}


def test_only_what_differs_is_changed_and_the_rest_kept(cloud: Cloud) -> None:
    certificate_id = cloud.state.seed_certificates(1)[0]
    device_id = cloud.state.seed_devices(1, certificate_id)[0]
    noted = {"description": "shelf 3", "device_key": "00ff", "endpoint_type": "dev"}
    cloud.state.update_device(cloud.account_id, device_id, noted)
    before = entries(cloud)[device_id]
    wish = DeviceNotes(device_id, name="bench-1", custom_attributes={"shelf": "3"})
    assert change_devices(api_of(cloud), [wish]).changed
    after = entries(cloud)[device_id]
    changes = {"name": "bench-1", "custom_attributes": {"shelf": "3"}}
    assert after == before | changes | {"updated_at": after["updated_at"], "etag": after["etag"]}
    cloud.log.clear()
    assert not change_devices(api_of(cloud), [wish]).changed
    assert calls(cloud) == {LIST: 1}


def test_a_fleet_takes_few_calls(cloud: Cloud) -> None:
    ids = cloud.state.seed_devices(150)
    cloud.state.update_device(cloud.account_id, ids[3], {"name": "board-3"})
    wanted = [DeviceNotes(device_id, name=f"board-{number}") for number, device_id in enumerate(ids)]
    changes = change_devices(api_of(cloud), wanted)
    assert calls(cloud) == {LIST: 2, UPDATE: 149}
    assert [entry["name"] for entry in entries(cloud).values()] == [wish.name for wish in wanted]
    assert list(changes.after) == ids and changes.after[ids[7]]["name"] == "board-7"


def test_devices_are_in_the_groups_that_are_wished(cloud: Cloud) -> None:
    ids = cloud.state.seed_devices(3)
    bench = cloud.state.create_group(cloud.account_id, "Bench", "", {})
    old = cloud.state.create_group(cloud.account_id, "Old", "", {})
    for group, device_id in ((bench, ids[0]), (old, ids[0]), (old, ids[2])):
        cloud.state.join_group(cloud.account_id, group.id, device_id)
    wanted = [
        DeviceNotes(ids[0], groups=["Bench", "New"]),
        DeviceNotes(ids[1], name="x", groups=["New"]),
        DeviceNotes(ids[2], name="y"),
    ]
    planned = change_devices(api_of(cloud), wanted, dry_run=True)
    assert not cloud.state.snapshot()["groups"][2:]
    cloud.log.clear()
    done = change_devices(api_of(cloud), wanted)
    groups = "/v3/device-groups/"
    join, leave = f"POST {groups}{{id}}/devices/add/", f"POST {groups}{{id}}/devices/remove/"
    assert calls(cloud) == {LIST: 1, UPDATE: 2, f"GET {groups}": 1, f"POST {groups}": 1, join: 2, leave: 1}
    assert [done.after[device_id]["groups"] for device_id in ids] == [["Bench", "New"], ["New"], ["Old"]]
    assert done.before[ids[0]]["groups"] == ["Bench", "Old"] and planned.after == done.after
    members = {group["name"]: group["devices_count"] for group in cloud.state.snapshot()["groups"]}
    assert members == {"Bench": 1, "Old": 1, "New": 2}
    assert not change_devices(api_of(cloud), wanted).changed
    assert change_devices(api_of(cloud), [DeviceNotes(ids[0], groups=[])]).after[ids[0]]["groups"] == []


def test_a_group_that_cannot_be_joined_fails_its_device_alone(cloud: Cloud) -> None:
    ids = cloud.state.seed_devices(2)
    cloud.faults.add("status", method="POST", path="/v3/device-groups/", status=409, times=1)
    changes = change_devices(api_of(cloud), [DeviceNotes(device_id, name="x", groups=["Bench"]) for device_id in ids])
    assert list(changes.failed) == [ids[0]]
    assert [changes.after[device_id]["groups"] for device_id in ids] == [[], ["Bench"]]
    assert changes.after[ids[0]]["name"] == "x"


def test_a_dry_run_changes_nothing(cloud: Cloud) -> None:
    device_id = cloud.state.seed_devices(1)[0]
    wanted = [DeviceNotes(device_id, name="x", suspended=True)]
    planned = change_devices(api_of(cloud), wanted, category="other", reason="r", dry_run=True)
    assert planned.changed and planned.after[device_id]["name"] == "x" and planned.after[device_id]["suspended"]
    assert remove_devices(api_of(cloud), [device_id], dry_run=True).changed
    assert calls(cloud) == {LIST: 2} and not entries(cloud)[device_id]["name"]


def test_suspending_and_resuming_with_a_reason(cloud: Cloud) -> None:
    one, other = cloud.state.seed_devices(2)
    api = api_of(cloud)
    for suspended, reason in ((True, "left in a taxi"), (False, "came back")):
        wanted = [DeviceNotes(one, suspended=suspended), DeviceNotes(other, suspended=False)]
        # It is resumed with the category of its suspension, whatever the task says.
        category = "lost_or_stolen" if suspended else "maintenance"
        assert change_devices(api, wanted, category=category, reason=reason).require_success().changed
        assert not change_devices(api, wanted, category=category, reason=reason).changed
        entry = entries(cloud)[one]
        assert entry["operator_suspended"] is suspended
        assert entry["last_operator_suspended_category"] == "lost_or_stolen"
        assert entry["last_operator_suspended_description"] == reason
    assert entries(cloud)[other]["last_operator_suspended_category"] is None


def test_one_that_fails_keeps_no_other_from_its_change(cloud: Cloud) -> None:
    ids = cloud.state.seed_devices(3)
    cloud.faults.add("status", method="PUT", path=f"/v3/devices/{ids[1]}/", status=500)
    changes = change_devices(api_of(cloud), [DeviceNotes(device_id, name="x", suspended=False) for device_id in ids])
    assert [entry["name"] for entry in entries(cloud).values()] == ["x", "", "x"]
    with pytest.raises(PelionError, match=f"1 of 3 devices.*{ids[1]}.*500") as caught:
        changes.require_success()
    assert caught.value.facts["failed_ids"] == [ids[1]] and caught.value.facts["changed"] is True
    assert [device["name"] for device in caught.value.facts["devices"]] == ["x", "", "x"]


def test_a_category_that_the_service_does_not_know_changes_nothing(cloud: Cloud) -> None:
    device_id = cloud.state.seed_devices(1)[0]
    changes = change_devices(api_of(cloud), [DeviceNotes(device_id, suspended=True)], category="bored", reason="r")
    assert "category must be one of" in changes.failed[device_id] and not changes.changed
    assert not entries(cloud)[device_id]["operator_suspended"]


def test_missing_devices_are_named_before_anything_is_changed(cloud: Cloud) -> None:
    device_id = cloud.state.seed_devices(1)[0]
    with pytest.raises(PelionError, match="0" * 32) as caught:
        change_devices(api_of(cloud), [DeviceNotes(device_id, name="x"), DeviceNotes("0" * 32, name="y")])
    assert caught.value.facts["missing_ids"] == ["0" * 32]
    assert calls(cloud) == {LIST: 1}


def test_removing_many(cloud: Cloud) -> None:
    ids = cloud.state.seed_devices(3)
    production = cloud.state.seed_devices(1, None, device_execution_mode=5)
    with pytest.raises(PelionError, match=production[0]):
        remove_devices(api_of(cloud), ids + production)
    assert len(entries(cloud)) == 4
    cloud.faults.add("status", method="DELETE", path=f"/v3/devices/{ids[1]}/", status=400)
    changes = remove_devices(api_of(cloud), [*ids, "0" * 32])
    assert set(entries(cloud)) == {ids[1], *production}
    assert list(changes.after) == [ids[1]] and list(changes.failed) == [ids[1]] and changes.changed
    assert not remove_devices(api_of(cloud), ["0" * 32]).changed


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"name": "x" * 129}, "at most 128"),
        ({"description": "x" * 2001}, "at most 2000"),
        ({"custom_attributes": {f"a{number}": "x" for number in range(6)}}, "at most 5"),
        ({"custom_attributes": {"": "x"}}, "empty"),
        ({"custom_attributes": {"x" * 129: "x"}}, "too long"),
        ({"custom_attributes": {"x": "x" * 129}}, "too long"),
        ({"custom_attributes": {"x": 3}}, "quotes"),
        ({"custom_attributes": {"3rd": "x"}}, "begins with a digit"),
        ({"groups": [""]}, "1 to 128"),
    ],
)
def test_what_the_service_would_refuse_is_not_asked(cloud: Cloud, wanted: dict[str, Any], why: str) -> None:
    with pytest.raises(PelionError, match=why):
        change_devices(api_of(cloud), [DeviceNotes("0" * 32, **wanted)])
    assert not calls(cloud)
