# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's programs compile without a warning here; on a user's machine, whose compiler may warn of more, with any."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pelion_lab.places import BOARD


@pytest.mark.parametrize("source", sorted(BOARD.glob("*.c")), ids=lambda path: path.name)
def test_no_warning(source: Path) -> None:
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", *flags, "-c", source, "-o", "/dev/null"], check=True)
