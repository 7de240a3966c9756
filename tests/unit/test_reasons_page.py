# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All reasons have words, and docs/reasons.md lists them as the tables have them."""

from __future__ import annotations

import re
from string import Formatter

import pytest
from reasons_page import FILE, ROOMS, page

from ansible_collections.pelion.mbl.plugins.plugin_utils.reasons import Kind
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.reasons import KINDS, TABLES

ALL = [(room, code) for room, table in TABLES.items() for code in table]


def facts_of(*templates: str | None) -> set[str]:
    return {name for text in templates for _literal, name, *_how in Formatter().parse(text or "") if name}


def test_the_page_is_what_the_tables_make() -> None:
    assert FILE.read_text() == page(), "run .venv/bin/python tests/unit/support/reasons_page.py"


def test_each_room_has_its_part_of_the_page() -> None:
    assert TABLES.keys() <= ROOMS.keys()
    assert set(re.findall(r"^\| `([^`]+)` \|", page(), re.MULTILINE)) == KINDS.keys()


@pytest.mark.parametrize(("room", "code"), ALL)
def test_a_code_is_one_word_and_its_texts_are_sentences(room: str, code: str) -> None:
    kind: Kind = TABLES[room][code]
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", code)
    assert kind.text.endswith((".", "?", "}"))
    assert not kind.next_step or kind.next_step.endswith((".", "?"))


@pytest.mark.parametrize("code", TABLES["report"])
def test_what_several_boards_have_in_common_names_no_other_facts(code: str) -> None:
    kind = TABLES["report"][code]
    assert facts_of(kind.common) <= facts_of(kind.text)
    assert kind.next_step
