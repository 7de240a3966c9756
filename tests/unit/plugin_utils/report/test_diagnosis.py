# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a board, the most likely cause first."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.client_log import ClientLog
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.surroundings import Surroundings
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.way import Server, Step
from ansible_collections.pelion.mbl.plugins.plugin_utils.reasons import Reason
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.diagnosis import Diagnosis, file_stem
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.run import Run

NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
DEVICE = "0161dbbcdd660a580a010c3403c00001"
HELD = {
    "fingerprint": "ab" * 32,
    "common_name": "example.com",
    "account_id": "0151d3b9a5c70000000000010010013b",
    "not_before": "2026-01-01T00:00:00Z",
    "not_after": "2036-01-01T00:00:00Z",
}
GOOD = Inspection(
    has_utility=True,
    files=tuple(kcm.file_name(name) for name in (*kcm.FACTORY_ITEMS, kcm.LWM2M_SERVER_URI)),
    certificates={
        kcm.DEVELOPER_CERTIFICATE: HELD,
        kcm.UPDATE_CERTIFICATE: {**HELD, "not_after": "2027-01-01T00:00:00Z"},
    },
    status_code=0,
    client_runs=True,
    clock=int(NOW.timestamp()),
    log=ClientLog(True, DEVICE),
)
SERVER = Server("bootstrap.example.com", 5684)
OPEN = (Step("name", "good", "10.0.0.1"), Step("tcp", "good", port=5684), Step("tcp", "bad", "refused", 443))
FAILING = ClientLog(False, error="ConnectNetworkError (Client in reconnection mode)")


def diagnosis(found: Inspection | None = GOOD, *steps: Step, **changes: Any) -> Diagnosis:
    seen = Surroundings({"log-0": [f"Device Id: {DEVICE}"]}, SERVER if steps else None, steps)
    return replace(Diagnosis("b", NOW, found, None, seen), **changes)


def codes(of: Diagnosis) -> list[str]:
    return [why.code for why in of.findings]


@pytest.mark.parametrize(
    ("changes", "steps", "expected"),
    [
        ({}, OPEN, []),
        ({}, (), []),
        ({"log": FAILING}, (Step("name", "bad", "bad address"), Step("tcp", "bad", port=5684)),
         ["name-not-resolved", "client-error"]),
        ({"log": FAILING}, (OPEN[0], Step("tcp", "bad", "refused", 5684), Step("tcp", "good", port=443)),
         ["port-closed", "client-error"]),
        ({"log": FAILING}, (*OPEN, Step("tls", "bad", port=5684)), ["no-tls", "client-error"]),
        # What could not be tried is no finding.
        ({}, (Step("name", "untried"), Step("tcp", "untried", port=5684), Step("tls", "untried", port=5684)), []),
        ({"log": ClientLog(False)}, OPEN, ["client-not-registered"]),
        ({"client_runs": False}, OPEN, ["client-ended"]),
        ({"files": (), "certificates": {}, "status_code": 1, "client_runs": False}, (),
         ["holds-no-credentials", "client-ended"]),
        ({"interrupted": True}, (), ["interrupted"]),
        ({"space": {place: {"free_kb": 9, "writable": True} for place in ("/config/user", "/var/log")}}, (),
         ["no-space", "log-not-written"]),
        ({"clock": 0, "drift": -int(NOW.timestamp())}, (), ["outside-validity", "outside-validity", "clock-differs"]),
        ({"has_utility": False, "drift": 7200}, (), ["no-utility", "clock-differs"]),
    ],
)  # fmt: skip
def test_the_cause_comes_first(changes: dict[str, Any], steps: tuple[Step, ...], expected: list[str]) -> None:
    assert codes(diagnosis(replace(GOOD, **changes), *steps)) == expected


def test_an_ended_certificate_is_told_by_this_machines_clock() -> None:
    assert codes(diagnosis(made_at=datetime(2030, 1, 1, tzinfo=timezone.utc)))[-1] == "certificate-ended"


def test_a_board_that_could_not_be_asked() -> None:
    found = diagnosis(None, *OPEN, why_not=Reason("locked", {"detail": "123"}))
    assert codes(found) == ["locked"]
    assert "Another provisioning run" in found.page() and "status.json" not in found.files()


def test_another_port_that_opens_is_said() -> None:
    steps = (Step("tcp", "bad", "refused", 5684), Step("tcp", "good", port=443))
    assert "port 443 takes connections from it" in diagnosis(GOOD, *steps).page()


def test_the_archive_has_the_page_and_no_ids() -> None:
    made = diagnosis(replace(GOOD, log=replace(FAILING, device_id=DEVICE)), *OPEN)
    with tarfile.open(fileobj=io.BytesIO(made.archive())) as tar:
        entries = {entry.name: tar.extractfile(entry).read().decode() for entry in tar}  # type: ignore[union-attr]
    assert entries["b/diagnosis.txt"].startswith("Diagnosis of b, 2026-11-28T12:00:00Z")
    assert entries["b/mbl-cloud-client.log.txt"] == "Device Id: 0161dbbc…\n"
    assert "bootstrap.example.com:5684, as the board" in entries["b/diagnosis.txt"], "no name of a certificate is an ID"
    status = json.loads(entries["b/status.json"])
    assert (status["device_id"], status["developer_certificate"]["fingerprint"]) == ("0161dbbc…", "abababab…")
    assert not [name for name, text in entries.items() if DEVICE in text or str(HELD["account_id"]) in text]


def test_a_name_is_no_path() -> None:
    assert [file_stem(name) for name in ("mbed-linux-os-9709", "../etc/passwd", "..", "a b")] == [
        "mbed-linux-os-9709",
        "_etc_passwd",
        "board",
        "a_b",
    ]


def test_the_run_says_that_a_board_needs_attention() -> None:
    run = Run("diagnose")
    run.begin_batch(["a", "b", "c"])
    run.decided(
        {
            "one_by_one": [],
            "boards": {
                "a": {"changed": False, "findings": [Reason("name-not-resolved", {"host": "x"}).to_json()]},
                "b": {"changed": False, "findings": []},
                "c": {"changed": False, "findings": [{"code": "of another version", "facts": {}}]},
            },
        }
    )
    told = {board.name: (board.outcome, board.code) for board in run.report(NOW).boards}
    assert told == {"a": ("attention", "name-not-resolved"), "b": ("ok", ""), "c": ("ok", "")}
