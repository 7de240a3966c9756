# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/architecture.md names the rooms that there are, in their order."""

from __future__ import annotations

import re
from pathlib import Path

from test_rooms import FOR_ALL, HOUSE, ORDER

PAGE = (Path(__file__).parents[2] / "docs/architecture.md").read_text()


def first_column(head: str) -> tuple[str, ...]:
    """The names in the first column of the page's table under ``head``."""
    rows = PAGE.split(f"\n| {head} | ", 1)[1].split("\n\n", 1)[0]
    return tuple(re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE))


def test_the_rooms_are_the_ones_that_are_checked() -> None:
    assert first_column("room") == ORDER


def test_the_modules_beside_the_rooms_are_the_ones_that_are_checked() -> None:
    assert set(first_column("module")) == FOR_ALL


def test_the_files_that_the_page_names_exist() -> None:
    named = re.findall(r"`(\w+/\w+\.(?:py|sh))`", PAGE)
    assert named
    for name in named:
        assert (HOUSE / name).is_file(), name
