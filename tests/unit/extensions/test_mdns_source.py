# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source as ansible-rulebook loads it: a file that is run by its path."""

from __future__ import annotations

import asyncio
import json
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.inventory import mbl_mdns as inventory
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.entries import BoardReport, Report
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.files import write_report

ROOT = Path(__file__).parents[3]
FILE = ROOT / "extensions/eda/plugins/event_source/mbl_mdns.py"
RULEBOOK = ROOT / "extensions/eda/rulebooks/provision.yml"
SOURCE = runpy.run_path(str(FILE))
OPTIONS = SOURCE["OPTIONS"]

Host = SOURCE["Host"]
Change = SOURCE["Change"]
What = SOURCE["What"]
PelionError = SOURCE["PelionError"]
FINGERPRINT = "SHA256:" + "a" * 43


def board(name: str, **more: Any) -> Any:
    plain = {"instance": name, "hostname": f"{name}.local", "addresses": ("fe80::7%eth1", "10.0.0.7"), "port": 22}
    return Host(name=name, **{**plain, "interface": "eth1", "txt": {"mblos": None}, "last_seen": None, **more})


def new(name: str) -> Any:
    return Change(What.APPEARED, board(name))


class Told:
    """An `Events` with the clock in the test's hand."""

    def __init__(self, reports: Path, *roster: str, retries: bool = True) -> None:
        self.reports = reports
        tries = SOURCE["Retries"](10.0, 40.0, SOURCE["PATIENCE"]) if retries else None
        self._events = SOURCE["Events"](reports, SOURCE["Roster"].parse(roster), tries)
        self.now = 0.0

    def of(self, *changes: Any) -> list[dict[str, Any]]:
        return self._events.of(changes, self.now)

    def due(self, after: float = 0.0) -> list[dict[str, Any]]:
        self.now += after
        return self._events.due(self.now)

    def report(self, event: dict[str, Any], **outcomes: str) -> None:
        """What a run leaves that was started for ``event``."""
        boards = [BoardReport(name.replace("_", "-"), outcome) for name, outcome in outcomes.items()]
        write_report(Report("provision", "2026-11-25T00:00:00Z", boards), Path(event["report"]))


# Options


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_that_the_inventory_plugin_has_too_is_the_same(name: str) -> None:
    other = yaml.safe_load(inventory.DOCUMENTATION)["options"].get(name)
    if name in ("gather", "retry_pause", "retry_longest_pause"):
        assert other is None
    else:
        form = ("type", "elements", "choices", "default", "aliases")
        assert {key: OPTIONS[name].get(key) for key in form} == {key: other.get(key) for key in form}


def test_without_arguments_the_documented_defaults_hold() -> None:
    assert SOURCE["read_options"]({}) == {name: option["default"] for name, option in OPTIONS.items()}


def test_a_misspelt_option_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(PelionError, match=r"no option 'rooster'\. Did you mean roster\?"):
        SOURCE["read_options"]({"rooster": []})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("roster", "mbed-linux-os-7"),
        ("roster", [7]),
        ("roster", None),
        ("gather", "1"),
        ("gather", -1),
        ("gather", True),
        ("max_hosts", 1.5),
        ("allow_routed", "yes"),
        ("address_families", ["ipv5"]),
        ("address_families", []),
        ("txt", 7),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(PelionError, match=name):
        SOURCE["read_options"]({name: value})


# Events


def test_boards_that_appear_together_are_one_event_with_a_place_for_a_report(tmp_path: Path) -> None:
    told = Told(tmp_path, "one", "two")
    (event,) = told.of(new("one"), new("two"))
    assert (event["change"], event["in_roster"], event["meta"]) == ("appeared", True, {"hosts": ["one", "two"]})
    assert Path(event["report"]).parent == tmp_path
    assert event["boards"][0] == {
        "name": "one",
        "instance": "one",
        "hostname": "one.local",
        "address": "fe80::7%eth1",
        "addresses": ["fe80::7%eth1", "10.0.0.7"],
        "port": 22,
        "interface": "eth1",
        "txt": {"mblos": None},
        "last_seen": None,
        "again": False,
        "failures": 0,
    }


def test_boards_outside_the_roster_are_told_apart_and_no_run_is_asked_for(tmp_path: Path) -> None:
    told = Told(tmp_path, "known")
    events = told.of(new("known"), new("stranger"))
    assert [(event["in_roster"], event["meta"]["hosts"]) for event in events] == [
        (True, ["known"]),
        (False, ["stranger"]),
    ]
    assert "report" not in events[1]
    assert told.due(1e9)[0]["meta"]["hosts"] == ["known"]


