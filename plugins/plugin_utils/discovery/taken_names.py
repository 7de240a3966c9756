# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that mean something in an inventory already: an announcement must not lead them astray."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class OtherHost(NamedTuple):
    """A host that another source of the inventory names, at ``address`` if it says so. ``is_board`` where the user has
    said that it is one of the boards."""

    name: str
    address: str | None
    is_board: bool


class TakenNames:
    """Those of ``hosts`` and their addresses, of ``groups``, and ``reserved`` ones. Capitals do not count."""

    def __init__(self, hosts: Iterable[OtherHost], groups: Iterable[str], reserved: Iterable[str]) -> None:
        self._hosts = {host.name.lower(): host for host in hosts}
        others = [host for host in self._hosts.values() if not host.is_board]
        self._taken = {host.name.lower() for host in others}
        self._taken |= {host.address.lower() for host in others if host.address}
        self._taken |= {name.lower() for name in (*groups, *reserved)}

    def spelling_of(self, name: str) -> str | None:
        """How the inventory writes the name of the board called ``name``; None when that means something else."""
        if name.lower() in self._taken:
            return None
        host = self._hosts.get(name.lower())
        return host.name if host else name
