# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boards' cloud client: what it keeps, what it logs, and how it fails, as the real one was observed to."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import LAB, OTHERS, TIMEOUT, Fleet
from test_lab import LOG, device_id, eventually, new_credentials, provision, registrations

# mbed.LwM2MServerURI, …ServerCACert, …DeviceCert, …DevicePrivateKey and sslsession, which the client deletes itself
LWM2M = ["BbhOv05F", "IfhptCHa", "WXCcwgzA", "jNagGYwd", "r18QaFPP"]
# mbed.InternalEndpoint, mbed.AccountID, mbed.CurrentTime
OWN = ["0hG1cjMO", "B9YqPqGa", "_o_SrPZJ"]
BOOTSTRAP_URI = "uH9ZLyF9"
FACTORY_COUNT = 15

stand_in_only = pytest.mark.skipif("--client" in OTHERS, reason="the delays of another client are not the lab's")


@pytest.fixture
def board(fleet: Fleet, request: pytest.FixtureRequest) -> str:
    """One that is provisioned with a certificate of the test's own; its client does not run yet."""
    name = fleet.boards[0]
    provision(fleet, name, new_credentials(fleet, request.node.name))
    return name


def start(fleet: Fleet, board: str) -> None:
    fleet.on(board, "systemctl restart mbl-cloud-client")


def registered(fleet: Fleet, board: str, count: int = 1) -> str:
    """The id, once the board has registered ``count`` times."""
    eventually(lambda: registrations(fleet, board) == count)
    return device_id(fleet, board)


def log(fleet: Fleet, board: str, pattern: str = r"\[(mbl |mClt)\]") -> str:
    """The lines that match an extended regular expression."""
    return fleet.on(board, f"grep -E '{pattern}' {LOG}", check=False)


def working(fleet: Fleet, board: str) -> set[str]:
    return set(fleet.on(board, "ls /config/user/pal/WORKING").split())


def uri_files(fleet: Fleet, board: str) -> list[str]:
    """The digests of the bootstrap URI's factory copy and of what is in use."""
    return [fleet.on(board, f"sha256sum </config/user/pal/{copy}/{BOOTSTRAP_URI}") for copy in ("BACKUP", "WORKING")]


def state_of(fleet: Fleet, device: str) -> str:
    (entry,) = [entry for entry in fleet.cloud.call("GET", "/state")["devices"] if entry["id"] == device]
    return entry["state"]


def refuse(fleet: Fleet, method: str, **options: object) -> None:
    fleet.cloud.call("POST", "/device-faults", kind="refuse", method=method, times=1, **options)


def attempts(fleet: Fleet, since: int) -> list[str | None]:
    return [attempt["request"] for attempt in fleet.cloud.call("GET", "/attempts")][since:]


def test_what_it_keeps(fleet: Fleet, board: str) -> None:
    start(fleet, board)
    registered(fleet, board)
    eventually(lambda: working(fleet, board) >= {*LWM2M, *OWN})
    assert len(working(fleet, board)) == FACTORY_COUNT + len(LWM2M) + len(OWN)
    factory = fleet.on(board, "ls /config/user/pal/BACKUP").split()
    assert len(factory) == FACTORY_COUNT and not {*LWM2M, *OWN} & set(factory)


def test_what_it_logs(fleet: Fleet, board: str) -> None:
    start(fleet, board)
    identity = registered(fleet, board)
    lines = fleet.on(board, f"cat {LOG}").splitlines()
    storage = [line for line in lines if "][fcc ]: " in line or "][esfs]: " in line]
    assert 500 < len(lines) < 5000 and len(storage) > len(lines) / 2
    line_start = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} \[(INFO|WARN|ERR )\]\[([^]]+)\]: ")
    groups = [line_start.match(line)[2] for line in lines]
    assert [group for group in groups if len(group) != 4] == ["CCRB-IPCDBUS"]  # one line a start
    told = log(fleet, board)
    assert "M2MInterfaceImpl::state_bootstrap - server_address coaps://bootstrap.lab.pelion.test:" in told
    assert f"Device Id: {identity}\n" in told
    # What goes well is not without errors, but none is of the group that tells of the connection.
    assert {"UCPI", "PAL ", "fcc "} <= set(re.findall(r"\[ERR \]\[([^]]+)\]", log(fleet, board, r"\[ERR ")))
    assert not log(fleet, board, r"\[ERR \]\[mbl ")


def test_it_makes_a_place_for_firmware(fleet: Fleet, board: str) -> None:
    start(fleet, board)
    registered(fleet, board)
    assert fleet.on(board, "stat -c %a /scratch/firmware") == "700\n"


def test_it_deregisters_when_it_is_stopped(fleet: Fleet, board: str) -> None:
    start(fleet, board)
    identity = registered(fleet, board)
    assert state_of(fleet, identity) == "registered"
    fleet.on(board, "systemctl stop mbl-cloud-client")
    assert state_of(fleet, identity) == "deregistered"
    assert "shutting down" in log(fleet, board)


def test_a_dropped_connection_comes_back_without_a_word_of_registered(fleet: Fleet, board: str) -> None:
    start(fleet, board)
    identity = registered(fleet, board)
    fleet.cloud.call("DELETE", "/device-connections")
    eventually(lambda: "M2MInterfaceImpl::registration_updated" in log(fleet, board), 180)
    told = log(fleet, board)
    assert "Error occurred : ConnectNetworkError\n" in told and "Error code : 261\n" in told
    assert "Error details : Client in reconnection mode NetworkError\n" in told
    assert "Error details" in log(fleet, board, r"\[mbl ").splitlines()[-1]
    assert registrations(fleet, board) == 1
    assert state_of(fleet, identity) == "registered"


