# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of what was cut, at the end of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

_rows: list[str] = []


@pytest.fixture
def tell_row() -> Callable[[str, str, Sequence[str]], None]:
    """``tell_row(work, mood, verdicts)`` adds a line: how many cuts there were, and how many left what."""

    def tell(work: str, mood: str, verdicts: Sequence[str]) -> None:
        found = ", ".join(f"{verdict} {count}" for verdict, count in Counter(verdicts).items())
        _rows.append(f"{work:50} {mood:8} {len(verdicts):5}  {found}")

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _rows:
        terminalreporter.section("power cuts")
        terminalreporter.line(f"{'WORK':50} {'MOOD':8} {'CUTS':>5}  LEFT")
        for row in _rows:
            terminalreporter.line(row)
