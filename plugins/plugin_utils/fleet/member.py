# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board of the fleet, as the decision takes it."""

from __future__ import annotations

from dataclasses import dataclass

from ..board.inspection import Inspection
from .wishes import Wishes


@dataclass(frozen=True)
class Member:
    """A board of the fleet: its name, its wishes, what it was found to hold, and the ssh host keys compared for it."""

    name: str
    wishes: Wishes
    board: Inspection
    host_keys: tuple[str, ...] = ()

    @property
    def holds(self) -> str | None:
        """The fingerprint of its developer certificate."""
        held = self.board.developer_certificate
        return held["fingerprint"] if held else None