@pytest.mark.parametrize("code", ["4.03", "4.00"])
def test_refused_at_bootstrap(fleet: Fleet, board: str, code: str) -> None:
    refuse(fleet, "bootstrap", code=code, reason="not today")
    before = working(fleet, board)
    start(fleet, board)
    eventually(lambda: "Error details" in log(fleet, board))
    told = log(fleet, board)
    assert "Error occurred : ConnectBootstrapFailed\n" in told and "Error code : 257\n" in told
    reason = {"4.03": "response-forbidden", "4.00": "bad-request"}[code]
    assert f"Error details : {reason}:not today\n" in told
    if registrations(fleet, board) == 0:
        assert working(fleet, board) == before
    eventually(lambda: registrations(fleet, board) == 1, 180)


def test_refused_at_registration_it_bootstraps_again_under_its_id(fleet: Fleet, board: str) -> None:
    start(fleet, board)
    identity = registered(fleet, board)
    factory, before = uri_files(fleet, board)
    fleet.on(board, "systemctl stop mbl-cloud-client")
    since = len(attempts(fleet, 0))
    refuse(fleet, "register", reason="who are you?")
    start(fleet, board)
    assert registered(fleet, board, 2) == identity
    assert attempts(fleet, since) == ["register", "bootstrap", "register"]
    told = log(fleet, board)
    assert "Error code : 266\n" in told and "Error details : Re-bootstrapping\n" in told
    # The URI was rewritten with the identity; the factory copy is as it was.
    assert uri_files(fleet, board)[0] == factory and uri_files(fleet, board)[1] != before
    assert re.search(f"server_address coaps://.*&iep={identity}\n", told)
    assert working(fleet, board) >= {*LWM2M, *OWN}


def test_a_deleted_device_comes_back_as_another(fleet: Fleet, board: str) -> None:
    start(fleet, board)
    identity = registered(fleet, board)
    call = (
        "import os, requests, sys; requests.delete(os.environ['PELION_API_HOST'] + '/v3/devices/' + sys.argv[1] + '/',"
        "headers={'Authorization': 'Bearer ' + os.environ['PELION_API_KEY']}, verify=os.environ['PELION_CA_PATH'],"
        "timeout=30).raise_for_status()"
    )
    assert fleet.run("python", "-c", call, identity).returncode == 0
    start(fleet, board)
    assert registered(fleet, board, 2) != identity


def test_a_certificate_that_tls_refuses(fleet: Fleet, board: str) -> None:
    """It tells of error 266 or is ended by SIGPIPE without a line; the unit stays active either way."""
    refuse(fleet, "handshake", reason="not trusted")
    start(fleet, board)
    eventually(lambda: fleet.cloud.call("GET", "/device-faults") == [])
    runs = "ps | grep -v grep | grep -c /opt/arm/mbl-cloud-client"
    eventually(lambda: "Error code : 266\n" in log(fleet, board) or fleet.on(board, runs, check=False) == "0\n")
    assert fleet.on(board, "systemctl is-active mbl-cloud-client") == "active\n"
    start(fleet, board)
    eventually(lambda: registrations(fleet, board) == 1, 180)


def test_it_ends_at_once_while_a_server_is_silent(fleet: Fleet, board: str) -> None:
    fleet.cloud.call("POST", "/device-faults", kind="latency", seconds=60, times=1)
    start(fleet, board)
    eventually(lambda: fleet.cloud.call("GET", "/device-faults") == [])
    fleet.on(board, "systemctl stop mbl-cloud-client")
    assert "shutting down" in log(fleet, board)  # not killed, which systemctl would have done after 5 s


@stand_in_only
def test_delays_are_drawn_then_doubled(fleet: Fleet, board: str) -> None:
    for _unused in range(3):
        refuse(fleet, "bootstrap", reason="not now")
    fleet.on(board, "echo 0.01 >/etc/lab/retry-scale")
    try:
        start(fleet, board)
        registered(fleet, board)
        delays = [float(delay) for delay in re.findall(r"reconnecting in ([\d.]+)\(s\)", log(fleet, board))]
        assert len(delays) == 3 and 0.1 <= delays[0] <= 1
        assert delays[1:] == [pytest.approx(delays[0] * 2, abs=0.15), pytest.approx(delays[0] * 4, abs=0.3)]
    finally:
        fleet.on(board, "echo 0.1 >/etc/lab/retry-scale")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "own"
    subprocess.run([LAB, "down", "--state", tmp_path / "own"], check=True, timeout=TIMEOUT)


def test_another_client_can_be_put_in(state: Path, tmp_path: Path) -> None:
    client = tmp_path / "client"
    client.write_text(f"#!/bin/sh\necho 'another client' >>{LOG}\nsleep 1000 &\n")
    client.chmod(0o755)
    fleet = Fleet.up(state, "--devices", "1", "--client", str(client))
    (board,) = fleet.boards
    eventually(lambda: "another client\n" in fleet.on(board, f"cat {LOG}", check=False))
    assert (state / "boards" / board / "opt/arm/mbl-cloud-client").read_bytes() == client.read_bytes()


def test_the_delays_are_the_labs_to_choose(state: Path) -> None:
    fleet = Fleet.up(state, "--devices", "1", "--retry-scale", "0.5")
    assert fleet.on(fleet.boards[0], "cat /etc/lab/retry-scale") == "0.5\n"
