# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards that prove by their own word that they take updates, against the lab's cloud."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from cloud import Cloud
from cloud_access import api_of, calls, store_at

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.description import BoardStatus
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.errors import ApiError
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.pelion_api import PelionApi
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.rules import CLASS_ID
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import (
    Recipe,
    derive_ids,
    make_update_resources,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_manifest import (
    ManifestError,
    make_probe,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet import probing, proving
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.identity import Copied
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import (
    Remembered,
    note_update_proofs,
    read_fleet,
    remember,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.probing import (
    ProbeName,
    Told,
    is_left_over,
    send_probe,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.proving import (
    Candidate,
    Inquiry,
    Question,
    Verdict,
    inquire,
    proofs_of,
    proven_by_log,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.readiness import Holding, Terms
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.update_proof import UpdateProof, standing_proofs
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.update_results import PROBE_REASONS, reason_for
from ansible_collections.pelion.mbl.plugins.plugin_utils.reasons import Reason
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.reasons import TABLES

RESOURCES = make_update_resources(Recipe(*derive_ids("example.com", "board")))
OTHER = make_update_resources(Recipe(*derive_ids("example.com", "other board")))
ENTRIES = [("bench", RESOURCES), ("shelf", OTHER)]
PROBE = make_probe(RESOURCES)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "FIRST_PAUSE", 0.02)


def now_terms(ahead: timedelta = timedelta(0)) -> Terms:
    return Terms(datetime.now(timezone.utc), ahead)


def seed(cloud: Cloud, count: int = 1, answer: int | None = 221, of: UpdateResources = RESOURCES) -> list[str]:
    """Devices that hold ``of`` and answer so to any manifest."""
    return cloud.state.seed_devices(
        count, vendor_id=str(of.vendor_id), device_class=of.class_id.hex, update_answer=answer
    )


def candidate(device_id: str | None, board: str = "", of: UpdateResources = RESOURCES, **changes: Any) -> Candidate:
    held = Holding(of.fingerprint, registered_since=True)
    return replace(Candidate(board or f"board-{(device_id or '')[:8]}", held, device_id), **changes)


def asked(
    cloud: Cloud, *candidates: Candidate, counterpart: bool = False, timeout: int = 1, **options: Any
) -> dict[str, Verdict]:
    """What comes of the candidates."""
    with api_of(cloud) as api:
        inquiry = inquire(api, candidates, options.pop("entries", ENTRIES), now_terms, **options)
        inquiry.clear(api)
        verdicts = dict(inquiry.settled)
        for question in inquiry.questions:
            verdicts |= question.ask(api, timeout, now_terms().now, pytest.fail, counterpart=counterpart)
    return verdicts


def left(cloud: Cloud) -> dict[str, Any]:
    return cloud.state.updates.snapshot()


NOTHING: dict[str, Any] = {"manifests": [], "campaigns": []}


def codes(verdicts: Mapping[str, Verdict]) -> list[tuple[str, str | None]]:
    return [(verdict.outcome, verdict.reason.code if verdict.reason else None) for verdict in verdicts.values()]


# --- what boards say


def test_a_board_that_says_221_is_proven(cloud: Cloud) -> None:
    (device,) = seed(cloud)
    verdicts = asked(cloud, candidate(device, "b"))
    proof = verdicts["b"].proof
    assert (verdicts["b"].outcome, verdicts["b"].result, verdicts["b"].asked) == ("proven", 221, True)
    assert proof and proof.is_of(RESOURCES) and not proof.is_of(OTHER)
    assert left(cloud) == NOTHING


@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [
        (210, "refused", "update-key-refused"),
        (208, "refused", "update-certificate-refused"),
        (215, "refused", "update-vendor-refused"),
        (216, "refused", "update-class-refused"),
        (207, "refused", "manifest-changed"),
        (200, "refused", "other-device-wanted"),
        (218, "refused", "manifest-not-read"),
        (103, "refused", "manifest-not-read"),
        (307, "not_known", "other-result"),
        (15, "not_known", "answer-ambiguous"),
        (13, "refused", "update-ids-refused"),
        (6, "refused", "update-certificate-refused"),
        (7, "refused", "update-key-refused"),
        (0, "not_known", "probe-unanswered"),
    ],
)
def test_every_other_answer_has_its_name(cloud: Cloud, answer: int, outcome: str, code: str) -> None:
    (device,) = seed(cloud, answer=answer)
    (verdict,) = asked(cloud, candidate(device)).values()
    assert verdict.reason
    assert (verdict.outcome, verdict.reason.code, verdict.proof, verdict.asked) == (outcome, code, None, True)
    assert verdict.reason.message(PROBE_REASONS)
    assert left(cloud) == NOTHING


def test_the_counterpart_unmasks_a_board_that_says_221_to_everything(cloud: Cloud) -> None:
    (device,) = seed(cloud)  # a paper device says the same to any manifest
    verdicts = asked(cloud, candidate(device), counterpart=True)
    assert codes(verdicts) == [("not_known", "says-yes-to-all")]
    assert list(dict(proofs_of(verdicts)).values()) == [None]
    assert left(cloud) == NOTHING


def test_the_counterpart_goes_to_those_that_took_the_probe_and_their_silence_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[list[str]] = []

    def send(api: Any, probe: bytes, devices: list[str], *_rest: Any) -> Told:
        sent.append(devices)
        return Told({"good": 210} if len(sent) == 2 else {"good": 221, "mute": 221, "refuses": 215})

    monkeypatch.setattr(proving, "send_probe", send)
    warned: list[str] = []
    nobody: Any = None

    def said(*devices: str) -> list[tuple[str, str | None]]:
        question = Question("bench", RESOURCES, {device: device for device in devices})
        return codes(question.ask(nobody, 1, now_terms().now, warned.append, counterpart=True))

    assert said("good", "mute", "refuses") == [
        ("proven", None),
        ("proven", None),
        ("refused", "update-vendor-refused"),
    ]
    assert warned == ["mute took the probe, and gave no answer to one that nobody can take."]
    assert sent == [["good", "mute", "refuses"], ["good", "mute"]]
    assert said("refuses") == [("refused", "update-vendor-refused")]
    assert len(sent) == 3, "nobody is asked again"


def test_a_deployment_that_the_service_does_not_know_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "send_probe", lambda *_arguments: Told())
    nobody: Any = None
    verdict = Question("bench", RESOURCES, {"b": "d"}).ask(nobody, 1, now_terms().now, pytest.fail)["b"]
    assert verdict.reason == Reason("probe-unanswered", {"seconds": 1, "deployment": "not known"})


def test_a_board_is_told_from_another_by_its_device(cloud: Cloud) -> None:
    good, bad = seed(cloud)[0], seed(cloud, answer=215)[0]
    verdicts = asked(cloud, candidate(good, "good"), candidate(bad, "bad"))
    assert codes(verdicts) == [("proven", None), ("refused", "update-vendor-refused")]


def test_boards_with_other_resources_are_asked_by_themselves(cloud: Cloud) -> None:
    one, other = seed(cloud)[0], seed(cloud, of=OTHER)[0]
    verdicts = asked(cloud, candidate(one), candidate(other, of=OTHER))
    assert codes(verdicts) == [("proven", None)] * 2
    assert calls(cloud)["POST /v3/update-campaigns/"] == 2


def test_calls_do_not_grow_with_the_boards(cloud: Cloud) -> None:
    devices = seed(cloud, 2000)
    verdicts = asked(cloud, *(candidate(device, device) for device in devices), timeout=60)
    assert len(verdicts) == 2000 and {verdict.outcome for verdict in verdicts.values()} == {"proven"}
    counts = calls(cloud)
    # Two pages of devices, and seven of the events: 2,000 times two states and a result.
    assert counts["GET /v3/devices/"] == 2
    assert counts["GET /v3/device-events/"] <= 1 + 6
    paging = counts["GET /v3/devices/"] - 1 + counts["GET /v3/device-events/"] - 2
    assert sum(counts.values()) - paging <= 10


# --- what is not known


def test_only_this_campaigns_events_count(cloud: Cloud) -> None:
    (device,) = seed(cloud, answer=0)
    cloud.state.updates.seed_event(device, "UPD4_FAIL_221")
    cloud.state.updates.seed_event(device, "UPD4_FAIL_221", "0" * 32)
    assert codes(asked(cloud, candidate(device))) == [("not_known", "probe-unanswered")]


def test_a_skipped_board_is_not_proven(cloud: Cloud) -> None:
    (device,) = seed(cloud)
    cloud.state.set_installed(device, 1_600_000_000)
    cloud.state.updates.switch(skips_older=True)
    (verdict,) = asked(cloud, candidate(device)).values()
    assert (verdict.outcome, verdict.reason) == ("not_known", Reason("probe-skipped", {"event": "SYS_110"}))


def test_a_service_that_tells_nothing_proves_nothing(cloud: Cloud) -> None:
    (device,) = seed(cloud)
    cloud.state.updates.switch(tells=False)
    (verdict,) = asked(cloud, candidate(device)).values()
    assert verdict.outcome == "not_known" and verdict.reason and verdict.reason.code == "campaign-stopped"


def test_an_answer_that_does_not_come_says_how_far_it_got(cloud: Cloud) -> None:
    (device,) = seed(cloud, answer=None)  # which no manifest reaches
    (verdict,) = asked(cloud, candidate(device)).values()
    assert verdict.reason == Reason("probe-unanswered", {"seconds": 1, "deployment": "pending"})
    assert left(cloud) == NOTHING


def test_a_month_without_campaigns(cloud: Cloud) -> None:
    (device,) = seed(cloud)
    cloud.state.updates.switch(campaigns_a_month=0)
    (verdict,) = asked(cloud, candidate(device)).values()
    assert verdict.reason == Reason("campaign-stopped", {"why": "insufficient quota"})
    assert left(cloud) == NOTHING


def test_a_service_that_refuses_1970(cloud: Cloud) -> None:
    (device,) = seed(cloud)
    cloud.state.updates.switch(refuses_timestamp_0=True)
    with pytest.raises(ApiError, match="did not validate"):
        asked(cloud, candidate(device))
    assert left(cloud) == NOTHING


def test_a_service_that_reads_another_version(cloud: Cloud) -> None:
    (device,) = seed(cloud)
    cloud.faults.add("edited", method="POST", path="/v3/firmware-manifests/", set={"timestamp": "2026-01-01T00:00:00Z"})
    with pytest.raises(PelionError, match="2026-01-01T00:00:00Z in a probe that has 0"):
        asked(cloud, candidate(device))
    assert left(cloud) == NOTHING
    assert not calls(cloud)["POST /v3/update-campaigns/"]


def test_nothing_but_a_probe_is_sent(cloud: Cloud) -> None:
    with api_of(cloud) as api, pytest.raises(ManifestError):
        api.upload_probe("x", PROBE.replace(b"\x02\x01\x00\x04\x10", b"\x02\x01\x01\x04\x10"))
    assert not calls(cloud)


# --- who is not asked


@pytest.mark.parametrize(
    ("different", "code"),
    [
        ({"held": Holding(None)}, "no-update-certificate"),
        ({"held": Holding("f" * 64, registered_since=True)}, "not-our-certificate"),
        ({"held": Holding(RESOURCES.fingerprint)}, "registration-older"),
        ({"held": Holding(OTHER.fingerprint, registered_since=True)}, "other-ids"),
        ({"device_id": None}, "device-id-unknown"),
        ({"device_id": "0" * 32}, "device-gone"),
        ({"obstacle": Reason("interrupted")}, "interrupted"),
    ],
)
def test_a_board_that_takes_no_updates_is_not_asked(cloud: Cloud, different: dict[str, Any], code: str) -> None:
    (device,) = seed(cloud)
    assert codes(asked(cloud, replace(candidate(device), **different))) == [("not_asked", code)]
    assert not calls(cloud)["POST /v3/firmware-manifests/"]


def test_a_board_that_is_not_registered_is_not_asked(cloud: Cloud) -> None:
    away, blocked = seed(cloud, 2)
    cloud.state.set_device_state(away, "deregistered")
    cloud.state.update_device(cloud.account_id, blocked, {"operator_suspended": True})
    verdicts = asked(cloud, candidate(away, "a"), candidate(blocked, "b"))
    assert codes(verdicts) == [("not_asked", "device-not-registered"), ("not_asked", "device-suspended")]
    assert verdicts["a"].reason == Reason("device-not-registered", {"state": "deregistered"})


def test_without_its_key_nothing_is_asked(cloud: Cloud) -> None:
    (device,) = seed(cloud)
    entries = [("bench", replace(RESOURCES, private_key=None))]
    assert codes(asked(cloud, candidate(device), entries=entries)) == [("not_asked", "no-signing-key")]


def test_two_boards_with_one_device_are_not_asked(cloud: Cloud) -> None:
    (device,) = seed(cloud)
    verdicts = asked(cloud, candidate(device, "a"), candidate(device, "b"), *(candidate(None, name) for name in "cd"))
    assert codes(verdicts) == [("not_asked", "copied")] * 2 + [("not_asked", "device-id-unknown")] * 2
    assert verdicts["a"].reason == Copied(("b",), f"device ID ({device})").reason
    many = asked(cloud, *(candidate(device, f"b{number}") for number in range(20)))["b0"].reason
    assert many and many.facts["others"] == [f"b{number}" for number in range(1, 11)]


def test_what_the_unreadable_part_of_the_store_may_have_is_nobody_s_fault(cloud: Cloud) -> None:
    (device,) = seed(cloud)
    stranger = candidate(device, held=Holding("f" * 64, registered_since=True))
    assert codes(asked(cloud, stranger, whole=False)) == [("not_asked", "store-not-whole")]


def test_a_question_is_about_what_its_boards_hold_with_the_key_that_any_entry_has(cloud: Cloud) -> None:
    one, other = seed(cloud)[0], seed(cloud, of=OTHER)[0]
    keyless = replace(RESOURCES, private_key=None)
    odd = replace(keyless, values={**RESOURCES.values, CLASS_ID: OTHER.class_id.bytes})
    entries = [("shelf", OTHER), ("keyless", keyless), ("odd", odd), ("bench", RESOURCES)]
    boards = [candidate(one, "one"), candidate(other, "other", of=OTHER), candidate(None, "unknown")]
    with api_of(cloud) as api:
        inquiry = inquire(api, boards, entries, now_terms)
        former = ("new", replace(OTHER, former=(odd,)))
        present = inquire(api, boards[:1], [former, ("bench", RESOURCES)], now_terms)
    assert list(inquiry.questions) == [
        Question("keyless", RESOURCES, {"one": one}),
        Question("shelf", OTHER, {"other": other}),
    ]
    assert list(present.questions) == [Question("bench", RESOURCES, {"one": one})]
    assert inquiry.obstacles == {"unknown": Reason("device-id-unknown")}
    settled = replace(inquiry, settled={"before": Verdict("proven")})
    assert settled.obstacles == {}


@pytest.mark.parametrize("state", [2, 4, 8])
def test_a_board_with_an_update_under_way_is_not_asked(cloud: Cloud, state: int) -> None:
    (device,) = seed(cloud)
    for told in (1, 3, state):
        cloud.state.updates.seed_event(device, f"UPD2_STATE_{told}")
    (verdict,) = asked(cloud, candidate(device)).values()
    assert (verdict.outcome, verdict.reason) == ("not_asked", Reason("update-under-way", {"state": state}))
    cut_off = candidate(device, obstacle=Reason("interrupted"))
    assert codes(asked(cloud, cut_off)) == [("not_asked", "interrupted")], "which comes first"
    with api_of(cloud) as api:
        ahead = inquire(api, [candidate(device)], ENTRIES, lambda _ahead: now_terms(timedelta(days=9)))
    assert [reason.code for reason in ahead.obstacles.values()] == ["update-under-way"], "by the cloud's clock"
    cloud.state.updates.seed_event(device, "UPD2_STATE_1")
    assert codes(asked(cloud, candidate(device))) == [("proven", None)]


def a_campaign(cloud: Cloud, api: PelionApi, name: str, device: str) -> str:
    """One that is active, and made by somebody else."""
    made = cloud.state.updates.create_manifest(cloud.account_id, name, "", PROBE)
    campaign = api.create_campaign(name, made.id, [device])
    api.start_campaign(campaign.id)
    return campaign.id


def test_a_board_in_another_campaign_is_not_asked(cloud: Cloud) -> None:
    (device,) = seed(cloud, answer=0)
    with api_of(cloud) as api:
        a_campaign(cloud, api, "spring update", device)
    (verdict,) = asked(cloud, candidate(device)).values()
    assert (verdict.outcome, verdict.reason) == (
        "not_asked",
        Reason("in-another-campaign", {"campaign": "spring update"}),
    )
    cut_off = candidate(device, obstacle=Reason("interrupted"))
    assert codes(asked(cloud, cut_off)) == [("not_asked", "interrupted")], "which comes first"
    assert [campaign["name"] for campaign in left(cloud)["campaigns"]] == ["spring update"]


# --- what is left


NO_PROCESS = 2**22 + 1
"""More than any process has for its number, see proc(5); that of an ended one may be in use again."""


def test_what_a_killed_run_left_is_found_by_its_name(cloud: Cloud) -> None:
    (device,) = seed(cloud, answer=0)
    killed = replace(ProbeName.new(600), process=NO_PROCESS)
    with api_of(cloud) as api:
        a_campaign(cloud, api, str(killed), device)
        api.upload_probe(str(killed), PROBE)
        without_campaign, without_manifest = (replace(killed, tag=tag * 8) for tag in "ab")
        api.upload_probe(str(without_campaign), PROBE)
        manifest = cloud.state.updates.create_manifest(cloud.account_id, "others'", "", PROBE)
        api.create_campaign(str(without_manifest), manifest.id, [device])
        inquiry = inquire(api, [candidate(device)], ENTRIES, now_terms)
        names = {str(name) for name in (killed, without_campaign, without_manifest)}
        assert not is_left_over(str(ProbeName.new(600)))
        assert set(inquiry.left_over) == names and len(inquiry.left_over) == 3 and len(inquiry.questions) == 1
    asked(cloud, candidate(device))
    assert [manifest["name"] for manifest in left(cloud)["manifests"]] == ["others'"] and not left(cloud)["campaigns"]


@pytest.mark.parametrize(
    ("changes", "ended", "is_left_over"),
    [
        ({}, None, False),
        ({"host": "elsewhere"}, None, False),
        ({"host": "elsewhere"}, timedelta(minutes=1), False),
        ({"host": "elsewhere"}, timedelta(hours=1), True),
        ({}, timedelta(hours=1), True),
        ({"process": NO_PROCESS}, None, True),
        ({"process": NO_PROCESS, "host": "elsewhere"}, None, False),
        ({"process": 1}, None, False),
    ],
)
def test_a_run_that_still_runs_is_left_alone(
    changes: dict[str, Any], ended: timedelta | None, is_left_over: bool
) -> None:
    name = replace(ProbeName.new(600), **changes)
    if ended:
        name = replace(name, until=datetime.now(timezone.utc) - ended)
    again = ProbeName.read(str(name))
    assert again and again.is_left_over == is_left_over
    assert (again.host, again.process, again.tag) == (name.host, name.process, name.tag)
    assert len(str(name)) <= 128 and ProbeName.new(1).process == os.getpid()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "spring update",
        "pelion.mbl update proof by x:1 until soon 00000000",
        "pelion.mbl update proof by x:1 until 2026-99-01T00:00:00Z 00000000",
    ],
)
def test_others_campaigns_are_not_ours(name: str) -> None:
    assert ProbeName.read(name) is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v3/update-campaigns/"),
        ("POST", "*/start"),
        ("GET", "/v3/device-events/"),
        ("POST", "/v3/firmware-manifests/"),
    ],
)
@pytest.mark.parametrize("processed", [True, False])
def test_nothing_is_left_whatever_fails(cloud: Cloud, method: str, path: str, processed: bool) -> None:
    devices = [seed(cloud)[0], seed(cloud, answer=0)[0]]
    cloud.faults.add("status", method=method, path=path, status=503, processed=processed, times=1)
    with api_of(cloud, retries=0) as api, pytest.raises(ApiError):
        send_probe(api, PROBE, devices, 1, pytest.fail)
    assert left(cloud) == NOTHING


