# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network interfaces of this machine, and which addresses lie on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import TYPE_CHECKING

from ..errors import PelionError
from ..libraries import Absent, is_installed

if TYPE_CHECKING or is_installed("zeroconf"):
    import ifaddr
else:
    ifaddr = Absent()


@dataclass(frozen=True)
class Link:
    """A network interface: its ``name``, the kernel's ``index``, and the addresses that this machine has there."""

    name: str
    index: int
    own: tuple[IPv4Interface | IPv6Interface, ...]

    def has(self, version: int) -> bool:
        return any(address.version == version for address in self.own)


def links() -> tuple[Link, ...]:
    """All interfaces of this machine that have an address."""
    return tuple(
        Link(adapter.nice_name, adapter.index, tuple(_interface(address) for address in adapter.ips))
        for adapter in ifaddr.get_adapters()
        if adapter.ips and adapter.index is not None
    )


def chosen(every: Sequence[Link], names: Sequence[str]) -> tuple[Link, ...]:
    """Those of ``every`` with these names; without names, all that lead out of this machine.

    Raises PelionError for a name that no interface with an address has.
    """
    by_name = {link.name: link for link in every}
    for name in names:
        if name not in by_name:
            raise PelionError(
                f"There is no network interface {name!r} with an address; there are {', '.join(sorted(by_name))}."
            )
    if names:
        return tuple(by_name[name] for name in dict.fromkeys(names))
    return tuple(link for link in every if not all(address.ip.is_loopback for address in link.own))


def _interface(address: ifaddr.IP) -> IPv4Interface | IPv6Interface:
    ip = address.ip if isinstance(address.ip, str) else address.ip[0]
    return ip_interface(f"{ip.partition('%')[0]}/{address.network_prefix}")
