# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changelog fragments are named as CONTRIBUTING.md says."""

from __future__ import annotations

import re
from pathlib import Path

FRAGMENTS = Path(__file__).parents[2] / "changelogs/fragments"


def test_fragments_are_called_by_the_thing_that_they_are_about() -> None:
    strange = [path.name for path in FRAGMENTS.glob("*") if not re.fullmatch(r"[a-z]+(-[a-z]+)*\.yml", path.name)]
    assert not strange, "call them by words, without numbers"
