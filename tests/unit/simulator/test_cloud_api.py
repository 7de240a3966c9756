# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated API's answers, against what is documented of the real one."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from api_calls import Call, ClientOf
from cloud import Cloud
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

DEVELOPER, TRUSTED, DEVICES = "/v3/developer-certificates", "/v3/trusted-certificates", "/v3/devices/"
GROUPS = "/v3/device-groups/"
UNKNOWN = "0" * 32


def create(call: Call, name: str, **more: Any) -> dict[str, Any]:
    answer = call("POST", DEVELOPER, json={"name": name, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def upload(call: Call, name: str, pem: str, service: str = "bootstrap") -> Any:
    return call("POST", TRUSTED, json={"name": name, "service": service, "certificate": pem})


def ca_pem(cloud: Cloud) -> str:
    return x509.load_der_x509_certificate(cloud.state.lwm2m_ca.certificate).public_bytes(Encoding.PEM).decode()


def check_error(answer: requests.Response, status: int, kind: str) -> dict[str, Any]:
    body = answer.json()
    assert (answer.status_code, body["code"], body["type"]) == (status, status, kind)
    assert body["object"] == "error"
    assert re.fullmatch("[0-9a-f]{32}", body["request_id"])
    assert body["message"]
    return body


# --- refusals

EVERY_CALL = [
    ("GET", "/v3/accounts/me"),
    ("GET", "/v3/api-keys/me"),
    ("POST", DEVELOPER),
    ("GET", f"{DEVELOPER}/{UNKNOWN}"),
    ("GET", TRUSTED),
    ("POST", TRUSTED),
    ("GET", f"{TRUSTED}/{UNKNOWN}"),
    ("PUT", f"{TRUSTED}/{UNKNOWN}"),
    ("DELETE", f"{TRUSTED}/{UNKNOWN}"),
    ("GET", "/v3/server-credentials/bootstrap"),
    ("GET", DEVICES),
    ("GET", f"{DEVICES}{UNKNOWN}/"),
    ("PUT", f"{DEVICES}{UNKNOWN}/"),
    ("DELETE", f"{DEVICES}{UNKNOWN}/"),
    ("GET", GROUPS),
    ("POST", GROUPS),
    ("GET", f"{GROUPS}{UNKNOWN}/"),
    ("DELETE", f"{GROUPS}{UNKNOWN}/"),
    ("GET", f"{GROUPS}{UNKNOWN}/devices/"),
    ("POST", f"{GROUPS}{UNKNOWN}/devices/add/"),
    ("POST", f"{GROUPS}{UNKNOWN}/devices/remove/"),
]


@pytest.mark.parametrize(("method", "path"), EVERY_CALL)
@pytest.mark.parametrize("authorization", ["Bearer ak_1wrong", "Bearer", "", "Basic eDp5"])
def test_a_bad_key_is_401(shared_call: Call, method: str, path: str, authorization: str) -> None:
    answer = shared_call(method, path, headers={"Authorization": authorization})
    assert check_error(answer, 401, "invalid_auth")["message"] == "Invalid access token."


@pytest.mark.parametrize(("method", "path"), [one for one in EVERY_CALL if UNKNOWN in one[1]])
def test_an_unknown_id_is_404(shared_call: Call, method: str, path: str) -> None:
    body = check_error(shared_call(method, path, json={}), 404, "not_found")
    assert body["message"] == f"Not Found. Not found: {UNKNOWN}"


def test_an_unknown_path_is_404_as_json(shared_call: Call) -> None:
    check_error(shared_call("GET", "/v3/nonsense"), 404, "not_found")


BAD_BODIES = [
    ("POST", DEVELOPER, {}, "name"),
    ("POST", DEVELOPER, {"name": ""}, "name"),
    ("POST", DEVELOPER, {"name": None}, "name"),
    ("POST", DEVELOPER, {"name": 5}, "name"),
    ("POST", DEVELOPER, {"name": "x" * 101}, "name"),
    ("POST", DEVELOPER, {"name": "x", "description": "x" * 501}, "description"),
    ("POST", DEVELOPER, [], "body"),
    ("POST", DEVELOPER, "half", "body"),
    ("POST", TRUSTED, {"name": "x", "service": "bootstrap"}, "certificate"),
    ("POST", TRUSTED, {"name": "x", "service": "bootstrap", "certificate": "no PEM"}, "certificate"),
    ("POST", TRUSTED, {"name": "x", "service": "mqtt", "certificate": "no PEM"}, "service"),
    ("POST", TRUSTED, {"name": "x", "service": "bootstrap", "status": "ASLEEP"}, "status"),
]


@pytest.mark.parametrize(("method", "path", "body", "field"), BAD_BODIES)
def test_a_bad_body_is_400_that_names_the_field(
    shared_call: Call, method: str, path: str, body: Any, field: str
) -> None:
    fields = check_error(shared_call(method, path, json=body), 400, "validation_error")["fields"]
    # A single object for developer certificates, as the examples have it; else an array, as the schema does.
    assert (fields if path == DEVELOPER else fields[0])["name"] == field


@pytest.mark.parametrize("raw", [b"", b"{", b'{"name": "\\ud800"}', b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_400(shared_call: Call, raw: bytes) -> None:
    check_error(shared_call("POST", DEVELOPER, data=raw), 400, "validation_error")


def test_the_example_of_a_missing_name(shared_call: Call) -> None:
    body = shared_call("POST", DEVELOPER, json={}).json()
    assert body["message"] == "Bad Request. Missing certificate name."
    assert body["fields"] == {"name": "name", "message": "Missing certificate name."}


def test_reason_phrases_are_the_http_standards(cloud: Cloud, call: Call) -> None:
    """mbl-cli compares them; requests would show its own idea of them, so this looks at the wire."""
    create(call, "twice")
    body = b'{"name": "twice"}'
    host, port = cloud.http_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /v3/developer-certificates HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n"
            + f"Authorization: Bearer {cloud.api_key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        assert connection.makefile("rb").readline() == b"HTTP/1.1 409 Conflict\r\n"


# --- account and key


@pytest.mark.parametrize("include", ["", "limits,policies", "limits, policies"])
def test_the_account(shared_cloud: Cloud, shared_call: Call, include: str) -> None:
    account = shared_call("GET", "/v3/accounts/me", params={"include": include}).json()
    assert {"end_market", "etag", "id", "object", "status", "tier"} <= account.keys()
    assert (account["object"], account["status"], account["id"]) == ("account", "ACTIVE", shared_cloud.account_id)
    assert ("limits" in account, "policies" in account) == (bool(include), bool(include))


def test_the_key_shows_no_secret(shared_cloud: Cloud, shared_call: Call) -> None:
    key = shared_call("GET", "/v3/api-keys/me").json()
    assert {"etag", "id", "key", "name", "object"} <= key.keys()
    assert key["account_id"] == shared_cloud.account_id
    assert shared_cloud.api_key.startswith(key["key"])
    assert len(shared_cloud.api_key) - len(key["key"]) == 32


def test_a_revoked_key_is_refused(cloud: Cloud, call: Call) -> None:
    cloud.state.revoke_api_key(cloud.api_key)
    check_error(call("GET", "/v3/accounts/me"), 401, "invalid_auth")


def test_an_account_sees_only_its_own(cloud: Cloud, call: Call) -> None:
    made = create(call, "mine")
    (device,) = cloud.state.seed_devices(1, made["id"])
    _unused, other_key = cloud.state.add_account()
    other = {"Authorization": f"Bearer {other_key}"}
    assert call("GET", TRUSTED, headers=other).json()["total_count"] == 0
    assert call("GET", DEVICES, headers=other).json()["data"] == []
    check_error(call("GET", f"{DEVELOPER}/{made['id']}", headers=other), 404, "not_found")
    check_error(call("DELETE", f"{TRUSTED}/{made['id']}", headers=other), 404, "not_found")
    check_error(call("DELETE", f"{DEVICES}{device}/", headers=other), 404, "not_found")


# --- certificates


def test_a_developer_certificate_is_made_read_and_listed(call: Call) -> None:
    made = create(call, "bench", description="of the bench")
    assert made["object"] == "trusted-cert"
    assert re.fullmatch("[0-9a-f]{32}", made["id"])
    assert (made["name"], made["description"]) == ("bench", "of the bench")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made["created_at"])

    assert call("GET", f"{DEVELOPER}/{made['id']}").json() == made
    entry = call("GET", f"{TRUSTED}/{made['id']}").json()
    assert call("GET", TRUSTED).json()["data"] == [entry]
    assert entry["certificate"] == made["developer_certificate"]
    assert entry["device_execution_mode"] == 1
    assert (entry["service"], entry["status"], entry["valid"]) == ("bootstrap", "ACTIVE", True)
    assert "PRIVATE" not in str(entry)


def test_fingerprint_issuer_subject_and_validity_are_the_certificates(call: Call) -> None:
    made = create(call, "bench")
    entry = call("GET", f"{TRUSTED}/{made['id']}").json()
    certificate = x509.load_pem_x509_certificate(made["developer_certificate"].encode())
    assert entry["certificate_fingerprint"] == certificate.fingerprint(hashes.SHA256()).hex()
    assert entry["subject"] == entry["issuer"] == certificate.subject.rfc4514_string()
    assert entry["validity"] == certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_names_are_unique_over_both_kinds(cloud: Cloud, call: Call) -> None:
    create(call, "taken")
    assert upload(call, "ca", ca_pem(cloud)).status_code == 201
    for answer in (
        call("POST", DEVELOPER, json={"name": "taken"}),
        call("POST", DEVELOPER, json={"name": "ca"}),
        upload(call, "taken", create(call, "other")["developer_certificate"]),
        upload(call, "the same certificate", ca_pem(cloud)),
    ):
        assert check_error(answer, 409, "duplicate")["message"] == "Conflict. Certificate already exists."


def test_names_may_be_any_text(call: Call) -> None:
    for name in ("a/b", "..", "with space", 'q"uo$te', "ünï ☃ 🔑", "-dash", "x" * 100, "ß" * 100):
        made = create(call, name)
        found = call("GET", TRUSTED, params={"name__eq": name}).json()["data"]
        assert [entry["id"] for entry in found] == [made["id"]]


@pytest.mark.parametrize(("tier", "limit"), [("0", 10), ("1", 50)])
def test_the_limit_counts_both_kinds(cloud: Cloud, call: Call, tier: str, limit: int) -> None:
    cloud.state.set_account(cloud.account_id, tier=tier)
    assert call("GET", "/v3/accounts/me").json()["tier"] == tier
    assert upload(call, "ca", ca_pem(cloud)).status_code == 201
    cloud.state.seed_certificates(limit - 2)
    last = create(call, "the last")
    body = check_error(call("POST", DEVELOPER, json={"name": "one more"}), 403, "account_limit_exceeded")
    assert body["message"] == "Forbidden. Limit for the number of certificates exceeded."
    assert body["fields"] == {"name": "cert-count", "message": str(limit)}
    body = check_error(upload(call, "more", last["developer_certificate"]), 409, "duplicate")
    assert isinstance(body["fields"], list)

    assert call("DELETE", f"{TRUSTED}/{last['id']}").status_code == 204
    create(call, "one more")


def test_deleted_is_gone(call: Call) -> None:
    made = create(call, "brief")
    answer = call("DELETE", f"{TRUSTED}/{made['id']}")
    assert (answer.status_code, answer.reason, answer.content) == (204, "No Content", b"")
    for method, path in (("GET", TRUSTED), ("GET", DEVELOPER), ("DELETE", TRUSTED)):
        check_error(call(method, f"{path}/{made['id']}"), 404, "not_found")
    create(call, "brief")  # the name is free again


def test_there_is_no_delete_of_developer_certificates(call: Call) -> None:
    made = create(call, "bench")
    assert call("DELETE", f"{DEVELOPER}/{made['id']}").status_code == 405
    assert call("GET", f"{TRUSTED}/{made['id']}").status_code == 200


def test_an_uploaded_certificate_is_no_developer_certificate(cloud: Cloud, call: Call) -> None:
    entry = upload(call, "ca", ca_pem(cloud), service="lwm2m").json()
    assert entry["device_execution_mode"] != 1
    assert entry["service"] == "lwm2m"
    check_error(call("GET", f"{DEVELOPER}/{entry['id']}"), 404, "not_found")


def test_update(cloud: Cloud, call: Call) -> None:
    made = create(call, "bench")
    path = f"{TRUSTED}/{made['id']}"
    before = call("GET", path).json()
    changed = call("PUT", path, json={"status": "INACTIVE"}).json()
    assert changed["status"] == "INACTIVE"
    assert (changed["name"], changed["certificate"]) == (before["name"], before["certificate"])
    assert changed["etag"] != before["etag"]
    changed = call("PUT", path, json={"name": "bank", "description": "moved", "status": "ACTIVE"}).json()
    assert (changed["name"], changed["description"], changed["status"]) == ("bank", "moved", "ACTIVE")
    assert call("GET", path).json() == changed
    create(call, "bench")
    check_error(call("PUT", path, json={"name": "bench"}), 409, "duplicate")
    check_error(call("PUT", path, json={"certificate": ca_pem(cloud)}), 400, "validation_error")
    assert call("GET", path).json() == changed


def test_server_credentials(shared_cloud: Cloud, shared_call: Call) -> None:
    for service, authority, port in (
        ("bootstrap", shared_cloud.state.bootstrap_ca, shared_cloud.bootstrap_port),
        ("lwm2m", shared_cloud.state.lwm2m_ca, shared_cloud.lwm2m_port),
    ):
        answer = shared_call("GET", f"/v3/server-credentials/{service}").json()
        assert answer.keys() >= {"object", "id", "etag", "created_at", "server_certificate", "server_uri"}
        found = x509.load_pem_x509_certificate(answer["server_certificate"].encode())
        assert found.public_bytes(Encoding.DER) == authority.certificate
        assert answer["server_uri"] == f"coaps://{service}.lab.pelion.test:{port}?aid={shared_cloud.account_id}"
    check_error(shared_call("GET", "/v3/server-credentials/mqtt"), 404, "not_found")


# --- pages


@pytest.fixture(scope="module")
def sixty(shared_cloud: Cloud) -> dict[str, list[str]]:
    """The shared account with 60 certificates and as many devices: their ids, oldest first."""
    return {
        TRUSTED: shared_cloud.state.seed_certificates(60, "page-"),
        DEVICES: shared_cloud.state.seed_devices(60),
    }


@pytest.mark.parametrize("path", [TRUSTED, DEVICES])
@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize("limit", [None, 2, 7, 59, 60, 1000])
def test_pages_have_everything_once_in_order(
    shared_call: Call, sixty: dict[str, list[str]], path: str, order: str, limit: int | None
) -> None:
    seen: list[str] = []
    pages = 0
    after = None
    while True:
        page = shared_call("GET", path, params={"order": order, "limit": limit, "after": after}).json()
        pages += 1
        assert page["object"] == "list"
        assert (page["limit"], page["order"], page["after"]) == (limit or 50, order, after)
        assert len(page["data"]) <= (limit or 50)
        seen += [entry["id"] for entry in page["data"]]
        if not page["has_more"]:
            break
        after = seen[-1]
    assert seen == sixty[path][:: 1 if order == "ASC" else -1]
    assert pages == -(-60 // (limit or 50))


@pytest.mark.parametrize("limit", ["1", "0", "-3", "1001", "x"])
def test_a_bad_limit_is_400_for_certificates(shared_call: Call, limit: str) -> None:
    fields = check_error(shared_call("GET", TRUSTED, params={"limit": limit}), 400, "validation_error")["fields"]
    assert fields[0]["name"] == "limit"


@pytest.mark.parametrize(("limit", "clamped"), [("1", 2), ("0", 2), ("-3", 2), ("1001", 1000)])
def test_a_bad_limit_is_clamped_for_devices(shared_call: Call, limit: str, clamped: int) -> None:
    assert shared_call("GET", DEVICES, params={"limit": limit}).json()["limit"] == clamped


@pytest.mark.parametrize("path", [TRUSTED, DEVICES])
@pytest.mark.parametrize(
    "query", [{"order": "UP"}, {"after": UNKNOWN}, {"include": "everything"}, {"nmae__eq": "x"}, {"limit": "many"}]
)
def test_a_bad_parameter_is_400(shared_call: Call, path: str, query: dict[str, str]) -> None:
    fields = check_error(shared_call("GET", path, params=query), 400, "validation_error")["fields"]
    assert fields[0]["name"] in query


def test_total_count(shared_call: Call, sixty: dict[str, list[str]]) -> None:
    assert shared_call("GET", TRUSTED, params={"limit": 2}).json()["total_count"] == 60
    assert "total_count" not in shared_call("GET", DEVICES).json()
    counted = shared_call("GET", DEVICES, params={"limit": 2, "include": "total_count"}).json()
    assert (counted["total_count"], len(counted["data"])) == (60, 2)


def test_a_page_after_one_that_no_longer_matches(cloud: Cloud, call: Call) -> None:
    first, second, third = cloud.state.seed_devices(3)
    cloud.state.set_device_state(second, "deregistered")
    page = call("GET", DEVICES, params={"state__eq": "registered", "after": second}).json()
    assert [entry["id"] for entry in page["data"]] == [third]
    assert first not in str(page)


# --- filters

MINE, SOON, GONE, CA = "mine", "soon", "gone", "mine too: ca"
CERTIFICATE_FILTERS = [
    ({"name__eq": "mine"}, {MINE}),
    ({"name__eq": "min"}, set()),
    ({"device_execution_mode__eq": 1}, {MINE, SOON, GONE}),
    ({"device_execution_mode__neq": 1}, {CA}),
    ({"device_execution_mode__eq": 1, "name__eq": CA}, set()),
    ({"service__eq": "lwm2m"}, {CA}),
    ({"service__eq": "bootstrap"}, {MINE, SOON, GONE}),
    ({"status__eq": "ACTIVE"}, {SOON, GONE, CA}),
    ({"status__eq": "INACTIVE"}, {MINE}),
    ({"valid__eq": "true"}, {MINE, SOON, CA}),
    ({"valid__eq": "false"}, {GONE}),
    ({"expire__eq": 0}, {GONE}),
    ({"expire__eq": 30}, {SOON, GONE}),
    ({"expire__eq": 10**9}, {MINE, SOON, GONE, CA}),
    ({"enrollment_mode__eq": "true"}, set()),
    ({"enrollment_mode__eq": "false"}, {MINE, SOON, GONE, CA}),
    ({"subject__like": "o=arm"}, {MINE, SOON, GONE}),
    ({"issuer__like": "cn=LAB"}, {CA}),
    ({"owner__eq": "nobody"}, set()),
]


@pytest.fixture(scope="module")
def call_with_four(client_of: ClientOf) -> Iterator[Call]:
    with Cloud() as cloud:
        state = cloud.state
        key = state.authenticate(cloud.api_key)
        mine = state.create_developer_certificate(key, MINE, None)
        state.update_certificate(cloud.account_id, mine.id, {"status": "INACTIVE"})
        for name, days_left in ((SOON, 20), (GONE, 0)):
            made = state.create_developer_certificate(key, name, None)
            state.reissue_certificate(made.id, days_left)
        state.upload_certificate(key, CA, None, "lwm2m", state.lwm2m_ca.certificate)
        yield client_of(cloud)


@pytest.mark.parametrize(("query", "names"), CERTIFICATE_FILTERS)
def test_certificate_filters(call_with_four: Call, query: dict[str, str], names: set[str]) -> None:
    page = call_with_four("GET", TRUSTED, params=query).json()
    assert {entry["name"] for entry in page["data"]} == names
    assert page["total_count"] == len(names)


def test_owner_filter(call: Call) -> None:
    made = create(call, "mine")
    owner = call("GET", f"{TRUSTED}/{made['id']}").json()["owner_id"]
    assert owner == call("GET", "/v3/api-keys/me").json()["owner"]
    assert call("GET", TRUSTED, params={"owner__eq": owner}).json()["total_count"] == 1


A, B, C = "first", "second", "third"
DEVICE_FILTERS = [
    ({"state": "registered"}, {A, B}),
    ({"state__eq": "registered"}, {A, B}),
    ({"state__neq": "registered"}, {C}),
    ({"state__in": "registered,deregistered"}, {A, B, C}),
    ({"state__nin": "registered,unenrolled"}, {C}),
    ({"name__in": f"{A},{C}"}, {A, C}),
    ({"name__eq": A, "state__eq": "registered"}, {A}),
    ({"name__eq": A, "state__eq": "deregistered"}, set()),
    ({"device_execution_mode__eq": "1"}, {A, C}),
    ({"device_execution_mode__neq": "1"}, {B}),
    ({"created_at__gte": "2018-01-01T00:00:00Z"}, {A, B, C}),
    ({"created_at__lte": "2018-01-01T00:00:00.123Z"}, set()),
    ({"bootstrapped_timestamp__gte": "20180101T000000Z", "name": B}, {B}),
    ({"updated_at__lte": "2999-01-01T00:00:00Z"}, {A, B, C}),
    ({"custom_attributes__place": "bench 1"}, {A}),
    ({"custom_attributes__place__eq": "bench 1"}, {A}),
    ({"custom_attributes__place__neq": "bench 1"}, {B, C}),
    ({"filter": "state__eq=registered&name__neq=first"}, {B}),
    ({"filter": "custom_attributes__place=bench%201"}, {A}),
    ({"filter": "state__eq=registered", "name__eq": A}, {A}),
    ({"filter": ""}, {A, B, C}),
]


@pytest.fixture(scope="module")
def call_with_three_devices(client_of: ClientOf) -> Iterator[Call]:
    with Cloud() as cloud:
        call = client_of(cloud)
        first, second, third = (
            *cloud.state.seed_devices(1),
            *cloud.state.seed_devices(1, device_execution_mode=5),
            *cloud.state.seed_devices(1, state="deregistered"),
        )
        for id_, name in ((first, A), (second, B), (third, C)):
            assert call("PUT", f"{DEVICES}{id_}/", json={"name": name}).status_code == 200
        call("PUT", f"{DEVICES}{first}/", json={"custom_attributes": {"place": "bench 1"}})
        yield call


@pytest.mark.parametrize(("query", "names"), DEVICE_FILTERS)
def test_device_filters(call_with_three_devices: Call, query: dict[str, str], names: set[str]) -> None:
    page = call_with_three_devices("GET", DEVICES, params={**query, "include": "total_count"}).json()
    assert {entry["name"] for entry in page["data"]} == names
    assert page["total_count"] == len(names)


@pytest.mark.parametrize(
    "query",
    [
        {"state__gte": "x"},
        {"state__like": "x"},
        {"created_at__gte": "yesterday"},
        {"filter": "nmae__eq=x"},
        {"custom_attributes__place__in": "x"},
    ],
)
def test_a_bad_device_filter_is_400(shared_call: Call, query: dict[str, str]) -> None:
    check_error(shared_call("GET", DEVICES, params=query), 400, "validation_error")


def test_devices_of_a_certificate_are_counted_in_one_call(cloud: Cloud, call: Call) -> None:
    made = create(call, "bench")
    cloud.state.seed_devices(7, made["id"])
    cloud.state.seed_devices(3)
    page = call("GET", DEVICES, params={"ca_id__eq": made["id"], "include": "total_count", "limit": 2}).json()
    assert page["total_count"] == 7


# --- one device


def test_a_device_is_read_named_and_deleted(cloud: Cloud, call: Call) -> None:
    (id_,) = cloud.state.seed_devices(1)
    path = f"{DEVICES}{id_}/"
    before = call("GET", path).json()
    assert (before["object"], before["id"], before["state"]) == ("device", id_, "registered")
    changes = {"name": "gate", "description": "at the gate", "custom_attributes": {"place": "north"}}
    after = call("PUT", path, json=changes).json()
    assert {field: after[field] for field in changes} == changes
    assert {field for field in after if after[field] != before[field]} <= {*changes, "updated_at", "etag"}
    assert call("GET", path).json() == after
    assert call("DELETE", path).status_code == 204
    check_error(call("GET", path), 404, "not_found")


def test_a_device_is_suspended_and_resumed(cloud: Cloud, call: Call) -> None:
    (id_,) = cloud.state.seed_devices(1)
    path = f"{DEVICES}{id_}/"
    assert call("GET", path).json()["lifecycle_status"] == "enabled"
    lost = {"category": "lost_or_stolen", "description": "left in a taxi"}
    assert call("POST", f"{path}suspend", json=lost).status_code == 204
    suspended = call("GET", path).json()
    assert (suspended["lifecycle_status"], suspended["operator_suspended"]) == ("blocked", True)
    assert suspended["last_operator_suspended_category"] == "lost_or_stolen"
    # The category must be that of the suspension.
    check_error(call("POST", f"{path}resume", json={**lost, "category": "other"}), 400, "validation_error")
    check_error(call("POST", f"{path}suspend", json={"category": "bored"}), 400, "validation_error")
    assert call("POST", f"{path}resume", json={**lost, "description": "found"}).status_code == 204
    assert call("GET", path).json()["operator_suspended"] is False


def test_devices_join_and_leave_groups(cloud: Cloud, call: Call) -> None:
    one, other = cloud.state.seed_devices(2)
    made = call("POST", GROUPS, json={"name": "Bench", "description": "third floor"})
    assert made.status_code == 201 and made.json()["devices_count"] == 0
    check_error(call("POST", GROUPS, json={"name": "Bench"}), 409, "duplicate")
    group = f"{GROUPS}{made.json()['id']}/"
    # Whoever is in it already stays so.
    for device_id in (one, other, one):
        assert call("POST", f"{group}devices/add/", json={"device_id": device_id}).status_code == 204
    check_error(call("POST", f"{group}devices/add/", json={"device_id": UNKNOWN}), 404, "not_found")
    assert call("GET", group).json()["devices_count"] == 2
    assert call("GET", f"{DEVICES}{one}/").json()["groups"] == [made.json()["id"]]
    assert [device["id"] for device in call("GET", f"{group}devices/").json()["data"]] == [one, other]
    assert call("POST", f"{group}devices/remove/", json={"device_id": one}).status_code == 204
    assert call("GET", f"{DEVICES}{one}/").json()["groups"] == []
    assert call("DELETE", f"{DEVICES}{other}/").status_code == 204
    assert call("GET", group).json()["devices_count"] == 0
    named = call("GET", GROUPS, params={"name__in": "Bench,Other"}).json()["data"]
    assert [entry["name"] for entry in named] == ["Bench"]
    assert not call("GET", GROUPS, params={"name__eq": "Other"}).json()["data"]
    assert call("DELETE", group).status_code == 204
    assert cloud.state.snapshot()["groups"] == []


def test_only_developer_mode_entries_can_be_deleted(cloud: Cloud, call: Call) -> None:
    (id_,) = cloud.state.seed_devices(1, device_execution_mode=5)
    check_error(call("DELETE", f"{DEVICES}{id_}/"), 400, "validation_error")
    assert call("GET", f"{DEVICES}{id_}/").status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x" * 129},
        {"description": "x" * 2001},
        {"name": 5},
        {"custom_attributes": ["x"]},
        {"custom_attributes": {f"k{number}": "x" for number in range(6)}},
        {"custom_attributes": {"k": "x" * 129}},
        {"custom_attributes": {"k" * 129: "x"}},
        {"custom_attributes": {"k": 5}},
        {"custom_attributes": {"1k": "x"}},
    ],
)
def test_a_bad_change_of_a_device_changes_nothing(cloud: Cloud, call: Call, changes: dict[str, Any]) -> None:
    (id_,) = cloud.state.seed_devices(1)
    before = cloud.state.snapshot()
    check_error(call("PUT", f"{DEVICES}{id_}/", json={"description": "new", **changes}), 400, "validation_error")
    assert cloud.state.snapshot() == before


@pytest.mark.parametrize("rest", ["", UNKNOWN])
def test_without_its_trailing_slash_a_devices_path_redirects(shared_cloud: Cloud, shared_call: Call, rest: str) -> None:
    answer = shared_call("GET", (DEVICES + rest).rstrip("/"))
    assert answer.status_code == 307
    assert answer.headers["location"] == f"{shared_cloud.https_url}{DEVICES}{rest}{'/' if rest else ''}"


# --- whatever is asked

ANY_TEXT = st.text(max_size=20)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)
KNOWN_FIELDS = st.sampled_from(
    ["name", "description", "service", "status", "enrollment_mode", "certificate", "custom_attributes"]
)
KNOWN_PARAMETERS = st.sampled_from(
    ["limit", "after", "order", "include", "filter", "expire__eq", "valid__eq", "created_at__gte", "state__in"]
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(EVERY_CALL),
    st.dictionaries(KNOWN_PARAMETERS | ANY_TEXT, ANY_TEXT | st.integers().map(str), max_size=3),
    st.dictionaries(KNOWN_FIELDS | ANY_TEXT, ANY_JSON, max_size=4) | ANY_JSON,
)
def test_nothing_is_answered_with_a_server_error(
    shared_cloud: Cloud, shared_call: Call, target: tuple[str, str], query: dict[str, str], body: Any
) -> None:
    (device,) = shared_cloud.state.seed_devices(1)
    (certificate,) = shared_cloud.state.seed_certificates(1, device)
    method, path = target
    path = path.replace(UNKNOWN, device if path.startswith(DEVICES) else certificate)
    answer = shared_call(method, path, params=query, json=body)
    assert answer.status_code < 500
    if answer.content:
        answer.json()
