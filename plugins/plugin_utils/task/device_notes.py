# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say what the Device Directory notes about a device, and the notes that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTE_ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str"},
    "description": {"type": "str"},
    "custom_attributes": {"type": "dict"},
    "groups": {"type": "list", "elements": "str"},
}


def notes_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that ``options`` give, as arguments of cloud/device_changes.py, Wish."""
    return {note: options[note] for note in NOTE_ARGUMENTS if options.get(note) is not None}