def test_nobody_is_in_an_empty_roster(tmp_path: Path) -> None:
    assert [event["in_roster"] for event in Told(tmp_path).of(new("any"))] == [False]


def test_a_host_key_without_a_name_may_be_that_of_any_board(tmp_path: Path) -> None:
    assert [event["in_roster"] for event in Told(tmp_path, FINGERPRINT).of(new("any"))] == [True]
    assert [event["in_roster"] for event in Told(tmp_path, f"one {FINGERPRINT}").of(new("any"))] == [False]


def test_a_name_of_the_roster_may_be_written_in_capitals(tmp_path: Path) -> None:
    assert [event["in_roster"] for event in Told(tmp_path, "One").of(new("oNE"))] == [True]


def test_boards_that_leave_are_told_and_not_tried_again(tmp_path: Path) -> None:
    told = Told(tmp_path, "one")
    told.of(new("one"))
    (event,) = told.of(Change(What.LEFT, board("one")))
    assert (event["change"], event["in_roster"], event["meta"]["hosts"]) == ("left", True, ["one"])
    assert "report" not in event
    assert told.due(1e9) == []


def test_a_board_that_comes_back_is_told_as_known(tmp_path: Path) -> None:
    told = Told(tmp_path, "one")
    first = told.of(new("one"))
    again = told.of(Change(What.AGAIN, board("one")))
    assert [event[0]["boards"][0]["again"] for event in (first, again)] == [False, True]
    assert first[0]["report"] != again[0]["report"]


def test_what_failed_is_told_again_after_a_growing_pause_until_it_is_in_order(tmp_path: Path) -> None:
    told = Told(tmp_path, "good", "bad-one", "never-reached")
    (event,) = told.of(new("good"), new("bad-one"), new("never-reached"))
    told.report(event, good="changed", bad_one="failed", never_reached="not_reached")
    assert told.due() == []
    assert list(tmp_path.iterdir()) == [], "a report that was read is gone"
    assert told.due(9.9) == []
    (event,) = told.due(0.1)
    assert (event["change"], event["in_roster"]) == ("retry", True)
    assert event["meta"]["hosts"] == ["bad-one", "never-reached"]
    assert [each["failures"] for each in event["boards"]] == [1, 1]
    told.report(event, bad_one="ok", never_reached="unreachable")
    assert told.due() == []
    assert told.due(10) == []
    (event,) = told.due(10)
    assert event["meta"]["hosts"] == ["never-reached"]
    told.report(event, never_reached="attention")
    assert told.due() == []
    assert told.due(1e9) == []


def test_a_board_that_a_report_does_not_name_is_not_in_order(tmp_path: Path) -> None:
    told = Told(tmp_path, "one")
    told.report(*told.of(new("one")))
    assert told.due() == []
    assert told.due(10)[0]["meta"]["hosts"] == ["one"]


def test_a_report_that_cannot_be_read_is_told_and_is_no_success(tmp_path: Path, caplog: Any) -> None:
    told = Told(tmp_path, "one")
    (event,) = told.of(new("one"))
    told.report(event)
    (Path(event["report"]) / "fleet.json").write_text("{")
    assert told.due() == []
    assert "not a report of this collection" in caplog.text
    assert told.due(10)[0]["meta"]["hosts"] == ["one"]


def test_a_run_that_never_reports_is_tried_again(tmp_path: Path) -> None:
    told = Told(tmp_path, "one")
    told.of(new("one"))
    assert told.due(SOURCE["PATIENCE"] - 1) == []
    assert told.due(1)[0]["boards"][0]["failures"] == 0


def test_nothing_comes_again_without_a_pause(tmp_path: Path) -> None:
    told = Told(tmp_path, "one", retries=False)
    (event,) = told.of(new("one"))
    told.report(event, one="failed")
    assert told.due(1e9) == []


def test_no_event_has_more_boards_than_a_command_line_can_name(tmp_path: Path) -> None:
    names = [f"mbed-linux-os-{number}" for number in range(1200)]
    told = Told(tmp_path, *names)
    events = told.of(*(new(name) for name in names))
    assert [len(event["boards"]) for event in events] == [500, 500, 200]
    assert len({event["report"] for event in events}) == 3


