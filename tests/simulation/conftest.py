# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of this directory's tests; see docs/simulation.md."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="play the schedule of this seed alone, and tell its shortest history")
    parser.addoption("--seconds", type=float, default=20, help="for how long schedules of new seeds are played")
