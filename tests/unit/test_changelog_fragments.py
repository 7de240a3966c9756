# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changelog fragments are named as CONTRIBUTING.md says."""

from __future__ import annotations

import re
from pathlib import Path

FRAGMENTS = Path(__file__).parents[2] / "changelogs/fragments"


def test_fragments_are_called_by_their_issue_and_words() -> None:
    strange = [path.name for path in FRAGMENTS.iterdir() if not re.fullmatch(r"\d+(-[a-z0-9]+)+\.yml", path.name)]
    assert not strange, "call them NUMBER-words.yml, with the issue's number"
    padded = [path.name for path in FRAGMENTS.glob("0[0-9]*")]
    assert not padded, "numbers have no leading zeros"
