# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding MBL boards over multicast DNS.

MBL 0.7 and newer advertise `_ssh._tcp` through systemd-resolved with the TXT record `mblos` and the host name as
instance name; older releases do the same through avahi (meta-mbl, systemd-net-conf/ssh.dnssd).
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import PelionError
from ..libraries import Absent

try:
    import ifaddr
    from zeroconf import (
        BadTypeInNameException,
        DNSQuestionType,
        InterfaceChoice,
        IPVersion,
        ServiceStateChange,
        Zeroconf,
    )
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf
except ImportError:
    ifaddr = BadTypeInNameException = DNSQuestionType = InterfaceChoice = IPVersion = Absent("zeroconf")
    ServiceStateChange = Zeroconf = AsyncServiceBrowser = AsyncServiceInfo = Absent("zeroconf")
    AsyncZeroconf = Absent("zeroconf")


SERVICE_TYPE = "_ssh._tcp.local."
TXT_KEY = "mblos"

SETTLED = 2.0
"""Seconds without a new service after which the network has probably told all: queries go out at 0 and 1 s."""

_RESOLVE = 0.5
# A unicast answer may reach another daemon on this machine that shares the port, such as avahi.
_MULTICAST = DNSQuestionType.QM
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True)
class FoundBoard:
    """One board on one network interface.

    ``name`` is the instance name; ``addresses`` are in the order of preference, link-local ones with their
    scope (`fe80::1%eth0`); ``interface`` is the scope's name, None for a board without such an address.
    """

    name: str
    addresses: tuple[str, ...]
    port: int
    interface: str | None


@dataclass(frozen=True)
class Discovery:
    """``boards``; ``shared_names`` that were seen on several interfaces; ``refused``: texts on what called itself a
    board but cannot be used.
    """

    boards: tuple[FoundBoard, ...]
    shared_names: tuple[str, ...]
    refused: tuple[str, ...]


def discover(timeout: float, interfaces: Sequence[str] = (), *, prefer_ipv4: bool = False) -> Discovery:
    """Ask the network for boards, for at most ``timeout`` seconds.

    ``interfaces`` are names of network interfaces, none meaning all. Raises PelionError for an interface that
    does not exist or when multicast DNS cannot be used here.
    """
    try:
        services = asyncio.run(_browse(timeout, _interface_choice(interfaces)))
    except (OSError, RuntimeError) as error:
        raise PelionError(f"Multicast DNS cannot be used on this machine: {error}") from error
    return select(services, prefer_ipv4=prefer_ipv4)


def select(services: Iterable[AsyncServiceInfo], *, prefer_ipv4: bool = False) -> Discovery:
    """The boards among resolved ``services``. What they say is anybody's to choose, so names are checked."""
    boards: list[FoundBoard] = []
    shared_names: list[str] = []
    refused: list[str] = []
    for service in sorted(services, key=lambda service: service.name):
        if TXT_KEY.encode() not in service.properties:
            continue
        name = service.get_name()
        addresses = [address for address in service.parsed_scoped_addresses(IPVersion.All) if _usable(address)]
        if not _SAFE_NAME.fullmatch(name):
            refused.append(f"a service whose name is no host name: {name!r}")
        elif not addresses or not service.port:
            refused.append(f"{name}, which did not tell an address that can be reached")
        else:
            found = _boards(name, service.port, addresses, prefer_ipv4=prefer_ipv4)
            boards.extend(found)
            if len(found) > 1:
                shared_names.append(name)
    return Discovery(tuple(boards), tuple(shared_names), tuple(refused))


def _boards(name: str, port: int, addresses: Sequence[str], *, prefer_ipv4: bool) -> list[FoundBoard]:
    """One board, or one for each interface on which that name was seen with a link-local address.

    Boards choose one of 10,000 names at random, and those on links of their own (USB) do not see each other,
    so two boards of one name are more likely than one board on two links.
    """
    by_interface: dict[str, list[str]] = {}
    others = []
    for address in addresses:
        scope = ipaddress.ip_address(address).scope_id if ":" in address else None
        if scope:
            interface = _interface_name(scope)
            by_interface.setdefault(interface, []).append(f"{address.partition('%')[0]}%{interface}")
        else:
            others.append(address)

    def in_order(found: list[str]) -> tuple[str, ...]:
        return tuple(sorted(found, key=lambda address: (":" in address) == prefer_ipv4))

    if len(by_interface) <= 1:
        interface, link_local = next(iter(by_interface.items()), (None, []))
        return [FoundBoard(name, in_order(link_local + others), port, interface)]
    return [
        FoundBoard(f"{name}-{interface}", tuple(found), port, interface)
        for interface, found in sorted(by_interface.items())
    ]


async def _browse(timeout: float, interfaces: InterfaceChoice | list[str | int]) -> list[AsyncServiceInfo]:
    loop = asyncio.get_running_loop()
    names: set[str] = set()
    last_news = loop.time()

    def on_change(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        nonlocal last_news
        if state_change is not ServiceStateChange.Removed and name not in names and _well_formed(name):
            names.add(name)
            last_news = loop.time()

    resolved: dict[str, AsyncServiceInfo] = {}
    end = loop.time() + timeout
    async with AsyncZeroconf(interfaces=interfaces, ip_version=IPVersion.All) as zeroconf:
        async with AsyncServiceBrowser(zeroconf.zeroconf, SERVICE_TYPE, [on_change], question_type=_MULTICAST):
            while loop.time() < end:
                waiting = [AsyncServiceInfo(SERVICE_TYPE, name) for name in names - resolved.keys()]
                if not waiting and loop.time() - last_news > SETTLED:
                    break
                # Many answers at once overflow the receive buffer, so those that are missing are asked for again.
                answers = await asyncio.gather(
                    *(service.async_request(zeroconf.zeroconf, _RESOLVE * 1000, _MULTICAST) for service in waiting)
                )
                resolved |= {
                    service.name: service for service, complete in zip(waiting, answers, strict=True) if complete
                }
                await asyncio.sleep(0.05)
        # A service counts as resolved with one address; its others may have come since.
        for service in resolved.values():
            service.load_from_cache(zeroconf.zeroconf)
    return [*resolved.values(), *(AsyncServiceInfo(SERVICE_TYPE, name) for name in names - resolved.keys())]


def _interface_choice(names: Sequence[str]) -> InterfaceChoice | list[str | int]:
    if not names:
        return InterfaceChoice.All
    adapters = {adapter.nice_name: adapter for adapter in ifaddr.get_adapters()}
    choice: list[str | int] = []
    for name in names:
        if name not in adapters:
            raise PelionError(f"There is no network interface {name!r}; there are {', '.join(sorted(adapters))}.")
        addresses = adapters[name].ips
        choice += [address.ip for address in addresses if address.is_IPv4]
        if any(address.is_IPv6 for address in addresses):
            choice.append(socket.if_nametoindex(name))
    return choice


def _interface_name(scope: str) -> str:
    try:
        return socket.if_indextoname(int(scope))
    except (OSError, ValueError):
        return scope


def _well_formed(name: str) -> bool:
    try:
        AsyncServiceInfo(SERVICE_TYPE, name)
    except BadTypeInNameException:
        return False
    return True


def _usable(address: str) -> bool:
    """A link-local IPv6 address without its scope reaches nothing."""
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_unspecified or parsed.is_multicast) and not (
        parsed.version == 6 and parsed.is_link_local and not parsed.scope_id
    )
