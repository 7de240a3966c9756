# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One report of several sites, and reports that are read again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import Remembered
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.entries import (
    ANSWERS,
    OUTCOMES,
    BoardReport,
    HeldCertificate,
    Place,
    Report,
    SiteRun,
    TakesUpdates,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.files import read_report, write_report
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.merging import Silence, merge
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.summary import summary

SCHEMA = json.loads((Path(__file__).parents[4] / "docs/fleet-report.schema.json").read_text())
NOW = datetime(2026, 11, 25, tzinfo=timezone.utc)
AT = "2026-11-24T12:00:00Z"
GONE = Silence("There is no report in reports/south.")


def report(*boards: BoardReport, **others: Any) -> Report:
    return Report("provision", AT, boards, **others)


def ok(name: str) -> BoardReport:
    return BoardReport(name, "ok")


def at(site: str) -> Remembered:
    return Remembered((), "1" * 32, "bench", "2026-11-01T00:00:00Z", site)


def test_every_board_is_told_once_with_its_site() -> None:
    merged = merge({"north": report(ok("b-10"), ok("b-2")), "south": report(BoardReport("b-3", "failed"))}, NOW, {})
    assert [(b.name, b.site, b.outcome) for b in merged.boards] == [
        ("b-2", "north", "ok"),
        ("b-3", "south", "failed"),
        ("b-10", "north", "ok"),
    ]
    assert (merged.playbook, merged.made_at, merged.problems) == ("provision", "2026-11-25T00:00:00Z", ())
    assert list(merged.sites) == [SiteRun("north", AT), SiteRun("south", AT)]
    assert not merged.success


def test_the_boards_of_a_silent_site_are_not_reached() -> None:
    remembered = {"b-2": at("south"), "moved": at("south"), "b-4": at("north"), "b-5": Remembered()}
    silence = Silence(GONE.reason, ["new"])
    merged = merge({"north": report(ok("moved"), ok("b-4")), "south": silence}, NOW, remembered)
    assert {b.name: (b.site, b.outcome) for b in merged.boards} == {
        "b-2": ("south", "not_reached"),
        "b-4": ("north", "ok"),
        "moved": ("north", "ok"),
        "new": ("south", "not_reached"),
    }
    assert merged.problems == (f"south: {GONE.reason}",)
    assert not merged.success
    assert merged.sites[1] == SiteRun("south", None)
    assert {(b.code, b.facts["site"]) for b in merged.boards if b.outcome == "not_reached"} == {
        ("site-silent", "south")
    }
    assert "b-2 at south, new at south: not reached" in "\n".join(summary(merged))


def test_a_silent_site_without_known_boards_is_still_a_problem() -> None:
    merged = merge({"north": report(ok("a")), "south": GONE}, NOW, {})
    assert merged.counts == {"ok": 1}
    assert not merged.success


def test_what_is_absent_everywhere_is_absent() -> None:
    north, south = replace(report(ok("a")), absent=["b", "c"]), replace(report(ok("b")), absent=["c"])
    assert merge({"north": north, "south": south}, NOW, {}).absent == ["c"]


def test_what_one_site_misses_and_another_has_is_not_missing() -> None:
    missed = BoardReport("moved", "missing")
    merged = merge({"north": report(missed, BoardReport("lost", "missing")), "south": report(ok("moved"))}, NOW, {})
    assert {b.name: b.outcome for b in merged.boards} == {"moved": "ok", "lost": "missing"}


def test_two_boards_of_one_name_are_a_problem() -> None:
    merged = merge({"north": report(ok("a")), "south": report(ok("a"))}, NOW, {})
    assert [b.site for b in merged.boards] == ["north", "south"]
    assert "north and south each have a board called a" in merged.problems[0]


def test_a_copy_and_a_renamed_board_at_another_site_are_told() -> None:
    one = replace(ok("a"), device_id="1" * 32)
    merged = merge({"north": report(one), "south": report(replace(one, name="b"))}, NOW, {})
    assert [(board.outcome, board.code) for board in merged.boards] == [("attention", "copied")] * 2
    assert "as b at south:" in merged.boards[0].reason
    former = BoardReport("former", "missing", "It is gone.", "Look.", "missing", device_id="1" * 32)
    merged = merge({"north": report(one), "south": report(former)}, NOW, {})
    assert [(board.name, board.outcome) for board in merged.boards] == [("a", "ok")]


def test_of_the_account_the_newest_word_counts() -> None:
    def place(devices: int) -> Place:
        return Place("bench", devices, 100, "ACTIVE", "2036-01-01T00:00:00Z")

    older, newer = Report("status", AT, [], [place(3)]), Report("status", "2026-11-24T12:00:01Z", [], [place(5)])
    assert merge({"a": newer, "b": older}, NOW, {}).places == [place(5)]


outcomes = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(list(OUTCOMES)))
a_site = outcomes.map(lambda boards: report(*(BoardReport(*board) for board in boards.items())))
silences = st.sets(st.sampled_from("abcdef")).map(lambda boards: Silence("no report", frozenset(boards)))
memories = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["s0", "s1", ""]).map(at))


@given(st.lists(a_site | silences, max_size=4), memories)
def test_no_board_is_lost_and_bad_news_is_never_good(parts: list[Report | Silence], remembered: Any) -> None:
    sites = {f"s{number}": part for number, part in enumerate(parts)}
    merged = merge(sites, NOW, remembered)
    names = {board.name for board in merged.boards}
    for site, part in sites.items():
        if isinstance(part, Report):
            assert {board.name for board in part.boards} <= names
        else:
            assert {*part.expected, *(name for name, before in remembered.items() if before.site == site)} <= names
            assert not merged.success
    told = {(b.name, b.site): b.outcome for b in merged.boards}
    assert len(told) == len(merged.boards)
    for site, part in sites.items():
        for board in part.boards if isinstance(part, Report) else ():
            if board.outcome != "missing":
                assert told[board.name, site] == board.outcome


