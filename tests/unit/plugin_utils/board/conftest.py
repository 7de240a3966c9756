# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from board_box import BoardBox


@pytest.fixture
def box(tmp_path: Path) -> Iterator[BoardBox]:
    """A board that is up and holds nothing."""
    # Not above: what is imported before Ansible's own importer is at work, it does not find again.
    from board_box import BoardBox

    board = BoardBox(tmp_path / "board").boot()
    yield board
    board.power_off()
