# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program can say is what the tables have, and what docs/on-the-board.md lists."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import answers
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.answers import ANSWERS
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.reasons import BOARD_WARNINGS, PROGRAM_REASONS

ROOT = Path(__file__).parents[4]
PROGRAM = (ROOT / "plugins/plugin_utils/board/board_program.sh").read_text()
CODE = "\n".join(line for line in PROGRAM.splitlines() if not line.lstrip().startswith("#"))


def test_every_key_that_it_says_is_in_the_table_and_no_other() -> None:
    said = {
        first or second
        for first, second in re.findall(r'\bsay(?:_each_line|_each_line_of|_octets)? (?:"([^"]+)"|([a-z-]+))', CODE)
    }
    said.discard("$1")  # those functions themselves
    patterns = {"head-$copy-$name": {"head-COPY-FILE"}, "utility$question": {f"utility{each}" for each in questions()}}
    assert set().union(*(patterns.get(key, {key}) for key in said)) == set(ANSWERS)


def questions() -> set[str]:
    """What the utility is asked in an inspection."""
    return set(re.findall(r"question=(--[a-z-]+)", CODE))


def test_every_reason_that_it_gives_is_in_the_table_and_no_other() -> None:
    assert set(re.findall(r"\bfail(?:_of_utility)? ([a-z][a-z-]+)", CODE)) == set(PROGRAM_REASONS)


def test_every_warning_is_something_that_it_says() -> None:
    for key, value in BOARD_WARNINGS:
        assert f"say {key} {value}" in CODE


def test_the_parser_reads_only_keys_of_the_table() -> None:
    source = Path(answers.__file__).read_text()
    assert set(re.findall(r'report\["([^"]+)"\]', source)) <= set(ANSWERS)


def test_the_page_lists_the_answers() -> None:
    page = (ROOT / "docs/on-the-board.md").read_text()
    table = re.search(r"\| key \| value \|\n\|---\|---\|\n((?:\|.*\n)+)", page)
    assert table
    assert table[1].splitlines() == [f"| `{key}` | {value} |" for key, value in ANSWERS.items()]
