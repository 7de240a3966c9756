# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests of all kinds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cloud import Cloud


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """A running Device Management service of this test's own, on loopback; see cloud.Cloud."""
    with Cloud() as running:
        yield running
