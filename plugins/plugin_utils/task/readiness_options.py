# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of all modules that judge whether boards take updates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from ..fleet.readiness import LONGEST_ABSENCE_DAYS, Terms

TERMS_ARGUMENTS: dict[str, Any] = {
    "warn_days": {"type": "int", "default": 30},
    "longest_absence_days": {"type": "int", "default": LONGEST_ABSENCE_DAYS},
}


def terms_of(arguments: Mapping[str, Any], ahead: timedelta) -> Terms:
    """As of now; ``ahead`` is by how much this machine's clock is ahead of the cloud's."""
    return Terms(datetime.now(timezone.utc), ahead, arguments["warn_days"], arguments["longest_absence_days"])
