# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated API's answers, against what is documented of the real one."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests
from api_calls import Call
from cloud import Cloud
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

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


def entry_of(call: Call, path: str, id_: str) -> dict[str, Any]:
    return next(entry for entry in call("GET", path).json()["data"] if entry["id"] == id_)


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
    ("POST", DEVELOPER),
    ("GET", f"{DEVELOPER}/{UNKNOWN}"),
    ("GET", TRUSTED),
    ("POST", TRUSTED),
    ("PUT", f"{TRUSTED}/{UNKNOWN}"),
    ("DELETE", f"{TRUSTED}/{UNKNOWN}"),
    ("GET", DEVICES),
    ("PUT", f"{DEVICES}{UNKNOWN}/"),
    ("DELETE", f"{DEVICES}{UNKNOWN}/"),
    ("GET", GROUPS),
    ("POST", GROUPS),
    ("POST", f"{GROUPS}{UNKNOWN}/devices/add/"),
    ("POST", f"{GROUPS}{UNKNOWN}/devices/remove/"),
]


@pytest.mark.parametrize(("method", "path"), EVERY_CALL)
def test_a_bad_key_is_401(shared_call: Call, method: str, path: str) -> None:
    answer = shared_call(method, path, headers={"Authorization": "Bearer ak_1wrong"})
    assert check_error(answer, 401, "invalid_auth")["message"] == "Invalid access token."


@pytest.mark.parametrize(("method", "path"), [one for one in EVERY_CALL if UNKNOWN in one[1]])
def test_an_unknown_id_is_404(shared_call: Call, method: str, path: str) -> None:
    body = check_error(shared_call(method, path, json={}), 404, "not_found")
    assert body["message"] == f"Not Found. Not found: {UNKNOWN}"


def test_an_unknown_path_is_404_as_json(shared_call: Call) -> None:
    check_error(shared_call("GET", "/v3/nonsense"), 404, "not_found")


