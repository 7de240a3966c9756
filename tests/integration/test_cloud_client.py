# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boards' cloud client: what it keeps, what it logs, and how it fails, as the real one was observed to."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import LAB, OTHERS, TIMEOUT, Fleet
from manifests import manifest_for, signed_for
from test_lab import LOG, device_id, eventually, new_credentials, provision, registrations

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import (
    Recipe,
    make_update_resources,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_manifest import make_probe
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources

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


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "own"
    subprocess.run([LAB, "down", "--state", tmp_path / "own"], check=True, timeout=TIMEOUT)


def test_another_client_and_utility_can_be_put_in(state: Path, tmp_path: Path) -> None:
    client, utility = tmp_path / "client", tmp_path / "utility"
    client.write_text(f"#!/bin/sh\necho 'another client' >>{LOG}\nsleep 1000 &\n")
    utility.write_text("#!/bin/sh\necho another utility\n")
    for program in (client, utility):
        program.chmod(0o755)
    fleet = Fleet.up(state, "--devices", "1", "--client", str(client), "--util", str(utility))
    (board,) = fleet.boards
    eventually(lambda: "another client\n" in fleet.on(board, f"cat {LOG}", check=False))
    assert fleet.on(board, "/opt/arm/pelion-provisioning-util --help") == "another utility\n"


# --- update manifests


@pytest.fixture
def resources(fleet: Fleet, board: str, request: pytest.FixtureRequest) -> Iterator[UpdateResources]:
    """What the board holds to be updated with; its client runs and is registered."""
    fleet.cloud.call("PATCH", "/updates", **CLOUD_AS_EVER)
    made = make_update_resources(Recipe(uuid.UUID(bytes=b"v" * 16), uuid.UUID(bytes=b"c" * 16)))
    certificates = {"arm_uc_default_certificate": made.der}
    provision(fleet, board, {**new_credentials(fleet, f"{request.node.name[:80]} again"), **certificates})
    yield made
    fleet.cloud.call("PATCH", "/updates", **CLOUD_AS_EVER)


CLOUD_AS_EVER = {"acknowledges": True, "tells": True, "skips_older": False, "refuses_timestamp_0": False}
SESSION = """
import json, os, sys, requests
session = requests.Session()
session.trust_env = False
session.verify = os.environ['PELION_CA_PATH']
session.headers['Authorization'] = 'Bearer ' + os.environ['PELION_API_KEY']
host = os.environ['PELION_API_HOST'] + '/v3/'
"""
CAMPAIGN = f"""{SESSION}
manifest, device = sys.argv[1:]
made = session.post(host + 'firmware-manifests/', files={{'datafile': bytes.fromhex(manifest)}}, timeout=30).json()
body = {{'name': 'c', 'device_filter': 'id__eq=' + device, 'root_manifest_id': made['id']}}
campaign = session.post(host + 'update-campaigns/', json=body, timeout=30).json()['id']
session.post(host + 'update-campaigns/' + campaign + '/start', timeout=30).raise_for_status()
"""
STOP = f"""{SESSION}
for campaign in session.get(host + 'update-campaigns/', params={{'phase__eq': 'active'}}, timeout=30).json()['data']:
    session.post(host + 'update-campaigns/' + campaign['id'] + '/stop', timeout=30).raise_for_status()
    session.get(host + 'update-campaigns/' + campaign['id'], timeout=30).raise_for_status()
"""
EVENTS = f"""{SESSION}
events = session.get(host + 'device-events/', params={{'device_id__in': sys.argv[1]}}, timeout=30).json()['data']
print(json.dumps([event['event_type'] for event in events if 'FAIL' in event['event_type']]))
"""


def send(fleet: Fleet, device: str, manifest: bytes) -> None:
    """By a campaign of its own."""
    answer = fleet.run("python", "-c", CAMPAIGN, manifest.hex(), device)
    assert answer.returncode == 0, answer.output


def results(fleet: Fleet, device: str) -> list[str]:
    return json.loads(fleet.run("python", "-c", EVENTS, device).stdout)


def answered(fleet: Fleet, device: str, manifest: bytes) -> str:
    before = len(results(fleet, device))
    send(fleet, device, manifest)
    eventually(lambda: len(results(fleet, device)) > before)
    return results(fleet, device)[-1]


def kept(fleet: Fleet, board: str) -> str:
    return fleet.on(board, "find /config/user /scratch -type f -exec sha256sum {} + | sort -k 2")


def as_release(fleet: Fleet, board: str, release: str) -> None:
    fleet.on(board, f"echo {release} >/etc/lab/client-release")


def test_it_answers_to_manifests(fleet: Fleet, board: str, resources: UpdateResources) -> None:
    start(fleet, board)
    device = registered(fleet, board)
    (entry,) = [entry for entry in fleet.cloud.call("GET", "/state")["devices"] if entry["id"] == device]
    assert uuid.UUID(entry["vendor_id"]) == resources.vendor_id
    assert uuid.UUID(entry["device_class"]) == resources.class_id
    eventually(lambda: working(fleet, board) >= {*LWM2M, *OWN})
    before = kept(fleet, board)
    other = make_update_resources(Recipe(resources.vendor_id, resources.class_id))
    assert other.private_key
    fingerprint = bytes.fromhex(resources.fingerprint)
    manifests = {
        make_probe(resources): "UPD4_FAIL_221",
        manifest_for(resources).signed(other.private_key, fingerprint): "UPD4_FAIL_210",
        make_probe(other): "UPD4_FAIL_208",
        signed_for(resources, vendor=b"w" * 16): "UPD4_FAIL_215",
        signed_for(resources, class_=b"w" * 16): "UPD4_FAIL_216",
    }
    for manifest, result in manifests.items():
        assert answered(fleet, device, manifest) == result
    told = log(fleet, board, r"\[(mbl |UC  )\]")
    assert re.search(r"\[ERR \]\[UC  \]: \[HUB \] .*: version: 0 <= 0\n", told)
    assert re.findall(r"\[mbl \]: Error code : (\d+)", told) == ["520", "515", "512", "516", "517"]
    assert "Error occurred : UpdateWarningRollbackProtection\n" in told
    assert answered(fleet, device, make_probe(resources)) == "UPD4_FAIL_221"
    assert kept(fleet, board) == before
    assert registrations(fleet, board) == 1


@stand_in_only
@pytest.mark.parametrize("fault", ["silent", "stuck"])
def test_ones_that_do_not_answer(fleet: Fleet, board: str, resources: UpdateResources, fault: str) -> None:
    fleet.on(board, f"echo {fault} >/etc/lab/update-fault")
    start(fleet, board)
    device = registered(fleet, board)
    send(fleet, device, make_probe(resources))
    if fault == "stuck":
        eventually(lambda: "received new manifest before reading the old one" in log(fleet, board, "UC  "))
    fleet.on(board, "rm /etc/lab/update-fault; systemctl restart mbl-cloud-client")
    registered(fleet, board, 2)
    assert fleet.run("python", "-c", STOP).returncode == 0
    assert answered(fleet, device, make_probe(resources)) == "UPD4_FAIL_221"
    assert results(fleet, device) == ["UPD4_FAIL_221"]


@stand_in_only
@pytest.mark.parametrize("release", ["3.0.0", "4.1.0"])
def test_a_real_update_is_seen(fleet: Fleet, board: str, resources: UpdateResources, release: str) -> None:
    """So a test can tell that none was ever sent."""
    as_release(fleet, board, release)
    start(fleet, board)
    device = registered(fleet, board)
    send(fleet, device, signed_for(resources, timestamp=1, uri="http://example.com/firmware"))
    if release == "4.1.0":
        runs = "ps | grep -v grep | grep -c /opt/arm/mbl-cloud-client"
        eventually(lambda: fleet.on(board, runs, check=False) == "0\n")
        return
    eventually(lambda: "Authorization granted" in log(fleet, board))
    assert "/scratch/firmware/header_0.bin" in kept(fleet, board)
