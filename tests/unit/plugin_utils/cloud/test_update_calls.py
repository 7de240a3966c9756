# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API's calls for updates, and what they answer."""

from __future__ import annotations

from typing import Any

import pytest
from cloud import Cloud
from cloud_access import api_of, calls
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.errors import ApiError
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.update_answers import (
    Campaign,
    DeviceEvent,
    Manifest,
    take_deployment,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import (
    Recipe,
    derive_ids,
    make_update_resources,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_manifest import make_probe
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError

PROBE = make_probe(make_update_resources(Recipe(*derive_ids("example.com", "board"))))
ID = "0123456789abcdef0123456789abcdef"


def test_a_campaign_by_its_calls(cloud: Cloud) -> None:
    (device,) = cloud.state.seed_devices(1, update_answer=0)
    with api_of(cloud) as api:
        manifest = api.upload_probe("a name", PROBE)
        assert api.manifests() == [manifest] and manifest.name == "a name"
        assert cloud.state.updates.manifests[manifest.id].der == PROBE
        campaign = api.create_campaign("a name", manifest.id, [device])
        assert (campaign.phase, campaign.is_active, campaign.manifest_id) == ("draft", False, manifest.id)
        api.start_campaign(campaign.id)
        assert api.campaign(campaign.id).is_active
        assert [found.name for found in api.campaigns()] == ["a name"]
        assert api.deployments(campaign.id) == {device: "updated_connector_channel"}
        with pytest.raises(ApiError) as active:
            api.delete_campaign(campaign.id)
        assert active.value.status == 409
        api.stop_campaign(campaign.id)
        assert [api.campaign(campaign.id).phase for _look in range(2)] == ["stopping", "stopped"]
        for _time in range(2):
            api.delete_campaign(campaign.id)
            api.delete_manifest(manifest.id)
        assert (api.campaigns(), api.manifests()) == ([], [])


def test_events_are_told_by_pages(cloud: Cloud) -> None:
    (device,) = cloud.state.seed_devices(1)
    for number in range(7):
        cloud.state.updates.seed_event(device, f"UPD2_STATE_{number}", ID)
    with api_of(cloud) as api:
        api.PAGE = 3  # type: ignore[misc]
        assert [event.state for event in api.device_events({})] == list(range(7))
        assert [event.state for event in api.device_events({"event_type__in": "UPD2_STATE_2,UPD2_STATE_4"})] == [2, 4]
    assert calls(cloud)["GET /v3/device-events/"] == 4


def test_an_upload_is_never_repeated(cloud: Cloud) -> None:
    cloud.faults.add("status", method="POST", path="/v3/firmware-manifests/", status=503)
    with api_of(cloud) as api, pytest.raises(ApiError) as failed:
        api.upload_probe("a name", PROBE)
    assert failed.value.undecided
    assert calls(cloud) == {"POST /v3/firmware-manifests/": 1}


@pytest.mark.parametrize("not_an_id", ["", "../x", ID + "/", ID.upper()])
def test_ids_are_checked_before_they_become_a_path(cloud: Cloud, not_an_id: str) -> None:
    with api_of(cloud) as api:
        for call in (api.campaign, api.start_campaign, api.stop_campaign, api.delete_campaign, api.delete_manifest):
            with pytest.raises(PelionError, match="is not an ID"):
                call(not_an_id)
        with pytest.raises(PelionError, match="is not an ID"):
            api.create_campaign("x", ID, [not_an_id])
    assert not calls(cloud)


@pytest.mark.parametrize(
    ("kind", "result", "state", "skipped"),
    [
        ("UPD4_FAIL_221", 221, None, False),
        ("UPD2_FAIL_15", 15, None, False),
        ("UPD4_FAIL_", None, None, False),
        ("UPD2_STATE_4", None, 4, False),
        ("SYS_110", None, None, True),
        ("SYS_111", None, None, False),
        ("update.device.device-created", None, None, False),
    ],
)
def test_what_an_event_tells(kind: str, result: int | None, state: int | None, skipped: bool) -> None:
    event = DeviceEvent.from_answer({"device_id": ID, "event_type": kind, "data": {"campaign_id": ID}})
    assert (event.result, event.state, event.is_skipped, event.campaign_id) == (result, state, skipped, ID)
    assert DeviceEvent(ID, "ANY", "Skipped", None).is_skipped


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40) | st.just(ID),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
FIELDS = (
    *("id", "name", "phase", "timestamp", "data", "device_id", "event_type", "created_at", "root_manifest_id"),
    *("autostop_reason", "deployment_state", "event_type_category"),
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, anything)))
def test_odd_answers_are_value_errors(answer: dict[str, Any]) -> None:
    for read in (Manifest.from_answer, Campaign.from_answer, DeviceEvent.from_answer, take_deployment):
        try:
            read(answer)
        except ValueError as error:
            assert str(error).startswith("its field ")
