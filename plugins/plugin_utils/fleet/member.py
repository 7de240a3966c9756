# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board of the fleet, as the decision takes it."""

from __future__ import annotations

from dataclasses import dataclass

from ..board.inspection import Inspection
from .host_keys import NO_HOST_KEYS, HostKeys
from .identity import Sighting
from .roster import is_in
from .wishes import Wishes


@dataclass(frozen=True)
class Member:
    """A board of the fleet: its name, its wishes, what it was found to hold, and what is known of its ssh host key."""

    name: str
    wishes: Wishes
    board: Inspection
    host_keys: HostKeys = NO_HOST_KEYS

    @property
    def sighting(self) -> Sighting:
        """Whom its roster does not mean is nobody's board, so what it says takes no device from others."""
        roster, keys = self.wishes.roster, self.host_keys.fingerprints
        believed = roster is None or is_in(roster, self.name, keys)
        by_name = believed and self.board.bootstrapped
        return Sighting(self.name, keys, self.board.device_id if believed else None, by_name)

    @property
    def holds(self) -> str | None:
        """The fingerprint of its developer certificate."""
        held = self.board.developer_certificate
        return held["fingerprint"] if held else None
