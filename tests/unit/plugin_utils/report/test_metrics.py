# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""fleet.prom, read by Prometheus's own parser, and the example alerts on it, tried by its own tool."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.readiness import YES
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.entries import (
    BoardReport,
    HeldCertificate,
    Place,
    Report,
    TakesUpdates,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.metrics import as_metrics
from ansible_collections.pelion.mbl.plugins.plugin_utils.words import printable

AT = "1970-01-11T00:00:00Z"
ALERTS = Path(__file__).parents[4] / "docs/fleet-alerts.yml"
HELD = HeldCertificate("a" * 64, "bench", "1970-01-31T00:00:00Z")


def troubled(text: str = "a", site: str | None = None) -> Report:
    """A report of which each of the alerts has something to say, with ``text`` where a network may have chosen it."""
    proven = TakesUpdates(YES, proven_at="1970-01-01T00:00:00Z")
    boards = [
        BoardReport(text, "ok", last_seen=AT, update_certificate=HELD, takes_updates=proven, site=site),
        BoardReport(f"{text}-2", "attention", code="device-gone", site=site),
        BoardReport(f"{text}-3", "attention", code="device-gone", site=site),
    ]
    places = [Place(text, 95, 100, "ACTIVE", "2036-11-20T00:00:00Z"), Place("old", 99, 100, "INACTIVE", "")]
    return Report("status", AT, boards, places, ["Too few."])


def samples(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """By name without its prefix; labels but for the playbook."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge" and family.documentation
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("playbook") == "status"
            of_name = found.setdefault(sample.name.removeprefix("pelion_fleet_"), {})
            assert tuple(labels.items()) not in of_name
            of_name[tuple(labels.items())] = sample.value
    return found


def test_the_metrics_say_what_the_report_says() -> None:
    found = samples(as_metrics(troubled(site="north")))
    assert found["report_timestamp_seconds"] == {(): 10 * 86400}
    assert (found["success"], found["problems"]) == ({(): 0}, {(): 1})
    assert {labels[0][1]: value for labels, value in found["boards"].items() if value} == {"ok": 1, "attention": 2}
    assert len(found["boards"]) == 7  # those of none as well, or their graphs would end
    wrong = (("site", "north"), ("outcome", "attention"), ("code", "device-gone"))
    assert found["boards_not_in_order"] == {wrong: 2}
    assert found["boards_taking_updates"][(("answer", "yes"),)] == 1
    here = (("board", "a"), ("site", "north"))
    assert found["board_last_seen_timestamp_seconds"] == {here: 10 * 86400}
    assert found["board_update_proof_timestamp_seconds"] == {here: 0}
    update = (("kind", "update"), ("name", "bench"), ("not_after", HELD.not_after))
    assert found["certificate_end_timestamp_seconds"][update] == 30 * 86400
    assert found["certificate_boards"][update] == 1
    assert found["certificate_devices"][(("name", "a"), ("status", "ACTIVE"))] == 95
    assert found["certificate_limit"][(("name", "old"), ("status", "INACTIVE"))] == 100


def test_what_is_not_known_has_no_sample() -> None:
    assert samples(as_metrics(Report("status", AT, []))).keys() == {
        *("report_timestamp_seconds", "success", "problems", "boards")
    }


@given(st.text(min_size=1))
def test_no_text_of_a_network_breaks_the_format(text: str) -> None:
    found = samples(as_metrics(troubled(text)))
    assert dict(next(iter(found["board_last_seen_timestamp_seconds"])))["board"] == printable(text)
    assert len(found["certificate_devices"]) == len({printable(text) + "ACTIVE", "oldINACTIVE"})


ALERTED = {
    "PelionReportTooOld": ("3d", {}, "The fleet was last looked at 3d 0h 0m 0s ago."),
    "PelionBoardsNotInOrder": (
        "3h",
        {"site": "north", "code": "device-gone", "outcome": "attention"},
        "2 boards at north: device-gone",
    ),
    "PelionCertificateEnds": (
        "5d",
        {"kind": "update", "name": "bench", "not_after": HELD.not_after},
        "The update certificate bench ends in 25d 0h 0m 0s.",
    ),
    "PelionPlacesRunOut": (
        "1h",
        {"name": "a", "status": "ACTIVE"},
        "The developer certificate a has 95 devices, and few places left.",
    ),
    "PelionUpdatesNotProven": (
        "95d",
        {"board": "a", "site": "north"},
        "a last proved 95d 0h 0m 0s ago that it takes updates.",
    ),
}
"""Each alert: when the report below raises it, of what, and what it says."""


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool here (Debian's package prometheus has it)")
def test_each_alert_is_raised_by_what_it_is_for(tmp_path: Path) -> None:
    report = replace(troubled(site="north"), made_at="1970-01-01T00:00:00Z")
    series = [
        {"series": f"{sample.name}{{{_labels(sample.labels)}}}", "values": f"{sample.value}x2400"}
        for family in text_string_to_metric_families(as_metrics(report))
        for sample in family.samples
    ]
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    assert ALERTED.keys() == {rule["alert"] for rule in rules}
    cases = []
    for rule in rules:
        when, labels, summary = ALERTED[rule["alert"]]
        told = {
            "exp_labels": {"playbook": "status", **rule["labels"], **labels},
            "exp_annotations": {**rule["annotations"], "summary": summary},
        }
        cases.append({"eval_time": when, "alertname": rule["alert"], "exp_alerts": [told]})
        if rule["alert"] != "PelionPlacesRunOut":  # which does not depend on the time
            cases.append({"eval_time": "0s", "alertname": rule["alert"], "exp_alerts": []})
    tests = [{"interval": "1h", "input_series": series, "alert_rule_test": cases}]
    document = {"rule_files": [str(ALERTS)], "evaluation_interval": "1h", "tests": tests}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={json.dumps(text)}" for name, text in labels.items())
