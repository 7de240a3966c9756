# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
from cloud import Cloud
from cloud_access import api_of, calls

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.errors import ApiError
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.pelion_api import PelionApi
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError

CA_CERTIFICATE = {"device_execution_mode": 0}


def test_the_account(cloud: Cloud) -> None:
    account = api_of(cloud).account()
    assert (account.id, account.tier, account.certificates_limit) == (cloud.account_id, "1", 50)


def test_a_free_account() -> None:
    with Cloud(tier="0") as cloud:
        assert api_of(cloud).account().certificates_limit == 10


@pytest.mark.parametrize("page", [2, 3, 7, 50, 1000])
def test_all_pages_are_read_once(cloud: Cloud, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PelionApi, "PAGE", page)
    ids = cloud.state.seed_certificates(21)
    assert [certificate.id for certificate in api_of(cloud).developer_certificates()] == ids
    assert calls(cloud).total() == -(-21 // page)
    device_ids = cloud.state.seed_devices(21, ids[0])
    assert [device.id for device in api_of(cloud).devices({})] == device_ids


def test_a_certificate_is_found_by_name_in_one_call(cloud: Cloud) -> None:
    ids = cloud.state.seed_certificates(60)
    assert [certificate.id for certificate in api_of(cloud).developer_certificates("seeded-41")] == [ids[41]]
    assert api_of(cloud).developer_certificates("seeded-60") == []
    assert calls(cloud) == {"GET /v3/trusted-certificates": 2}


@pytest.mark.parametrize("name", ["a/b", "with space", 'q"uo$te', "ünï", "-dash", "..", "a&b=c", "50%", "x" * 100])
def test_a_name_may_have_any_characters(cloud: Cloud, name: str) -> None:
    made = api_of(cloud).create_developer_certificate(name)
    assert [certificate.id for certificate in api_of(cloud).developer_certificates(name)] == [made.id]


def test_a_service_that_overlooks_the_filter_does_not_fool_us(cloud: Cloud) -> None:
    cloud.state.seed_certificates(3)
    cloud.faults.add("edited", path="/v3/trusted-certificates", set={"data.*.device_execution_mode": 0})
    assert api_of(cloud).developer_certificates() == []
    cloud.faults.clear()
    cloud.faults.add("edited", path="/v3/trusted-certificates", set={"data.*.name": "other"})
    assert api_of(cloud).developer_certificates("seeded-1") == []


def test_counting_is_one_call(cloud: Cloud) -> None:
    certificate_id, other = cloud.state.seed_certificates(2)
    cloud.state.seed_devices(120, certificate_id)
    cloud.state.seed_devices(3, certificate_id, state="deregistered")
    cloud.state.seed_devices(7, other)
    api = api_of(cloud)
    assert api.device_count({"ca_id__eq": certificate_id}) == 123
    assert api.device_count({"ca_id__eq": certificate_id, "state__eq": "registered"}) == 120
    assert api.trusted_certificate_count() == 2
    assert calls(cloud).total() == 3


def test_what_is_gone_counts_as_deleted(cloud: Cloud) -> None:
    certificate_id = cloud.state.seed_certificates(1)[0]
    device_id = cloud.state.seed_devices(1, certificate_id)[0]
    api = api_of(cloud)
    for _time in range(2):
        api.delete_device(device_id)
        api.delete_trusted_certificate(certificate_id)
    assert not any(cloud.state.snapshot().values())


def test_a_delete_whose_answer_was_lost_is_done(cloud: Cloud) -> None:
    certificate_id = cloud.state.seed_certificates(1)[0]
    cloud.faults.add("cut", method="DELETE", times=1)
    api_of(cloud).delete_trusted_certificate(certificate_id)
    assert cloud.state.snapshot()["certificates"] == []


@pytest.mark.parametrize("bad", ["", "x", "../accounts/me", "A" * 32, "0" * 31, "0" * 33, "0" * 32 + "/"])
def test_an_id_that_is_none_never_becomes_a_path(cloud: Cloud, bad: str) -> None:
    with pytest.raises(PelionError, match="32 hexadecimal digits"):
        api_of(cloud).delete_trusted_certificate(bad)
    assert not calls(cloud)


@pytest.mark.parametrize(
    "edit",
    [
        {"remove": ["data"]},
        {"set": {"data": {}}},
        {"set": {"data": [1]}},
        {"set": {"has_more": "no"}},
        {"set": {"has_more": True, "data": []}},
    ],
)
def test_a_list_that_is_none_is_one_clear_error(cloud: Cloud, edit: dict[str, Any]) -> None:
    cloud.state.seed_devices(1, cloud.state.seed_certificates(1)[0])
    cloud.faults.add("edited", **edit)
    for ask in (lambda api: api.developer_certificates(), lambda api: list(api.devices({}))):
        with pytest.raises(ApiError, match="does not match the service's documentation"):
            ask(api_of(cloud))


ODD = [{"remove": ["data.1.id"]}, {"set": {"data.1.id": "../../v3"}}, {"set": {"data.1.id": 7}}]


@pytest.mark.parametrize(
    "edit",
    [
        *ODD,
        {"remove": ["data.1.account_id"]},
        {"set": {"data.1.name": None}},
        {"remove": ["data.1.certificate"]},
        {"set": {"data.1.certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}},
        {"set": {"data.1.description": ["x"]}},
        {"set": {"data.1.created_at": "yesterday"}},
    ],
)
def test_an_odd_certificate_hides_no_other(cloud: Cloud, edit: dict[str, Any]) -> None:
    ids = cloud.state.seed_certificates(3)
    cloud.faults.add("edited", **edit)
    warnings: list[str] = []
    api = api_of(cloud, warn=warnings.append)
    for _time in range(2):
        assert [certificate.id for certificate in api.developer_certificates()] == [ids[0], ids[2]]
    (warning,) = warnings  # once
    assert ids[1] in warning or "seeded-1" in warning
    assert "its field" in warning


def test_an_odd_certificate_that_is_asked_for_is_an_error(cloud: Cloud) -> None:
    cloud.state.seed_certificates(1)
    cloud.faults.add("edited", set={"data.*.created_at": "yesterday"})
    with pytest.raises(ApiError, match="'created_at' is not a time"):
        api_of(cloud).developer_certificates("seeded-0")


@pytest.mark.parametrize(
    "edit",
    [
        *ODD,
        {"remove": ["data.1.state"]},
        {"set": {"data.1.state": True}},
        {"set": {"data.1.custom_attributes": {"a": 1}}},
        {"set": {"data.1.custom_attributes": "x"}},
        {"set": {"data.1.device_execution_mode": True}},
        {"set": {"data.1.bootstrapped_timestamp": 1}},
    ],
)
def test_an_odd_device_hides_no_other(cloud: Cloud, edit: dict[str, Any]) -> None:
    ids = cloud.state.seed_devices(3)
    cloud.state.update_device(cloud.account_id, ids[1], {"name": "odd one"})
    cloud.faults.add("edited", **edit)
    warnings: list[str] = []
    assert [device.id for device in api_of(cloud, warn=warnings.append).devices({})] == [ids[0], ids[2]]
    (warning,) = warnings
    assert "'odd one'" in warning


@pytest.mark.parametrize("text", ["2018-02-14T15:24:14.22Z", "2018-02-14T15:24:14.1234567Z", "2018-02-14T15:24:14Z"])
def test_times_of_any_precision_are_read(cloud: Cloud, text: str) -> None:
    cloud.state.seed_devices(1)
    cloud.faults.add("edited", set={"data.*.created_at": text})
    (device,) = api_of(cloud).devices({})
    assert device.created_at and device.created_at.second == 14


@pytest.mark.parametrize(
    ("call", "edit"),
    [
        ("account", {"remove": ["id"]}),
        ("account", {"remove": ["tier"]}),
        ("account", {"set": {"tier": {}}}),
        ("trusted_certificate_count", {"remove": ["total_count"]}),
        ("trusted_certificate_count", {"set": {"total_count": True}}),
    ],
)
def test_other_answers_that_are_none(cloud: Cloud, call: str, edit: dict[str, Any]) -> None:
    cloud.faults.add("edited", **edit)
    with pytest.raises(ApiError, match="does not match the service's documentation"):
        getattr(api_of(cloud), call)()


def test_an_error_names_the_field_and_not_its_value(cloud: Cloud) -> None:
    cloud.faults.add("edited", set={"security_file_content": {"private": "hidden"}})
    with pytest.raises(ApiError, match="'security_file_content' is not a string") as caught:
        api_of(cloud).create_developer_certificate("bench")
    assert "hidden" not in str(caught.value)
    assert caught.value.undecided


def test_a_private_key_is_in_no_repr(cloud: Cloud) -> None:
    made = api_of(cloud).create_developer_certificate("bench")
    assert b"BOOTSTRAP_DEVICE_PRIVATE_KEY" in made.c_source
    assert "PRIVATE_KEY" not in repr(made)
    assert cloud.api_key not in repr(api_of(cloud))


def test_pages_without_end_have_an_end(cloud: Cloud) -> None:
    cloud.state.seed_certificates(1)
    api = api_of(cloud)
    page = api._transport.call("GET", "/v3/trusted-certificates") | {"has_more": True}
    cloud.faults.add("body", text=json.dumps(page))
    cloud.log.clear()
    with pytest.raises(ApiError, match="no last page"):
        api.developer_certificates()
    assert calls(cloud).total() == 2
