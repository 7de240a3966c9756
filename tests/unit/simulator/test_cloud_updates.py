# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firmware manifests, update campaigns and device events of the lab's cloud, and how a device gets a manifest."""

from __future__ import annotations

from typing import Any

import pytest
from api_calls import Call
from cloud import Cloud
from manifests import signed_for
from test_cloud_api import entry_of

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import (
    Recipe,
    derive_ids,
    make_update_resources,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_manifest import make_probe

RESOURCES = make_update_resources(Recipe(*derive_ids("example.com", "board")))
PROBE = make_probe(RESOURCES)
VENDOR, CLASS = str(RESOURCES.vendor_id), RESOURCES.class_id.hex


def upload(call: Call, manifest: bytes = PROBE, **fields: str) -> Any:
    return call("POST", "/v3/firmware-manifests/", files={"datafile": ("m", manifest)}, data={"name": "m", **fields})


def uploaded(call: Call, manifest: bytes = PROBE) -> str:
    answer = upload(call, manifest)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def create(call: Call, device_filter: str, manifest: str | None = None) -> str:
    body = {"name": "c", "device_filter": device_filter, "root_manifest_id": manifest or uploaded(call)}
    answer = call("POST", "/v3/update-campaigns/", json={**body, "campaign_strategy": "one-shot"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["phase"] == "draft"
    return answer.json()["id"]


def start(call: Call, campaign: str) -> None:
    assert call("POST", f"/v3/update-campaigns/{campaign}/start").status_code == 202


def look(call: Call, campaign: str) -> dict[str, Any]:
    return call("GET", f"/v3/update-campaigns/{campaign}/").json()


def events(call: Call, **filters: str) -> list[tuple[str, str, str | None]]:
    answer = call("GET", "/v3/device-events/", params=filters)
    assert answer.status_code == 200, answer.text
    return [
        (event["device_id"], event["event_type"], event["data"].get("campaign_id")) for event in answer.json()["data"]
    ]


def seed(cloud: Cloud, count: int = 1, answer: int | None = 221, **options: Any) -> list[str]:
    return cloud.state.seed_devices(count, vendor_id=VENDOR, device_class=CLASS, update_answer=answer, **options)


# --- manifests


def test_a_manifest_is_read_and_shown(call: Call) -> None:
    answer = upload(call, description="d")
    shown = answer.json()
    assert (answer.status_code, shown["name"], shown["description"]) == (201, "m", "d")
    assert (shown["timestamp"], shown["device_class"]) == ("1970-01-01T00:00:00.000Z", CLASS)
    assert call("GET", "/v3/firmware-manifests", params={"name__eq": "m"}).json()["data"] == [shown]
    assert call("GET", "/v3/firmware-manifests/", params={"name__eq": "other"}).json()["data"] == []
    assert call("DELETE", f"/v3/firmware-manifests/{shown['id']}").status_code == 204
    assert call("DELETE", f"/v3/firmware-manifests/{shown['id']}/").status_code == 404


@pytest.mark.parametrize("manifest", [b"", b"garbage", PROBE[:-1], signed_for(RESOURCES, version=2), b"0" * 2049])
def test_what_is_none_does_not_validate(call: Call, manifest: bytes) -> None:
    answer = upload(call, manifest)
    assert (answer.status_code, answer.json()["type"]) == (400, "validation_error")


def test_it_is_a_form_that_is_sent(call: Call) -> None:
    assert call("POST", "/v3/firmware-manifests/", json={"datafile": "x"}).status_code == 400
    assert upload(call, name="n" * 129).status_code == 400


def test_whether_it_takes_1970_is_a_switch(cloud: Cloud, call: Call) -> None:
    cloud.state.updates.switch(refuses_timestamp_0=True)
    assert upload(call).status_code == 400
    assert upload(call, signed_for(RESOURCES, timestamp=1)).status_code == 201
    with pytest.raises(ValueError, match="no switch"):
        cloud.state.updates.switch(refuses_everything=True)


# --- campaigns


def test_a_campaign_from_its_start_to_its_end(cloud: Cloud, call: Call) -> None:
    first, second = seed(cloud, 2)
    other = cloud.state.seed_devices(1, update_answer=221)[0]
    campaign = create(call, f"id__in={first},{second}")
    assert call("DELETE", f"/v3/update-campaigns/{campaign}").status_code == 204
    campaign = create(call, f"vendor_id__eq={RESOURCES.vendor_id.hex}&device_class__eq={CLASS}")
    start(call, campaign)
    shown = look(call, campaign)
    assert (shown["phase"], shown["autostop_reason"]) == ("stopped", "all devices have answered")
    failed = [(device, kind, from_) for device, kind, from_ in events(call) if "FAIL" in kind]
    assert failed == [(first, "UPD4_FAIL_221", campaign), (second, "UPD4_FAIL_221", campaign)]
    assert not events(call, device_id__in=other)
    assert events(call, device_id__in=first, event_type__eq="UPD4_FAIL_221") == failed[:1]
    assert events(call, date_time__gte="2100-01-01T00:00:00Z") == []
    devices = call("GET", f"/v3/update-campaigns/{campaign}/campaign-device-metadata/").json()["data"]
    assert [(entry["device_id"], entry["deployment_state"]) for entry in devices] == [
        (first, "manifestremoved"),
        (second, "manifestremoved"),
    ]
    assert call("POST", f"/v3/update-campaigns/{campaign}/start").status_code == 409
    assert call("POST", f"/v3/update-campaigns/{campaign}/stop").status_code == 409
    assert call("DELETE", f"/v3/update-campaigns/{campaign}/").status_code == 204


def test_it_is_active_until_it_is_stopped(cloud: Cloud, call: Call) -> None:
    """Where a device does not answer, or is not registered."""
    seed(cloud, answer=0)
    seed(cloud, state="deregistered")
    campaign = create(call, f"device_class__eq={CLASS}")
    start(call, campaign)
    assert look(call, campaign)["phase"] == "active"
    metadata = call("GET", f"/v3/update-campaigns/{campaign}/campaign-device-metadata").json()["data"]
    assert [entry["deployment_state"] for entry in metadata] == ["updated_connector_channel", "pending"]
    assert call("DELETE", f"/v3/update-campaigns/{campaign}").status_code == 409
    assert call("POST", f"/v3/update-campaigns/{campaign}/stop").status_code == 202
    assert [look(call, campaign)["phase"], look(call, campaign)["phase"]] == ["stopping", "stopped"]
    assert call("DELETE", f"/v3/update-campaigns/{campaign}").status_code == 204


@pytest.mark.parametrize(
    "body",
    [
        {"device_filter": ""},
        {"device_filter": "id__eq=1", "name": "n" * 129},
    ],
    ids=str,
)
def test_a_campaign_that_cannot_be(call: Call, body: dict[str, str]) -> None:
    assert call("POST", "/v3/update-campaigns", json=body).status_code == 400


def test_it_needs_a_manifest_to_start(call: Call) -> None:
    answer = call("POST", "/v3/update-campaigns", json={"device_filter": "id__eq=1"})
    assert call("POST", f"/v3/update-campaigns/{answer.json()['id']}/start").status_code == 400
    body = {"device_filter": "id__eq=1", "root_manifest_id": "0" * 32}
    assert call("POST", "/v3/update-campaigns", json=body).status_code == 404


def test_a_device_is_in_one_campaign_at_a_time(cloud: Cloud, call: Call) -> None:
    (device,) = seed(cloud, answer=0)
    one, other = create(call, f"id__eq={device}"), create(call, f"id__eq={device}")
    start(call, one)
    start(call, other)
    metadata = call("GET", f"/v3/update-campaigns/{other}/campaign-device-metadata").json()["data"]
    assert [entry["deployment_state"] for entry in metadata] == ["pending"]


def test_the_month_has_so_many_campaigns(cloud: Cloud, call: Call) -> None:
    (device,) = seed(cloud)
    cloud.state.updates.switch(campaigns_a_month=1)
    campaigns = [create(call, f"id__eq={device}") for _unused in range(2)]
    for campaign in campaigns:
        start(call, campaign)
    ended = [(look(call, campaign)["state"], look(call, campaign)["autostop_reason"]) for campaign in campaigns]
    assert ended == [("autostopped", "all devices have answered"), ("quotaallocationfailed", "insufficient quota")]


def test_whether_older_manifests_are_skipped_is_a_switch(cloud: Cloud, call: Call) -> None:
    (device,) = seed(cloud)
    cloud.state.set_installed(device, 1_600_000_000)
    entry = entry_of(call, "/v3/devices/", device)
    assert entry["manifest_timestamp"] == "2020-09-13T12:26:40.000Z"
    cloud.state.updates.switch(skips_older=True)
    campaign = create(call, f"id__eq={device}")
    start(call, campaign)
    assert [kind for _device, kind, _campaign in events(call)] == ["SYS_110"]
    assert look(call, campaign)["phase"] == "stopped"
    cloud.state.updates.switch(skips_older=False)
    start(call, create(call, f"id__eq={device}"))
    assert events(call)[-1][1] == "UPD4_FAIL_221"


def test_events_may_never_be_told(cloud: Cloud, call: Call) -> None:
    (device,) = seed(cloud)
    cloud.state.updates.switch(tells=False)
    start(call, create(call, f"id__eq={device}"))
    assert events(call) == []


def test_another_accounts_are_not_to_be_had(cloud: Cloud, call: Call) -> None:
    account, _key = cloud.state.add_account()
    made = cloud.state.updates.create_manifest(account.id, "m", "", PROBE)
    assert call("DELETE", f"/v3/firmware-manifests/{made.id}").status_code == 404
    assert call("GET", "/v3/firmware-manifests").json()["data"] == []
