# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie."""

from __future__ import annotations

from pathlib import Path

SIMULATOR = Path(__file__).resolve().parents[1]
PROJECT = SIMULATOR.parents[1]
BOARD = SIMULATOR / "board"
BUILD = PROJECT / ".build"
VIRTUAL_ENVIRONMENT = PROJECT / ".venv"
EXECUTABLE = SIMULATOR / "lab"
DEFAULT_STATE = BUILD / "lab"
