# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told to have changed from one report of a fleet to the next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.readiness import NO, NOT_KNOWN, YES
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.comparison import since
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.entries import (
    GOOD,
    OUTCOMES,
    BoardReport,
    HeldCertificate,
    Report,
    SiteRun,
    TakesUpdates,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.files import as_json
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.page import page
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.since import WORDS, Change
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.summary import summary
from ansible_collections.pelion.mbl.plugins.plugin_utils.task.reporting import result_of

EARLIER, NOW = "2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z"
SCHEMA = json.loads((Path(__file__).parents[4] / "docs/fleet-report.schema.json").read_text())
OLD = HeldCertificate("a" * 64, "bench-2026", "2036-11-20T00:00:00Z")
NEW = HeldCertificate("b" * 64, "bench-2027", "2037-11-20T00:00:00Z")
FINE = BoardReport("a", "ok", device_id="1" * 32, developer_certificate=OLD, update_certificate=OLD)
GONE = replace(FINE, outcome="attention", code="device-gone", reason="The device is gone.")


def earlier(*boards: BoardReport) -> Report:
    return Report("status", EARLIER, boards)


def now(*boards: BoardReport) -> Report:
    return Report("status", NOW, boards)


def changes(before: Sequence[BoardReport], after: Sequence[BoardReport]) -> list[tuple[str, ...]]:
    found = since(earlier(*before), now(*after))
    assert found and found.made_at == EARLIER
    return [(c.board, c.what, *filter(None, (c.before, c.after))) for c in found.changes]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (FINE, FINE, []),
        (FINE, replace(FINE, outcome="changed"), []),
        (FINE, GONE, [("not-in-order", "device-gone")]),
        (GONE, FINE, [("in-order", "device-gone")]),
        (GONE, replace(GONE, outcome="failed", code="damaged"), [("other-reason", "device-gone", "damaged")]),
        (FINE, BoardReport("a", "missing", code="missing", device_id="1" * 32), [("missing",)]),
        (replace(FINE, outcome="missing", code="missing"), FINE, [("in-order", "missing")]),
        (FINE, replace(FINE, outcome="not_reached", code="not-reached"), []),
        (replace(FINE, outcome="not_reached", code="not-reached"), GONE, []),
        (FINE, replace(FINE, device_id="2" * 32), [("device", "1" * 32, "2" * 32)]),
        (FINE, replace(FINE, update_certificate=NEW), [("update-certificate", OLD.words, NEW.words)]),
        (FINE, replace(FINE, developer_certificate=NEW), [("developer-certificate", OLD.words, NEW.words)]),
        (
            FINE,
            replace(FINE, update_certificate=replace(OLD, fingerprint="c" * 64)),
            [("update-certificate", "a" * 16, "c" * 16)],
        ),
        # What is not known now has not changed.
        (FINE, replace(FINE, update_certificate=None, developer_certificate=None, device_id=None), []),
        (
            replace(FINE, takes_updates=TakesUpdates(YES)),
            replace(FINE, takes_updates=TakesUpdates(NO, "no-signer")),
            [("takes-updates", "yes", "no")],
        ),
        (replace(FINE, takes_updates=TakesUpdates(YES)), replace(FINE, takes_updates=TakesUpdates(NOT_KNOWN)), []),
    ],
)
def test_what_changed_of_a_board(before: BoardReport, after: BoardReport, told: list[tuple[str, ...]]) -> None:
    assert changes([before], [after]) == [("a", *change) for change in told]


def test_boards_that_come_and_go() -> None:
    other, renamed = replace(FINE, name="b", device_id="2" * 32), replace(FINE, name="c", device_id="2" * 32)
    assert changes([FINE], [FINE, other]) == [("b", "new")]
    assert changes([FINE, other], [FINE, renamed]) == [("c", "renamed", "b")]
    # Who copied another board's credentials is no renamed board.
    assert changes([FINE, other], [FINE, other, renamed]) == [("c", "new")]
    # A board of the team that came to light as missing.
    missing = BoardReport("b", "missing", code="missing")
    assert changes([FINE], [FINE, missing]) == [("b", "missing")]
    assert since(replace(earlier(FINE), absent=["b"]), now(FINE, missing)).changes == []
    # What somebody took out of the inventory and of the memory needs no telling.
    assert changes([FINE, other], [FINE]) == []


def test_a_run_for_some_boards_makes_the_others_not_new() -> None:
    others = [replace(FINE, name=name, device_id=name * 32) for name in "bcd"]
    limited = now(FINE)
    limited = replace(limited, since=since(earlier(FINE, *others), limited, ["a", "b", "c"]))
    assert limited.since.left_out == ["b", "c"]
    whole = since(limited, replace(now(FINE, *others), made_at="2026-11-27T00:00:00Z"), ["a", "b", "c", "d"])
    assert [(change.board, change.what) for change in whole.changes] == [("d", "new")]
    assert whole.left_out == []


def test_another_fleet_is_not_compared() -> None:
    assert since(earlier(), now(FINE)) is None
    assert since(earlier(replace(FINE, name="z")), now(FINE)) is None
    assert since(replace(earlier(GONE), check_mode=True), now(FINE)) is None


