# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on demand: that each is what it says, on the wire, and hits what it should and nothing else."""

from __future__ import annotations

import time
from typing import Any

import pytest
from api_calls import Call
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


def test_the_whole_answer_is_edited_only_where_told(cloud: Cloud, call: Call) -> None:
    cloud.state.seed_certificates(2)
    plain = call("GET", TRUSTED).json()
    cloud.faults.add("edited", set={"data.0.validity": "tomorrow"})
    edited = call("GET", TRUSTED).json()
    assert edited["data"][0]["validity"] == "tomorrow"
    edited["data"][0]["validity"] = plain["data"][0]["validity"]
    assert edited == plain


def test_a_flood_that_nobody_reads_neither_blocks_others_nor_the_end(cloud: Cloud, call: Call) -> None:
    cloud.faults.add("flood", times=1)
    unread = call("GET", ME, stream=True)
    assert call("GET", ME).json()["object"] == "account"
    start = time.monotonic()
    cloud.stop()
    assert time.monotonic() - start < 2
    unread.close()
    cloud.start()  # for the fixture to stop


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


# --- TLS
