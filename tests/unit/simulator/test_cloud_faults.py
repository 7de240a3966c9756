# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on demand: that each is what it says, on the wire, and hits what it should and nothing else."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests
from api_calls import Call, ClientOf
from cloud import Cloud

ME, TRUSTED, DEVELOPER = "/v3/accounts/me", "/v3/trusted-certificates", "/v3/developer-certificates"


def statuses(call: Call, path: str = ME, times: int = 4) -> list[int]:
    return [call("GET", path).status_code for _unused in range(times)]


# --- which requests


def test_times_and_skip(cloud: Cloud, call: Call) -> None:
    cloud.faults.add("status", status=503, times=2, skip=1)
    assert statuses(call) == [200, 503, 503, 200]


def test_method_and_path(cloud: Cloud, call: Call) -> None:
    cloud.faults.add("status", status=500, method="POST", path=DEVELOPER)
    cloud.faults.add("status", status=503, path="/v3/trusted-*")
    assert call("POST", DEVELOPER, json={"name": "x"}).status_code == 500
    assert call("GET", TRUSTED).status_code == 503
    assert call("GET", TRUSTED + "/x").status_code == 503
    assert call("GET", ME).status_code == 200
    cloud.faults.clear()
    assert call("GET", TRUSTED).status_code == 200


