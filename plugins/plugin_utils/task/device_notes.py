# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say what the Device Directory notes about a device; see cloud/device_changes.py, DeviceNotes."""

from __future__ import annotations

from typing import Any

NOTE_ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str"},
    "description": {"type": "str"},
    "custom_attributes": {"type": "dict"},
    "groups": {"type": "list", "elements": "str"},
}
