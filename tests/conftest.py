# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests of all kinds."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest
from cloud import Cloud
from hypothesis import HealthCheck, settings

# How busy the machine is decides no test.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """A running Device Management service of this test's own, on loopback; see cloud.Cloud."""
    with Cloud() as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How to run what failed by itself."""
    failed = {report.nodeid: None for kind in ("failed", "error") for report in terminalreporter.getreports(kind)}
    if failed:
        terminalreporter.section("run alone")
        for node in failed:
            terminalreporter.line(f".venv/bin/pytest {shlex.quote(node)}")