def test_nothing_is_left_after_an_interruption(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    (device,) = seed(cloud, answer=0)

    def interrupt(_seconds: float) -> None:
        monkeypatch.undo()
        monkeypatch.setattr(probing, "FIRST_PAUSE", 0.02)
        raise KeyboardInterrupt

    monkeypatch.setattr(probing.time, "sleep", interrupt)
    with api_of(cloud) as api, pytest.raises(KeyboardInterrupt):
        send_probe(api, PROBE, [device], 5, pytest.fail)
    assert left(cloud) == NOTHING


def test_what_cannot_be_removed_is_told(cloud: Cloud) -> None:
    (device,) = seed(cloud)
    told: list[str] = []
    cloud.faults.add("status", method="DELETE", path="*", status=403)
    with api_of(cloud) as api:
        assert send_probe(api, PROBE, [device], 5, told.append).results == {device: 221}
    assert len(told) == 1 and "The next run of pelion.mbl.prove_updates tries again." in told[0]


# --- what is remembered


def test_a_proof_stands_until_the_next_injection(tmp_path: Path, cloud: Cloud) -> None:
    store = store_at(tmp_path / "team")
    (device,) = seed(cloud)
    remember(store, {"b": Remembered.now(("SHA256:k",), device, "c")})
    verdicts = asked(cloud, candidate(device, "b"))
    note_update_proofs(store, dict(proofs_of(verdicts)))
    proof = read_fleet(store)["b"].update_proof
    assert proof == verdicts["b"].proof
    again = asked(cloud, candidate(device, "b", proof=proof))
    assert (again["b"].outcome, again["b"].asked, again["b"].proof) == ("proven", False, proof)
    assert calls(cloud)["POST /v3/update-campaigns/"] == 1
    assert asked(cloud, candidate(device, "b", proof=proof), again=True)["b"].asked
    remember(store, {"b": Remembered.now(("SHA256:k",), device, "c")})
    assert read_fleet(store)["b"].update_proof == proof
    remember(store, {"b": Remembered.now(("SHA256:k",), device, "c")}, injected={"b"})
    assert read_fleet(store)["b"].update_proof is None


def test_a_proof_of_another_certificate_does_not_stand(cloud: Cloud) -> None:
    (device,) = seed(cloud)
    other = UpdateProof.of(OTHER, "2026-01-01T00:00:00Z")
    assert asked(cloud, candidate(device, "b", proof=other))["b"].asked
    held = {"a": OTHER.fingerprint, "b": RESOURCES.fingerprint, "c": None}
    proofs = {**dict.fromkeys("abcd", other), "never": None}
    assert standing_proofs(proofs, held) == {"a": "2026-01-01T00:00:00Z"}


def test_another_answer_takes_the_proof_away_and_silence_does_not() -> None:
    proof = UpdateProof.of(RESOURCES, "2026-01-01T00:00:00Z")
    verdicts = {
        "proven": Verdict("proven", 221, proof=proof, asked=True),
        "before": Verdict("proven", proof=proof),
        "refused": Verdict("refused", 210, Reason("update-key-refused"), asked=True),
        "silent": Verdict("not_known", reason=Reason("probe-unanswered"), asked=True),
        "not asked": Verdict("not_asked", reason=Reason("copied")),
    }
    assert dict(proofs_of(verdicts)) == {"proven": proof, "refused": None}


def test_a_board_that_the_team_does_not_know_is_not_noted(tmp_path: Path) -> None:
    store = store_at(tmp_path / "team")
    note_update_proofs(store, {"b": UpdateProof.of(RESOURCES, "2026-01-01T00:00:00Z")})
    assert read_fleet(store) == {}


def test_a_damaged_proof_is_a_damaged_file(tmp_path: Path) -> None:
    store = store_at(tmp_path / "team")
    remember(store, {"b": Remembered.now((), "0" * 32, "c")})
    file = tmp_path / "team" / "fleet.json"
    text = file.read_text()
    at_no_time = asdict(UpdateProof.of(RESOURCES, "yesterday"))
    for damaged in ({"fingerprint": 1}, at_no_time):
        file.write_text(text.replace('"update_proof": null', f'"update_proof": {json.dumps(damaged)}'))
        with pytest.raises(PelionError, match=r"fleet\.json"):
            read_fleet(store)


def test_the_log_tells_what_an_early_client_means(cloud: Cloud) -> None:
    (device,) = seed(cloud, answer=15)
    (verdict,) = asked(cloud, candidate(device)).values()
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    proof = proven_by_log(verdict.to_json(), [{"code": 515}, {"code": 520}], now)
    assert proof == UpdateProof.of(RESOURCES, "2026-01-01T00:00:00Z")
    assert proven_by_log(verdict.to_json(), [{"code": 515}], now) is None
    silent = Verdict("not_known", reason=Reason("probe-unanswered", reason_facts()))
    assert proven_by_log(silent.to_json(), [{"code": 520}], now) is None
    assert proven_by_log({}, [{"code": 520}], now) is None


def reason_facts() -> dict[str, str]:
    return Question("bench", RESOURCES, {}).facts


# --- words


def test_a_board_is_a_candidate_by_what_it_was_found_to_hold() -> None:
    held = {"fingerprint": RESOURCES.fingerprint}
    good = BoardStatus(True, device_id="0" * 32, update_certificate=held, registered_since_injection=True)
    assert Candidate.of("b", good, None) == candidate("0" * 32, "b")
    for changes, code in (
        ({"interrupted": True}, "interrupted"),
        ({"interrupted": True, "configured": False}, "interrupted"),
        ({"configured": False}, "not-provisioned"),
    ):
        obstacle = Candidate.of("b", replace(good, **changes), None).obstacle
        assert obstacle and obstacle.code == code
    assert Candidate.of("b", BoardStatus(False), None).obstacle is None, "that it holds nothing says more"


def test_what_came_of_a_board_is_plain_json() -> None:
    proof = UpdateProof.of(RESOURCES, "2026-01-01T00:00:00Z")
    nothing = {"result": None, "reason": None, "reason_facts": {}, "proven_at": None, "asked": False}
    assert Verdict("proven", 221, proof=proof, asked=True).to_json() == {
        **nothing,
        "outcome": "proven",
        "result": 221,
        "proven_at": "2026-01-01T00:00:00Z",
        "asked": True,
    }
    assert Verdict("not_asked", reason=Reason("device-not-registered", {"state": "x"})).to_json() == {
        **nothing,
        "outcome": "not_asked",
        "reason": "device-not-registered",
        "reason_facts": {"state": "x"},
    }


FACTS: dict[str, Any] = {
    "result": 7,
    "update_resources": "bench",
    "fingerprint": "f" * 64,
    "vendor_id": "v" * 32,
    "class_id": "c" * 32,
    "seconds": 1,
    "deployment": "pending",
    "event": "SYS_110",
    "why": "x",
    "state": 4,
    "campaign": "x",
}


@pytest.mark.parametrize("code", PROBE_REASONS)
def test_each_reason_has_words_and_a_next_step(code: str) -> None:
    kind = PROBE_REASONS[code]
    assert kind.next_step
    needed = {
        name for text in (kind.text, kind.next_step) for _text, name, _form, _how in Formatter().parse(text) if name
    }
    assert needed <= FACTS.keys()
    assert Reason(code, FACTS).message(PROBE_REASONS)


def test_no_code_means_something_else_elsewhere() -> None:
    others = [table for table in TABLES.values() if table is not PROBE_REASONS]
    assert not [code for code in PROBE_REASONS if any(code in table for table in others)]


def test_each_result_has_a_reason_but_one() -> None:
    assert [result for result in range(400) if reason_for(result, {}) is None] == [221]


def test_an_inquiry_says_what_it_costs() -> None:
    question = Question("bench", RESOURCES, {"b": "0" * 32})
    inquiry = Inquiry([question, question], {})
    assert (inquiry.campaigns(counterpart=False), inquiry.campaigns(counterpart=True)) == (2, 4)
