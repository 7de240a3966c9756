# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which announced addresses can be those of a board that was heard on a link."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from .links import Link

Address = IPv4Address | IPv6Address

# The rest of fe80::/10 is not in use (RFC 4291 section 2.5.6).
_LINK_LOCAL = IPv6Network("fe80::/64")


def parse(text: str) -> tuple[Address, str | None]:
    """An address and its scope (`fe80::1%eth0`). Raises ValueError."""
    plain, _percent, scope = text.partition("%")
    return ip_address(plain), scope or None


def objection(address: Address, link: Link, every_link: Iterable[Link], *, allow_routed: bool) -> str | None:
    """Why ``address`` cannot be that of a board that was heard on ``link``; None when it can."""
    if address.version == 6 and (address.ipv4_mapped or address.sixtofour or address.teredo):
        return "an IPv4 address in IPv6's form"
    for is_so, what in (
        (address.is_loopback, "a loopback address"),
        (address.is_unspecified, "no address"),
        (address.is_multicast, "a multicast address"),
        (address.is_reserved, "a reserved address"),
    ):
        if is_so:
            return what
    networks = [own.network for own in link.own if own.version == address.version]
    if any(address == own.ip for each in every_link for own in each.own):
        return "an address of this machine"
    if address.version == 4:
        if address == IPv4Address("255.255.255.255") or int(address) >> 24 == 0:
            return "a reserved address"
        # A network of two addresses or one has no address for all.
        wide = [network for network in networks if network.prefixlen < 31]
        if any(address in (network.broadcast_address, network.network_address) for network in wide):
            return "the address of a whole network"
    elif address in _LINK_LOCAL:
        return None
    if not allow_routed and not any(address in network for network in networks):
        return f"not on a network of {link.name}"
    return None


def in_order(texts: Iterable[str], versions: tuple[int, ...]) -> tuple[str, ...]:
    """Addresses in the order of preference of their families, else as they are."""
    return tuple(sorted(texts, key=lambda text: versions.index(parse(text)[0].version)))
