# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m cloud`` as its own process, and the hand on it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cloud import LabCloud

Running = tuple[subprocess.Popen[str], dict[str, Any]]
"""A cloud in a process of its own, and the facts that it printed."""

SIMULATOR = Path(__file__).parents[2] / "simulator"


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cloud", "--device-host", "127.0.0.1", *arguments]
    return subprocess.Popen(command, cwd=SIMULATOR, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running cloud and the facts that it printed."""
    running = start("--state-dir", str(tmp_path_factory.mktemp("state")), "--tier", "0")
    facts = json.loads(running.stdout.readline())
    yield running, facts
    running.terminate()
    running.communicate(timeout=10)


@pytest.fixture
def lab(process: Running) -> LabCloud:
    return LabCloud(Path(process[1]["control_socket"]))


def get(facts: dict[str, Any], path: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {facts['api_key']}"}
    with requests.Session() as session:
        session.trust_env = False
        return session.get(facts["https_url"] + path, verify=facts["ca_path"], headers=headers, timeout=10)


def test_it_answers_once_it_has_said_so(process: Running) -> None:
    running, facts = process
    assert facts["pid"] == running.pid
    account = get(facts, "/v3/accounts/me").json()
    assert (account["id"], account["tier"]) == (facts["account_id"], "0")
    plain = requests.get(facts["http_url"] + "/v3/accounts/me", timeout=10)
    assert plain.status_code == 401


def test_its_files_are_the_owners(process: Running) -> None:
    directory = Path(process[1]["ca_path"]).parent
    assert json.loads((directory / "cloud.json").read_text()) == process[1]
    for name in ("cloud.json", "control.sock"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600


def test_driving_it_through_its_control_socket(process: Running, lab: LabCloud) -> None:
    facts = process[1]
    lab.call("DELETE", "/calls")
    lab.call("POST", "/faults", kind="status", status=503, path="/v3/accounts/*", times=1)
    assert [fault["kind"] for fault in lab.call("GET", "/faults")] == ["status"]
    assert [get(facts, "/v3/accounts/me").status_code for _unused in range(2)] == [503, 200]
    assert lab.call("GET", "/calls/counts") == {"GET /v3/accounts/me": 2}
    assert [call["status"] for call in lab.call("GET", "/calls")] == [503, 200]

    (certificate,) = lab.call("POST", "/certificates", count=1, prefix="mine-")
    (device,) = lab.call("POST", "/devices", count=1, certificate_id=certificate)
    lab.call("PATCH", f"/devices/{device}", state="deregistered")
    lab.call("POST", f"/certificates/{certificate}/reissue", days_left=0)
    lab.call("PATCH", f"/accounts/{facts['account_id']}", certificate_limit=1)
    state = lab.call("GET", "/state")
    assert [(one["name"], one["valid"]) for one in state["certificates"]] == [("mine-0", False)]
    assert [(one["ca_id"], one["state"]) for one in state["devices"]] == [(certificate, "deregistered")]
    assert get(facts, "/v3/accounts/me?include=limits").json()["limits"] == {"cert-count": "1"}
    other = lab.call("POST", "/accounts", tier="1")
    assert get({**facts, "api_key": other["api_key"]}, "/v3/accounts/me").json()["id"] == other["id"]

    lab.call("POST", "/device-faults", kind="refuse", reason="closed")
    assert lab.call("GET", "/device-faults")[0]["options"] == {"reason": "closed"}
    lab.call("DELETE", "/device-faults")

    lab.call("DELETE", "/state")
    state = lab.call("GET", "/state")
    assert state["certificates"] == state["devices"] == []
    assert get(facts, "/v3/accounts/me").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/faults", {"kind": "earthquake"}),
        ("POST", "/faults", {"kind": "status"}),
        ("POST", "/certificates", {"number": 1}),
        ("PATCH", "/devices/x", {"state": "registered"}),
        ("POST", "/devices", {"count": 1, "state": "asleep"}),
        ("PATCH", "/accounts/x", {"tier": "0"}),
        ("GET", "/nonsense", {}),
    ],
)
def test_a_bad_call_is_refused_with_the_reason(lab: LabCloud, method: str, path: str, body: Any) -> None:
    with pytest.raises(ValueError, match=f"{method} {path}: 40[04] "):
        lab.call(method, path, **body)


def test_the_hand_is_not_on_the_tls_listener(process: Running) -> None:
    assert get(process[1], "/_lab/state").status_code == 404
    assert requests.get(process[1]["http_url"] + "/_lab/faults", timeout=10).json() == []


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_and_leaves_nothing_open(tmp_path: Path, end: signal.Signals) -> None:
    running = start("--state-dir", str(tmp_path))
    facts = json.loads(running.stdout.readline())
    LabCloud(Path(facts["control_socket"])).call("POST", "/faults", kind="flood")
    with requests.get(facts["http_url"] + "/v3/accounts/me", stream=True, timeout=10):
        running.send_signal(end)
        assert running.wait(timeout=5) == 0
    assert running.communicate()[1] == ""
    assert sorted(os.listdir(tmp_path)) == ["ca.pem"]


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path, process: Running) -> None:
    port = process[1]["http_url"].rpartition(":")[2]
    running = start("--state-dir", str(tmp_path), "--http-port", port)
    out, error = running.communicate(timeout=10)
    assert (running.returncode, out) == (1, "")
    assert error == f"cloud: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
