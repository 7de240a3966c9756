# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of one entry of the team store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Outcome:
    """What was done, or in a dry run would be. Nothing but ``credentials`` holds a secret."""

    changed: bool = False
    source: str | None = None
    """Where the credentials came from: ``store``, ``cloud``, ``file``, or ``made`` now; None when there are none."""
    facts: dict[str, Any] = field(default_factory=dict)
    """JSON-able facts of them, for users."""
    before: dict[str, Any] = field(default_factory=dict)
    """With ``after``, for a diff."""
    after: dict[str, Any] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    credentials: Any = field(default=None, repr=False)
    """What the store has now (DeveloperCredentials, UpdateResources). None when that is nothing, or not known yet."""