def test_texts_that_may_hold_a_template_are_left_out() -> None:
    """ansible-rulebook makes an extra variable of the event, and Ansible takes the texts in it for templates."""
    evil = "{{ lookup('pipe', 'touch /tmp/evil') }}"
    told = SOURCE["describe"](
        board("one", instance=evil, hostname=evil, txt={"mblos": None, "a": evil, evil: "b", "c": "{x}"}), again=False
    )
    assert evil not in json.dumps(told)
    assert (told["instance"], told["hostname"], told["txt"]) == ("", "", {"mblos": None, "c": "{x}"})


@given(st.text(alphabet="{%#} a"))
def test_no_text_with_the_beginning_of_a_template_comes_through(text: str) -> None:
    assert SOURCE["_harmless"](text) in ("", text)
    assert not any(mark in SOURCE["_harmless"](text) for mark in ("{{", "{%", "{#"))


# The source as a whole


class Wire:
    """In place of `Watch`: what the test has it tell."""

    def __init__(self, *_options: Any) -> None:
        self.entered = False
        self.warnings = ("somebody calls itself localhost",)

    def __enter__(self) -> Wire:
        self.entered = True
        return self

    def __exit__(self, *_error: object) -> None:
        self.entered = False

    def receive(self, _seconds: float) -> Any:
        return next(self.changes, [])


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    made = Wire()
    monkeypatch.setitem(SOURCE["main"].__globals__, "Watch", lambda *_options: made)
    yield made
    assert not made.entered


def run(args: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The first ``count`` events, with a queue of ansible-rulebook's size."""

    async def collect() -> list[dict[str, Any]]:
        queue: asyncio.Queue = asyncio.Queue(1)
        task = asyncio.create_task(SOURCE["main"](queue, args))
        events = []
        try:
            while len(events) < count:
                getter = asyncio.create_task(queue.get())
                await asyncio.wait({getter, task}, return_when=asyncio.FIRST_COMPLETED, timeout=60)
                assert getter.done(), task.exception() if task.done() else "nothing came"
                events.append(getter.result())
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return events

    return asyncio.run(collect())


def test_events_come_out_of_the_queue_and_the_reports_place_is_gone_at_the_end(wire: Wire) -> None:
    wire.changes = iter([[new("one"), new("two"), new("stranger")], [], [Change(What.LEFT, board("stranger"))]])
    known, stranger, left = run({"roster": ["one", "two"], "gather": 0}, 3)
    assert known["meta"]["hosts"] == ["one", "two"]
    assert (stranger["in_roster"], stranger["meta"]["hosts"]) == (False, ["stranger"])
    assert (left["change"], left["meta"]["hosts"]) == ("left", ["stranger"])
    assert not Path(known["report"]).parent.exists()


def test_what_a_killed_source_left_is_cleared_away_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "mbl-mdns-left/1").mkdir(parents=True)
    (tmp_path / "others").mkdir()
    (tmp_path / "mbl-mdns-link").symlink_to("others")
    with SOURCE["place_for_reports"]() as in_use, SOURCE["place_for_reports"]() as mine:
        assert {path.name for path in tmp_path.iterdir()} == {"others", "mbl-mdns-link", in_use.name, mine.name}
    assert {path.name for path in tmp_path.iterdir()} == {"others", "mbl-mdns-link"}


def test_bad_options_end_the_source(wire: Wire) -> None:
    for args in ({"rooster": []}, {"roster": ["SHA256:short"]}, {"name_pattern": "("}):
        with pytest.raises(PelionError):
            asyncio.run(SOURCE["main"](asyncio.Queue(1), args))


def test_by_hand_it_says_what_is_wrong() -> None:
    done = subprocess.run([sys.executable, FILE, "rooster=[]"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "Did you mean roster?" in done.stderr and "Traceback" not in done.stderr


# Documentation and rulebook


def test_the_examples_use_options_that_exist() -> None:
    (ruleset,) = yaml.safe_load(SOURCE["EXAMPLES"])
    for source in ruleset["sources"]:
        SOURCE["read_options"](source["pelion.mbl.mbl_mdns"])


def test_the_rulebook_is_one_and_uses_options_and_playbooks_that_exist() -> None:
    (ruleset,) = yaml.safe_load(RULEBOOK.read_text())
    (source,) = ruleset["sources"]
    assert set(source["pelion.mbl.mbl_mdns"]) <= set(OPTIONS)
    playbooks = [
        rule["action"]["run_playbook"]["name"] for rule in ruleset["rules"] if "run_playbook" in rule["action"]
    ]
    assert [(ROOT / "playbooks" / f"{name.rpartition('.')[2]}.yml").is_file() for name in playbooks] == [True]
