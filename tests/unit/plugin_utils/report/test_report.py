# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forms of a report: each is read by what reads it, and whatever a network calls a board does no harm there."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given, settings
from report_samples import report, texts

from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.entries import (
    OUTCOMES,
    BoardReport,
    HeldCertificate,
    Place,
    Report,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.files import (
    as_csv,
    as_json,
    as_junit,
    is_written,
    write_report,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.page import page
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.summary import summary, table

SCHEMA = json.loads((Path(__file__).parents[4] / "docs/fleet-report.schema.json").read_text())


unhurried = settings(max_examples=50)


@unhurried
@given(texts)
def test_the_json_has_its_documented_form(text: str) -> None:
    document = json.loads(as_json(report(text)))
    jsonschema.validate(document, SCHEMA)
    assert document["boards"][0]["name"] == f"{text}-0"


def test_the_schema_refuses_what_is_no_report() -> None:
    document = report().to_json()
    for broken in ({**document, "format": 2}, {**document, "boards": [{"name": "a", "outcome": "fine"}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, SCHEMA)


@unhurried
@given(texts)
def test_the_csv_has_a_line_for_each_board_and_no_formula(text: str) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(report(text)))))
    assert [row["outcome"] for row in rows] == list(OUTCOMES)
    assert [row["code"] for row in rows] == ["failed"] * (len(OUTCOMES) - 2) + ["", ""]
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


@unhurried
@given(texts)
def test_the_junit_file_is_xml_with_the_right_counts(text: str) -> None:
    suite = ElementTree.fromstring(as_junit(report(text)))
    cases = suite.findall("testcase")
    failed = [case for case in cases if case.find("failure") is not None]
    assert (int(suite.get("tests")), int(suite.get("failures"))) == (len(cases), len(failed))
    assert len(cases) == len(OUTCOMES) + 1
    assert len(failed) == len(OUTCOMES) - 2 + 1
    types = [case.find("failure").get("type") for case in failed]
    assert types == ["fleet-problem"] + ["failed"] * (len(OUTCOMES) - 2)


@unhurried
@given(texts)
def test_nothing_controls_the_terminal(text: str) -> None:
    for line in [*table(report(text)), *summary(report(text))]:
        assert line.isprintable()


def test_the_summary_does_not_flood() -> None:
    alike = [BoardReport(f"a-{number}", "unreachable", "No route.", "Is it on?") for number in range(300)]
    shown = summary(Report("status", "2026-11-25T00:00:00Z", alike))
    assert shown[0] == "300 boards: 300 no answer"
    assert shown[1].startswith("a-0, a-1, ") and shown[1].endswith(" and 281 more: no answer | No route. | Is it on?")
    assert len(shown) == 2
    unlike = [BoardReport(f"b-{number}", "failed", f"Error {number}.") for number in range(300)]
    shown = summary(Report("status", "2026-11-25T00:00:00Z", [*alike, *unlike]))
    assert len(shown) == 42 and "b-39: failed" in shown[40] and "… and 560 more boards" in shown[41]


def test_the_summary_tells_the_worst_first_and_what_to_do() -> None:
    lines = summary(report("b"))
    assert lines[0] == "Failed: b is wrong."
    assert lines[1].startswith("7 boards: 1 failed, 1 no answer, 1 missing")
    assert lines[2] == "b-0: failed (failed) | b says so. | Do b."
    assert len(lines) == 2 + 5


def test_one_board_is_told_as_one() -> None:
    assert summary(Report("status", "2026-11-25T00:00:00Z", [BoardReport("a", "ok")])) == ["1 board: 1 in order"]


def test_files_are_written_and_replaced(tmp_path: Path) -> None:
    directory = tmp_path / "made" / "here"
    for text in ("one", "two"):
        files = write_report(report(text), directory)
        assert sorted(directory.iterdir()) == sorted(files)
    assert json.loads((directory / "fleet.json").read_text())["boards"][0]["name"] == "two-0"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PelionError, match=r"file.* File exists|Not a directory"):
        write_report(report(), tmp_path / "file")


def test_a_report_is_written_when_its_last_file_is(tmp_path: Path) -> None:
    assert not is_written(tmp_path / "none")
    files = write_report(report(), tmp_path)
    assert is_written(tmp_path)
    files[-1].unlink()
    assert not is_written(tmp_path)


@pytest.mark.parametrize("text", ["=1+1", "x;=1+1", "\uff1d1+1", "x;\uff20cmd", "-2"])
def test_no_cell_is_a_formula_whatever_the_separator(text: str) -> None:
    cells = as_csv(Report("status", "2026-11-25T00:00:00Z", [BoardReport("a", "failed", text)])).split(",")
    assert all(part[:1] not in "=+-@\uff1d\uff0b\uff0d\uff20" for cell in cells for part in cell.split(";") if part)


def test_what_needs_no_more_words_is_not_said_twice() -> None:
    boards = [BoardReport(name, "failed", "The key is refused.", "Use another.", "cloud") for name in "ab"]
    lines = summary(Report("provision", "2026-11-25T00:00:00Z", boards, problems=["The key is refused. Use another."]))
    assert lines == ["2 boards: 2 failed", "a, b: failed (cloud) | The key is refused. | Use another."]
    html = page(Report("provision", "2026-11-25T00:00:00Z", boards, problems=["The key is refused."]))
    assert html.count("The key is refused.") == 1


def test_counts_have_their_plural() -> None:
    at = "2026-11-25T00:00:00Z"
    assert summary(Report("status", at, [BoardReport("a", "attention")]))[0] == "1 board: 1 needs attention"
    two = [BoardReport(name, "attention", "x") for name in "ab"]
    assert summary(Report("status", at, two))[0].endswith("2 need attention")
    assert "<p>1 board, " in page(Report("status", at, [BoardReport("a", "ok")]))


def test_nothing_is_drawn_as_nothing() -> None:
    place = Place("bench", 0, 100, "ACTIVE", "2036-11-20T00:00:00Z")
    places = page(Report("status", "2026-11-25T00:00:00Z", [], [place])).partition('id="places"')[2]
    assert "0 of 100 devices" in places and "<i " not in places


def test_the_table_has_the_certificates_where_they_fit() -> None:
    held = HeldCertificate("f" * 64, "bench-2026", "2036-11-20T00:00:00Z")
    on = BoardReport("a", "ok", address="192.0.2.1", device_id="1" * 32, state="registered", update_certificate=held)
    off = BoardReport("b", "missing", "Off.", device_id="2" * 32, state="registered")
    both = Report("status", "2026-11-25T00:00:00Z", [on, off])
    heading, first, second = table(both)
    assert heading.endswith("developer certificate")
    assert "registered  bench-2026 (2036-11-20)  -" in first
    assert second.split() == ["b", "-", "2" * 32, "missing", "-", "-"]
    assert "bench-2026" in table(both, 90)[1] and "developer" not in table(both, 90)[0]
    assert table(both, 20)[0].split() == ["board", "address", "device", "ID", "state"]
    hidden = "No room here for: update certificate, developer certificate. "
    assert table(both, 20)[3].startswith(hidden) and not table(both)[3:]