BAD_BODIES = [
    ("POST", DEVELOPER, {}, "name"),
    ("POST", DEVELOPER, {"name": 5}, "name"),
    ("POST", DEVELOPER, {"name": "x" * 101}, "name"),
    ("POST", DEVELOPER, {"name": "x", "description": "x" * 501}, "description"),
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


@pytest.mark.parametrize("raw", [b"", b"{"])
def test_what_is_no_json_is_400(shared_call: Call, raw: bytes) -> None:
    check_error(shared_call("POST", DEVELOPER, data=raw), 400, "validation_error")


# --- account and key


@pytest.mark.parametrize("include", ["", "limits"])
def test_the_account(shared_cloud: Cloud, shared_call: Call, include: str) -> None:
    account = shared_call("GET", "/v3/accounts/me", params={"include": include}).json()
    assert {"end_market", "etag", "id", "object", "status", "tier"} <= account.keys()
    assert (account["object"], account["status"], account["id"]) == ("account", "ACTIVE", shared_cloud.account_id)
    assert ("limits" in account) == bool(include)


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
    entry = entry_of(call, TRUSTED, made["id"])
    assert call("GET", TRUSTED).json()["data"] == [entry]
    assert entry["certificate"] == made["developer_certificate"]
    assert entry["device_execution_mode"] == 1
    assert (entry["service"], entry["status"], entry["valid"]) == ("bootstrap", "ACTIVE", True)
    assert "PRIVATE" not in str(entry)


def test_fingerprint_issuer_subject_and_validity_are_the_certificates(call: Call) -> None:
    made = create(call, "bench")
    entry = entry_of(call, TRUSTED, made["id"])
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
    for method, path in (("GET", DEVELOPER), ("DELETE", TRUSTED)):
        check_error(call(method, f"{path}/{made['id']}"), 404, "not_found")
    create(call, "brief")  # the name is free again


def test_an_uploaded_certificate_is_no_developer_certificate(cloud: Cloud, call: Call) -> None:
    entry = upload(call, "ca", ca_pem(cloud), service="lwm2m").json()
    assert entry["device_execution_mode"] != 1
    assert entry["service"] == "lwm2m"
    check_error(call("GET", f"{DEVELOPER}/{entry['id']}"), 404, "not_found")


def test_update(cloud: Cloud, call: Call) -> None:
    made = create(call, "bench")
    path = f"{TRUSTED}/{made['id']}"
    before = entry_of(call, TRUSTED, made["id"])
    changed = call("PUT", path, json={"status": "INACTIVE"}).json()
    assert changed["status"] == "INACTIVE"
    assert (changed["name"], changed["certificate"]) == (before["name"], before["certificate"])
    assert changed["etag"] != before["etag"]
    changed = call("PUT", path, json={"name": "bank", "description": "moved", "status": "ACTIVE"}).json()
    assert (changed["name"], changed["description"], changed["status"]) == ("bank", "moved", "ACTIVE")
    assert entry_of(call, TRUSTED, made["id"]) == changed
    create(call, "bench")
    check_error(call("PUT", path, json={"name": "bench"}), 409, "duplicate")
    check_error(call("PUT", path, json={"certificate": ca_pem(cloud)}), 400, "validation_error")
    assert entry_of(call, TRUSTED, made["id"]) == changed


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
@pytest.mark.parametrize("limit", [None, 7, 60])
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


def test_filters(cloud: Cloud, call: Call) -> None:
    first, second, third = (
        *cloud.state.seed_devices(1),
        *cloud.state.seed_devices(1, device_execution_mode=5),
        *cloud.state.seed_devices(1, state="deregistered"),
    )
    for query, ids in (
        ({"state__eq": "registered"}, [first, second]),
        ({"state__in": "registered,unenrolled", "device_execution_mode__eq": "1"}, [first]),
        ({"id__in": f"{first},{third}"}, [first, third]),
        ({"created_at__gte": "2018-01-01T00:00:00Z"}, [first, second, third]),
        ({"created_at__gte": "2999-01-01T00:00:00Z"}, []),
    ):
        page = call("GET", DEVICES, params={**query, "include": "total_count"}).json()
        assert ([entry["id"] for entry in page["data"]], page["total_count"]) == (ids, len(ids))
    for query in ({"state__gte": "x"}, {"state__like": "x"}, {"created_at__gte": "yesterday"}, {"nmae__eq": "x"}):
        check_error(call("GET", DEVICES, params=query), 400, "validation_error")


# --- one device


def test_a_device_is_read_named_and_deleted(cloud: Cloud, call: Call) -> None:
    (id_,) = cloud.state.seed_devices(1)
    path = f"{DEVICES}{id_}/"
    before = entry_of(call, DEVICES, id_)
    assert (before["object"], before["id"], before["state"]) == ("device", id_, "registered")
    changes = {"name": "gate", "description": "at the gate", "custom_attributes": {"place": "north"}}
    after = call("PUT", path, json=changes).json()
    assert {field: after[field] for field in changes} == changes
    assert {field for field in after if after[field] != before[field]} <= {*changes, "updated_at", "etag"}
    assert entry_of(call, DEVICES, id_) == after
    assert call("DELETE", path).status_code == 204
    assert call("GET", DEVICES).json()["data"] == []


def test_a_device_is_suspended_and_resumed(cloud: Cloud, call: Call) -> None:
    (id_,) = cloud.state.seed_devices(1)
    path = f"{DEVICES}{id_}/"
    assert entry_of(call, DEVICES, id_)["lifecycle_status"] == "enabled"
    lost = {"category": "lost_or_stolen", "description": "left in a taxi"}
    assert call("POST", f"{path}suspend", json=lost).status_code == 204
    suspended = entry_of(call, DEVICES, id_)
    assert (suspended["lifecycle_status"], suspended["operator_suspended"]) == ("blocked", True)
    assert suspended["last_operator_suspended_category"] == "lost_or_stolen"
    # The category must be that of the suspension.
    check_error(call("POST", f"{path}resume", json={**lost, "category": "other"}), 400, "validation_error")
    check_error(call("POST", f"{path}suspend", json={"category": "bored"}), 400, "validation_error")
    assert call("POST", f"{path}resume", json={**lost, "description": "found"}).status_code == 204
    assert entry_of(call, DEVICES, id_)["operator_suspended"] is False


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
    assert entry_of(call, GROUPS, made.json()["id"])["devices_count"] == 2
    assert entry_of(call, DEVICES, one)["groups"] == [made.json()["id"]]
    assert call("POST", f"{group}devices/remove/", json={"device_id": one}).status_code == 204
    assert entry_of(call, DEVICES, one)["groups"] == []
    assert call("DELETE", f"{DEVICES}{other}/").status_code == 204
    assert entry_of(call, GROUPS, made.json()["id"])["devices_count"] == 0


def test_only_developer_mode_entries_can_be_deleted(cloud: Cloud, call: Call) -> None:
    (id_,) = cloud.state.seed_devices(1, device_execution_mode=5)
    check_error(call("DELETE", f"{DEVICES}{id_}/"), 400, "validation_error")
    assert entry_of(call, DEVICES, id_)


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