def test_faults_follow_one_another(cloud: Cloud, call: Call) -> None:
    cloud.faults.add("status", status=429, times=1)
    cloud.faults.add("status", status=500, times=1)
    assert statuses(call) == [429, 500, 200, 200]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "earthquake"},
        {"kind": "status"},
        {"kind": "status", "status": 500, "colour": "red"},
        {"kind": "redirect"},
        {"kind": "refuse", "reason": "a fault for devices"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(cloud: Cloud, wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        cloud.faults.add(**wrong)


# --- what they do


def test_latency_adds_up_with_another_fault(cloud: Cloud, call: Call) -> None:
    cloud.faults.add("latency", seconds=0.1)
    cloud.faults.add("status", seconds=0.1, status=500, times=1)
    start = time.monotonic()
    assert call("GET", ME).status_code == 500
    assert 0.2 <= time.monotonic() - start < 2
    start = time.monotonic()
    assert call("GET", ME).json()["object"] == "account"
    assert 0.1 <= time.monotonic() - start < 2


@pytest.mark.parametrize("retry_after", [None, 7, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_429_with_retry_after(cloud: Cloud, call: Call, retry_after: int | str | None) -> None:
    cloud.faults.add("status", status=429, retry_after=retry_after)
    answer = call("GET", ME)
    assert (answer.status_code, answer.reason) == (429, "Too Many Requests")
    assert answer.headers.get("Retry-After") == (None if retry_after is None else str(retry_after))


@pytest.mark.parametrize("processed", [False, True])
def test_whether_a_failed_create_was_carried_out(cloud: Cloud, call: Call, processed: bool) -> None:
    cloud.faults.add("status", status=500, method="POST", processed=processed)
    assert call("POST", DEVELOPER, json={"name": "lost"}).status_code == 500
    assert call("GET", TRUSTED, params={"name__eq": "lost"}).json()["total_count"] == int(processed)


@pytest.mark.parametrize("processed", [False, True])
def test_an_answer_that_never_comes(cloud: Cloud, call: Call, processed: bool) -> None:
    cloud.faults.add("cut", method="POST", times=1, processed=processed)
    with pytest.raises(requests.ConnectionError):
        call("POST", DEVELOPER, json={"name": "lost"})
    assert call("GET", TRUSTED, params={"name__eq": "lost"}).json()["total_count"] == int(processed)
    assert cloud.log.calls[0].status is None


def test_an_answer_cut_in_the_middle(cloud: Cloud, call: Call) -> None:
    cloud.faults.add("cut", method="POST", times=1, after=1000)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="1000 bytes read"):
        call("POST", DEVELOPER, json={"name": "lost"})
    assert call("GET", TRUSTED, params={"name__eq": "lost"}).json()["total_count"] == 1


def test_truncated_json_in_a_whole_answer(cloud: Cloud, call: Call) -> None:
    cloud.faults.add("truncated", after=20)
    answer = call("GET", ME)
    assert (answer.status_code, len(answer.content)) == (200, 20)
    with pytest.raises(ValueError):
        answer.json()


def test_a_proxys_page(cloud: Cloud, call: Call) -> None:
    cloud.faults.add("body", text="<html>Log in</html>", content_type="text/html")
    answer = call("POST", DEVELOPER, json={"name": "x"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html")
    assert answer.text == "<html>Log in</html>"
    assert cloud.state.certificates == {}


def test_a_refusal_of_another_type(cloud: Cloud, call: Call) -> None:
    refusal = {"object": "error", "code": 403, "type": "access_denied", "message": "no", "request_id": "0" * 32}
    cloud.faults.add("body", text=json.dumps(refusal), status=403)
    answer = call("GET", ME)
    assert (answer.status_code, answer.json()) == (403, refusal)


def test_fields_removed_and_set(cloud: Cloud, call: Call) -> None:
    cloud.state.seed_certificates(3)
    cloud.faults.add("edited", remove=["data.*.id", "limit"], set={"data.1.name": 5, "extra": {"a": None}})
    page = call("GET", TRUSTED).json()
    assert "limit" not in page
    assert [sorted({"id", "name"} & entry.keys()) for entry in page["data"]] == [["name"]] * 3
    assert [entry["name"] for entry in page["data"]] == ["seeded-0", 5, "seeded-2"]
    assert page["extra"] == {"a": None}


def test_the_whole_answer_is_edited_only_where_told(cloud: Cloud, call: Call) -> None:
    cloud.state.seed_certificates(2)
    plain = call("GET", TRUSTED).json()
    cloud.faults.add("edited", set={"data.0.validity": "tomorrow"})
    edited = call("GET", TRUSTED).json()
    assert edited["data"][0]["validity"] == "tomorrow"
    edited["data"][0]["validity"] = plain["data"][0]["validity"]
    assert edited == plain


def test_a_drip(cloud: Cloud, call: Call) -> None:
    cloud.faults.add("drip", interval=0.02, size=50)
    start = time.monotonic()
    answer = call("GET", ME)
    assert answer.json()["object"] == "account"
    assert time.monotonic() - start >= 0.02 * (len(answer.content) // 50)


def test_ten_megabytes_of_nothing(cloud: Cloud, call: Call) -> None:
    cloud.faults.add("flood", size=10_000_000)
    answer = call("GET", ME)
    assert len(answer.content) == 10_000_000
    with pytest.raises(ValueError):
        answer.json()


def test_a_body_without_end(cloud: Cloud, call: Call) -> None:
    cloud.faults.add("flood", times=1)
    with call("GET", ME, stream=True) as answer:
        seen = 0
        for chunk in answer.iter_content(1 << 20):
            seen += len(chunk)
            if seen > 50_000_000:
                break
    assert "Content-Length" not in answer.headers
    assert call("GET", ME).json()["object"] == "account"


def test_a_flood_that_nobody_reads_neither_blocks_others_nor_the_end(cloud: Cloud, call: Call) -> None:
    cloud.faults.add("flood", times=1)
    unread = call("GET", ME, stream=True)
    assert call("GET", ME).json()["object"] == "account"
    start = time.monotonic()
    cloud.stop()
    assert time.monotonic() - start < 2
    unread.close()
    cloud.start()  # for the fixture to stop


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_elsewhere(cloud: Cloud, call: Call, status: int) -> None:
    cloud.faults.add("redirect", status=status, location="https://other.lab.pelion.test/v3/accounts/me")
    answer = call("DELETE", TRUSTED + "/x")
    assert (answer.status_code, answer.headers["Location"]) == (status, "https://other.lab.pelion.test/v3/accounts/me")


# --- the log of calls


def test_calls_are_counted_with_ids_taken_out(cloud: Cloud, call: Call) -> None:
    for id_ in cloud.state.seed_certificates(3):
        call("GET", f"{TRUSTED}/{id_}")
    call("GET", TRUSTED, params={"limit": 2})
    cloud.faults.add("status", status=500)
    call("GET", ME)
    assert cloud.log.counts() == {f"GET {TRUSTED}/{{id}}": 3, f"GET {TRUSTED}": 1, f"GET {ME}": 1}
    assert [one.status for one in cloud.log.calls] == [200, 200, 200, 200, 500]
    assert cloud.log.calls[3].query == "limit=2"
    cloud.log.clear()
    assert cloud.log.counts() == {}


def test_connections_can_be_counted(cloud: Cloud, client_of: ClientOf) -> None:
    first, second = client_of(cloud), client_of(cloud)
    for call in (first, first, second, first):
        call("GET", ME)
    assert len({one.connection for one in cloud.log.calls}) == 2


# --- TLS


def test_tls_with_a_wrong_name(cloud: Cloud, call: Call) -> None:
    with pytest.raises(requests.exceptions.SSLError, match=r"doesn't match|mismatch"):
        requests.get(cloud.wrong_name_url() + ME, verify=str(cloud.ca_path), timeout=10)


def test_tls_with_an_unknown_ca(cloud: Cloud, call: Call) -> None:
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.exceptions.SSLError, match=r"unable to get local issuer|unknown ca|self.signed"):
            session.get(cloud.unknown_ca_url() + ME, verify=str(cloud.ca_path), timeout=10)
    assert call("GET", ME).status_code == 200
