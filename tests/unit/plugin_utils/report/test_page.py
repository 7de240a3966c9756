# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""fleet.html: whatever a network calls a board does no harm in it, and a browser runs its own script and no other."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import report, texts

from ansible_collections.pelion.mbl.plugins.plugin_utils.report.entries import OUTCOMES, BoardReport, Report
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.page import HEADS, MANY, POLICY, SCRIPT, STYLE, page
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.since import Change, Since

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NASTY = '<script>document.title="run"</script>"\'&\x1b[2J\n=cmd|'
in_a_browser = pytest.mark.skipif(not CHROMIUM, reason="no chromium here (tests/setup test installs it)")


class Page(HTMLParser):
    """The tags and attributes of a page, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _value in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links |= {value or "" for name, value in attrs if name == "href"}


def changed(text: str = "board") -> Report:
    """The sample, with a change of each of its boards."""
    sample = report(text)
    return replace(sample, since=Since(sample.made_at, [Change(b.name, None, "new") for b in sample.boards]))


@settings(max_examples=50)
@given(texts | st.just(NASTY))
def test_no_text_becomes_part_of_the_page(text: str) -> None:
    plain, odd = Page(page(changed())), Page(page(changed(text)))
    assert odd.tags == plain.tags
    assert (odd.attributes, odd.ids, odd.links) == (plain.attributes, plain.ids, plain.links)
    assert odd.tags.count("script") == 1
    assert not {"img", "link", "iframe", "form", "object"} & set(odd.tags)
    assert not {"src", "style", "onclick", "onload"} & odd.attributes


@settings(max_examples=50)
@given(texts | st.just(NASTY))
def test_a_code_of_another_version_is_a_link_to_its_step_and_no_more(code: str) -> None:
    boards = [BoardReport("a", "failed", "Why.", code=code), BoardReport("b", "failed", "Why else.", code=code)]
    odd = Page(page(Report("status", "2026-11-25T00:00:00Z", boards)))
    assert len(odd.links) == 1 and odd.links == {f"#{name}" for name in odd.ids if name.startswith("do-")}
    assert len(odd.ids) == len(set(odd.ids))
    assert odd.tags.count("script") == 1


def test_the_policy_allows_what_is_in_the_page_and_nothing_else() -> None:
    text = page(report(NASTY))
    for what, content in (("style", STYLE), ("script", SCRIPT)):
        assert text.partition(f"<{what}>")[2].partition(f"</{what}>")[0] == content
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{what}-src 'sha256-{digest}';" in POLICY
    assert "unsafe" not in POLICY and f'"{POLICY}"' in text
    assert "SPDX" not in text


def test_the_page_shows_each_code_with_its_steps_and_its_board() -> None:
    text = page(report())
    assert text.count("<code>failed</code>") == 2 * (len(OUTCOMES) - 2)
    assert text.count('<a href="#do-failed">') == len(OUTCOMES) - 2


def test_many_names_do_not_push_the_rest_away() -> None:
    boards = [BoardReport(f"a-{number}", "unreachable", "No route.", code="no-route") for number in range(MANY + 1)]
    few, many = (page(Report("status", "2026-11-25T00:00:00Z", some)) for some in (boards[:MANY], boards))
    assert 'class="names"' not in few
    assert f"<b>{MANY + 1} boards</b>: no answer. No route." in many and f"a-{MANY}</p>" in many


def browse(file: Path, text: str) -> str:
    """What the browser made of a page, after everything in it that could run has had its time."""
    file.write_text(text)
    quiet = ("gpu", "quic", "background-networking", "component-update", "sync")
    flags = ["--headless", "--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    flags += ["--virtual-time-budget=1000", "--dump-dom"]
    command = [CHROMIUM or "", *flags, f"--user-data-dir={file.parent / 'profile'}", file.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@in_a_browser
def test_a_browser_shows_the_page_and_runs_nothing_that_came_from_a_network(tmp_path: Path) -> None:
    text = browse(tmp_path / "fleet.html", page(report(NASTY)))
    shown = Page(text)
    assert shown.tags.count("tr") == 1 + len(OUTCOMES)
    assert {"boards", "steps", "ends", "places"} <= set(shown.ids)
    assert "<title>Fleet: status</title>" in text
    assert (shown.tags.count("script"), shown.tags.count("button")) == (1, len(HEADS))  # and its own did run


@in_a_browser
def test_boards_are_searched_and_sorted(tmp_path: Path) -> None:
    boards = [BoardReport(f"b-{number}", "ok", device_id="f" if number == 2 else None) for number in (10, 9, 2)]
    boards.append(BoardReport("a-1", "failed", "Why.", code="damaged"))
    uses = """
    const names = () => [...document.querySelectorAll("tbody tr:not([hidden]) b")].map(name => name.textContent);
    const [board, state, , device] = document.querySelectorAll("th button");
    const seen = [names()];
    for (const button of [board, board, device, device, state]) { button.click(); seen.push(names()); }
    for (const text of ["B-", "damaged", "no such", "b- order"]) {
      search.value = text; search.dispatchEvent(new Event("input")); seen.push([...names(), found.textContent]);
    }
    document.title = JSON.stringify(seen);
    """
    digest = base64.b64encode(hashlib.sha256(uses.encode()).digest()).decode()
    text = page(Report("status", "2026-11-25T00:00:00Z", boards)).replace(
        "script-src ", f"script-src 'sha256-{digest}' "
    )
    text = browse(tmp_path / "fleet.html", text.replace("</body>", f"<script>{uses}</script></body>"))
    assert json.loads(text.partition("<title>")[2].partition("</title>")[0]) == [
        ["a-1", "b-10", "b-9", "b-2"],
        ["a-1", "b-2", "b-9", "b-10"],
        ["b-10", "b-9", "b-2", "a-1"],
        ["b-2", "a-1", "b-10", "b-9"],  # those without a device last
        ["b-2", "b-9", "b-10", "a-1"],
        ["a-1", "b-10", "b-9", "b-2"],
        ["b-10", "b-9", "b-2", "3 of 4"],
        ["a-1", "1 of 4"],
        ["0 of 4"],
        ["b-10", "b-9", "b-2", "3 of 4"],
    ]