def test_sites_may_have_boards_of_one_name_and_may_be_named_later() -> None:
    here, there = replace(FINE, site="here"), replace(GONE, site="there")
    both = [SiteRun("here", NOW), SiteRun("there", NOW)]
    merged = replace(earlier(here, there), sites=both), replace(now(here, replace(there, outcome="ok")), sites=both)
    assert since(*merged).changes == [Change("a", "there", "in-order", "device-gone")]
    assert since(earlier(FINE), now(here)).changes == []


held = st.none() | st.builds(HeldCertificate, st.sampled_from(["a" * 64, "b" * 64]), st.none() | st.just("bench"))
taking = st.none() | st.builds(TakesUpdates, st.sampled_from([YES, NO, NOT_KNOWN]))
boards = st.lists(
    st.builds(
        BoardReport,
        st.sampled_from("abcdef"),
        st.sampled_from(list(OUTCOMES)),
        code=st.sampled_from(["", "device-gone", "x"]),
        device_id=st.none() | st.sampled_from("12345678"),
        developer_certificate=held,
        update_certificate=held,
        takes_updates=taking,
    ),
    unique_by=lambda board: board.name,
)


@given(boards, boards)
def test_what_is_told_is_so(before: list[BoardReport], after: list[BoardReport]) -> None:
    found = since(earlier(*before), now(*after), "abcdef")
    former, present = {board.name: board for board in before}, {board.name: board for board in after}
    if found is None:
        assert not former.keys() & present.keys()
        return
    assert set(found.left_out) == former.keys() - present.keys()
    for change in found.changes:
        assert change.what in WORDS and change.board in present
        assert (change.board in former) != (change.what in ("new", "renamed")) or change.what == "missing"
        assert change.before != change.after or change.what in ("new", "missing")
    assert len({(change.board, change.what) for change in found.changes}) == len(found.changes)
    document = replace(now(*after), since=found).to_json()
    jsonschema.validate(document, SCHEMA)
    assert Report.from_json(json.loads(json.dumps(document))).since == found


@given(boards)
def test_nothing_changes_by_looking_again(seen: list[BoardReport]) -> None:
    found = since(earlier(*seen), now(*seen), "abcdef")
    assert not found or (not found.changes and not found.left_out)


@given(boards, boards)
def test_every_board_that_fell_out_of_order_is_told(before: list[BoardReport], after: list[BoardReport]) -> None:
    found = since(earlier(*before), now(*after))
    good = {board.name for board in before if board.outcome in GOOD}
    bad = {board.name for board in after if board.outcome not in {*GOOD, "not_reached"}}
    if found:
        told = {change.board for change in found.changes if change.what in ("not-in-order", "missing")}
        assert good & bad <= told


def test_the_summary_and_the_page_tell_each_change_once() -> None:
    many = [replace(FINE, name=f"a-{number}", device_id=None) for number in range(30)]
    report = now(*(replace(board, update_certificate=NEW) for board in many), GONE)
    report = replace(report, since=since(earlier(*many, FINE), report))
    lines = [line for line in summary(report) if line.startswith("Since ")]
    assert lines[0] == f"Since {EARLIER}: a: was in order, and is not now (device-gone)"
    assert lines[1].startswith(f"Since {EARLIER}: a-0, a-1, ") and "and 11 more: another update certificate" in lines[1]
    assert len(lines) == 2
    assert page(report).count("another update certificate: bench-2027") == 1
    same = now(FINE)
    same = replace(same, since=since(earlier(FINE), same))
    assert f"Since {EARLIER}: nothing has changed" in summary(same)
    assert "Since" not in "".join(summary(now(FINE)))


def test_a_report_is_compared_with_the_one_in_its_place(tmp_path: Path) -> None:
    for board, told in ((FINE, None), (GONE, ["not-in-order"]), (GONE, [])):
        result = result_of(now(board), str(tmp_path))
        found = result["report"]["since"]
        assert (found and [change["what"] for change in found["changes"]]) == told
        assert json.loads((tmp_path / "fleet.json").read_text()) == result["report"]
    (tmp_path / "fleet.json").write_text("{")
    assert result_of(now(FINE), str(tmp_path))["report"]["since"] is None


def test_without_a_place_the_last_report_is_kept(tmp_path: Path) -> None:
    kept = tmp_path / "user/last-status"
    assert result_of(now(FINE), None, kept=kept)["report"]["since"] is None
    assert not kept.exists()  # nor is a store made for it
    kept.parent.mkdir()
    result_of(earlier(FINE), None, kept=kept)
    assert (kept / "fleet.json").stat().st_mode & 0o777 == 0o600
    # A look at some of the boards, or into another place, does not stand for the whole.
    result_of(now(replace(FINE, name="b")), str(tmp_path / "reports"), kept=kept)
    told = result_of(now(GONE), None, kept=kept)["report"]["since"]
    assert [change["what"] for change in told["changes"]] == ["not-in-order"]
    both = now(GONE, replace(FINE, name="b", device_id="2" * 32))
    result_of(both, None, kept=kept)
    result_of(now(FINE), None, ["a", "b"], kept=kept)
    assert json.loads((kept / "fleet.json").read_text()) != as_json(now(FINE))
    assert len(json.loads((kept / "fleet.json").read_text())["boards"]) == 2
