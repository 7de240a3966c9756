# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from cloud import Cloud
from cloud_access import api_of, calls, store_at

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud import devices
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_answers import Device
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.identity import Identities
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import Remembered
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.proof import Claim, prove, takes_updates
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.readiness import Terms
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reasons import FLEET_REASONS
from ansible_collections.pelion.mbl.plugins.plugin_utils.reasons import Reason
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.developer_certificates import DeveloperCertificateKeeper
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.signers import Signer, Signers


def said(reason: Reason) -> str:
    return reason.message(FLEET_REASONS)


@pytest.fixture
def certificate_id(cloud: Cloud, tmp_path: Path) -> str:
    return DeveloperCertificateKeeper(api_of(cloud), store_at(tmp_path / "team"), "bench").present().facts["id"]


def bootstrapped(cloud: Cloud, board: str, device_id: str, name: str = "bench") -> Claim:
    """A claim of a board that was made to bootstrap with the certificate of that ``name``."""
    [certificate] = [one for one in api_of(cloud).developer_certificates() if one.name == name]
    return Claim(board, device_id, name, certificate.fingerprint, bootstrapped=True)


def test_devices_are_waited_for_until_they_are_registered_and_no_longer(
    cloud: Cloud, certificate_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = cloud.state.seed_devices(3, certificate_id)
    claims = [bootstrapped(cloud, f"board-{device_id}", device_id) for device_id in ids]
    cloud.state.set_device_state(ids[0], "bootstrapped")
    pauses = []

    def sleep(seconds: float) -> None:
        assert not pauses, "once is enough"
        pauses.append(seconds)
        cloud.state.set_device_state(ids[0], "registered")

    monkeypatch.setattr(devices, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    assert prove(api_of(cloud), claims, timeout=600).unproven == {}
    assert pauses


@pytest.mark.parametrize("state", ["bootstrapped", "deregistered"])
def test_another_state_is_a_doubt_about_that_board_alone(cloud: Cloud, certificate_id: str, state: str) -> None:
    good, bad = cloud.state.seed_devices(2, certificate_id)
    cloud.state.set_device_state(bad, state)
    unproven = prove(api_of(cloud), [Claim("good", good, "bench"), Claim("bad", bad, "bench")], timeout=0).unproven
    assert list(unproven) == ["bad"]
    assert f"has it as {state}" in said(unproven["bad"])


def test_a_device_that_the_directory_does_not_have(cloud: Cloud, certificate_id: str) -> None:
    unproven = prove(api_of(cloud), [Claim("lost", "0" * 32, "bench")], timeout=0).unproven
    assert "does not have that device" in said(unproven["lost"])


def test_the_old_registration_is_no_proof_of_a_new_bootstrap(cloud: Cloud, certificate_id: str) -> None:
    [device_id] = cloud.state.seed_devices(1, certificate_id)
    before = next(api_of(cloud).devices({"id__eq": device_id})).answer["bootstrapped_timestamp"]
    stale = replace(bootstrapped(cloud, "a", device_id), bootstrapped_at=before)
    assert "no bootstrap since" in said(prove(api_of(cloud), [stale], timeout=0).unproven["a"])
    fresh = replace(stale, bootstrapped_at="2018-01-01T00:00:00Z")
    assert prove(api_of(cloud), [fresh], timeout=0).unproven == {}
    as_is = replace(stale, bootstrapped=False)
    assert prove(api_of(cloud), [as_is], timeout=0).unproven == {}
    cloud.state.devices[device_id].bootstrapped_timestamp = None
    not_told = bootstrapped(cloud, "a", device_id)
    assert prove(api_of(cloud), [not_told], timeout=0).unproven == {}


def test_a_bootstrap_with_another_certificate_is_no_proof(cloud: Cloud, certificate_id: str, tmp_path: Path) -> None:
    """Also where the account has the right one no longer; what certificates are called proves nothing."""
    DeveloperCertificateKeeper(api_of(cloud), store_at(tmp_path / "team"), "next").present()
    [device_id] = cloud.state.seed_devices(1, certificate_id)
    right, wrong = bootstrapped(cloud, "a", device_id), bootstrapped(cloud, "a", device_id, "next")
    gone = replace(wrong, dev_cert="gone", developer_certificate="0" * 64)
    for claim in (wrong, gone, replace(wrong, dev_cert="bench")):
        unproven = prove(api_of(cloud), [claim], timeout=0).unproven
        assert f"another developer certificate than {claim.dev_cert!r}" in said(unproven["a"])
    for claim in (replace(wrong, bootstrapped=False), replace(right, dev_cert="its former name")):
        assert prove(api_of(cloud), [claim], timeout=0).unproven == {}
    cloud.state.delete_certificate(cloud.account_id, certificate_id)
    assert prove(api_of(cloud), [right], timeout=0).unproven == {}, "who else deleted it, the board registered with it"


def test_two_boards_that_say_to_be_one_device_are_both_in_doubt(cloud: Cloud, certificate_id: str) -> None:
    shared, own = cloud.state.seed_devices(2, certificate_id)
    claims = [Claim("a", shared, "bench"), Claim("b", shared, "bench"), Claim("c", own, "bench")]
    unproven = prove(api_of(cloud), claims, timeout=0).unproven
    assert set(unproven) == {"a", "b"}
    assert "as b:" in said(unproven["a"])
    cloud.state.set_device_state(shared, "deregistered")
    assert {reason.code for reason in prove(api_of(cloud), claims, timeout=0).unproven.values()} == {"copied"}
    before = calls(cloud)
    assert set(prove(api_of(cloud), claims[:2], timeout=0).unproven) == {"a", "b"}
    assert calls(cloud) == before


def test_a_board_of_another_batch_or_run_is_told_as_well(cloud: Cloud, certificate_id: str) -> None:
    [device_id] = cloud.state.seed_devices(1, certificate_id)
    claim = Claim("b", device_id, "bench", host_keys=("SHA256:b",))
    remembered = {"a": Remembered(("SHA256:a",), device_id, "bench", "2026-01-01T00:00:00Z")}
    for there, codes in (({"a"}, ["copied"]), (set[str](), [])):
        identities = Identities.of([claim.sighting], remembered, there)
        unproven = prove(api_of(cloud), [claim], 0, identities).unproven
        assert [reason.code for reason in unproven.values()] == codes


def test_a_proven_board_takes_updates_by_what_it_was_given() -> None:
    now = datetime.now(timezone.utc)
    signer = Signer("up", "f" * 64, "1" * 32, "2" * 32, now + timedelta(days=400), signs=True)
    told = {"id": "3" * 32, "state": "registered", "vendor_id": "1" * 32, "device_class": "2" * 32}
    claim = Claim("a", "3" * 32, "bench", update_certificate="f" * 64)
    there = {"3" * 32: Device.from_answer(told)}
    for drift, answer in ((0, "yes"), (401 * 86400, "no")):
        found = takes_updates(replace(claim, drift=drift), Signers({"f" * 64: signer}), there, Terms(now))
        assert found.answer == answer


def test_a_claim_survives_the_way_from_task_to_task() -> None:
    claim = Claim("a", "1" * 32, "bench", "d" * 64, True, "2018-01-01T00:00:00Z", 120, ("SHA256:x",), "north")
    claim = replace(claim, update_resources="up", update_certificate="f" * 64, drift=-3, injected=True)
    travelled = json.loads(json.dumps(claim.to_json()))
    assert Claim.from_json("a", travelled) == claim
    assert claim.to_json() == travelled, "plain JSON"