texts = st.text(max_size=5)
times = st.just(AT) | st.just("2036-11-24")
held = st.none() | st.builds(HeldCertificate, texts, st.none() | texts, st.none() | times)
counts = st.integers(0, 10**9)
takes = st.none() | st.builds(
    TakesUpdates,
    st.sampled_from(list(ANSWERS)),
    texts,
    st.dictionaries(texts, texts | st.integers(), max_size=2),
    texts,
    texts,
    st.none() | times,
    st.none() | times,
)
boards = st.builds(
    BoardReport,
    texts,
    st.sampled_from(list(OUTCOMES)),
    texts,
    code=texts,
    facts=st.dictionaries(texts, texts | st.integers(), max_size=2),
    developer_certificate=held,
    site=st.none() | texts,
    takes_updates=takes,
)
reports = st.builds(
    Report,
    texts,
    st.just(AT),
    st.lists(boards, max_size=3),
    st.lists(st.builds(Place, texts, counts, counts, texts, times | st.just("")), max_size=2),
    st.lists(texts, max_size=2),
    st.lists(st.builds(SiteRun, texts, st.none() | texts), max_size=2),
    st.lists(texts, max_size=2),
    st.booleans(),
    st.lists(texts, max_size=2),
)


@given(reports)
def test_what_is_written_is_read_again(written: Report) -> None:
    document = json.loads(json.dumps({**written.to_json(), "of a later version": 1}))
    assert Report.from_json(document) == written


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
FIELDS = ("format", "playbook", "made_at", "boards", "places", "problems", "sites")


@given(st.sampled_from(FIELDS), json_values)
def test_whatever_a_file_holds_it_is_read_or_refused(field: str, value: Any) -> None:
    document = {**report(ok("a")).to_json(), field: value}
    try:
        assert Report.from_json(document).to_json()["boards"] == document["boards"]
    except ValueError:
        good = report(ok("a")).to_json()[field]
        assert value != good or type(value) is not type(good)  # True is 1 to Python


HEAD = '"format": 1, "playbook": "p", "made_at": "2026-11-24T12:00:00Z"'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "where an object should be"),
        ('{"format": 3}', "format 3, and this version reads 1"),
        ('{"format": true}', "True as format"),
        (f'{{{HEAD}, "boards": 1}}', "no list of boards"),
        (f'{{{HEAD}, "boards": [{{"name": "a", "outcome": "fine"}}]}}', "outcome 'fine'"),
        (f'{{{HEAD}, "boards": [{{"outcome": "ok"}}]}}', "without name"),
        (f'{{{HEAD}, "boards": [{{"name": "a", "outcome": "ok", "site": 3}}]}}', "3 as site"),
        (f'{{{HEAD}, "problems": [null]}}', "None as problems"),
        ('{"format": 1, "playbook": "p", "made_at": "soon"}', "not a time"),
    ],
)
def test_a_damaged_report_is_told(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "fleet.json").write_text(content)
    with pytest.raises(PelionError, match=words):
        read_report(tmp_path)


def test_a_report_is_read_where_it_was_written(tmp_path: Path) -> None:
    with pytest.raises(PelionError, match="no report in"):
        read_report(tmp_path)
    write_report(report(ok("a")), tmp_path)
    assert read_report(tmp_path).to_json() == report(ok("a")).to_json()


@pytest.mark.parametrize(
    "odd",
    [
        {"boards": [{"name": "a", "outcome": "ok", "update_certificate": {"fingerprint": "f", "not_after": "soon"}}]},
        {"places": [{"name": "p", "devices": 1, "limit": 10**400, "status": "ACTIVE", "not_after": AT}]},
        {"places": [{"name": "p", "devices": 1, "limit": 100, "status": "ACTIVE", "not_after": "tomorrow"}]},
        {"made_at": "0000-00-00T00:00:00Z"},
        {"boards": {"a": "ok"}},
    ],
)
def test_an_odd_report_is_a_problem_that_names_the_file(odd: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "fleet.json").write_text(json.dumps({"format": 1, "playbook": "status", "made_at": AT, **odd}))
    with pytest.raises(PelionError, match="is not a report of this collection"):
        read_report(tmp_path)


def test_a_certificate_with_no_places_is_no_division_by_zero(tmp_path: Path) -> None:
    place = {"name": "p", "devices": 0, "limit": 0, "status": "ACTIVE", "not_after": ""}
    document = {"format": 1, "playbook": "status", "made_at": AT, "places": [place]}
    (tmp_path / "fleet.json").write_text(json.dumps(document))
    write_report(merge({"north": read_report(tmp_path)}, NOW, {}), tmp_path / "all")


def test_facts_that_are_nested_too_deeply_are_no_traceback(tmp_path: Path) -> None:
    board = {"name": "a", "outcome": "failed", "code": "x", "facts": {}}
    text = json.dumps({"format": 1, "playbook": "status", "made_at": AT, "boards": [board]})
    (tmp_path / "fleet.json").write_text(text.replace('"facts": {}', '"facts": {"a": ' + "[" * 900 + "]" * 900 + "}"))
    try:
        read = read_report(tmp_path)
    except PelionError:
        return
    write_report(read, tmp_path / "all")
