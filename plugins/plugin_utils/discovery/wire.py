# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets for multicast DNS, two for each interface and address family (RFC 6762).

The **group socket** sends from port 5353 and hears what is sent to the group. It is bound to the group's address and
not to port 5353 as such, so that it never gets the unicast datagrams of another daemon on this machine, such as avahi.
The **one-shot socket** has a port of its own. Who answers a question from it does so by unicast (section 6.7), and at
once, though it told the group the same less than a second ago (section 6), which makes it the way to those whose
answer was lost or that somebody else asked a moment ago.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, cast

from ..errors import PelionError
from .links import Link

PORT = 5353
GROUPS = {4: "224.0.0.251", 6: "ff02::fb"}

# A thousand boards answer within a tenth of a second, in several datagrams each, over both families. The kernel grants
# this much to root, others get what net.core.rmem_max allows.
_BUFFER = 16 << 20
_LARGEST = 9000
_AT_A_TIME = 4096

# Linux' numbers of what Python has no names for (include/uapi/asm-generic/socket.h, linux/in.h, linux/in6.h).
_SO_RCVBUFFORCE = 33
_SO_MEMINFO, _MEMINFO_DROPS = 55, 8
_IP_MULTICAST_ALL = 49
_IP_RECVTTL, _IP_TTL = 12, 2


@dataclass(frozen=True)
class Datagram:
    """What came from ``sender``, an address without its scope, over ``link``."""

    link: Link
    sender: str
    data: bytes


@dataclass(frozen=True)
class _Channel:
    """A link in one address family."""

    link: Link
    version: int
    group: socket.socket
    one_shot: socket.socket

    @property
    def destination(self) -> tuple[str, int] | tuple[str, int, int, int]:
        return (GROUPS[4], PORT) if self.version == 4 else (GROUPS[6], PORT, 0, self.link.index)


class Wire:
    """The sockets of ``links`` in the address families ``versions`` (4, 6).

    Raises PelionError when none can be opened.
    """

    def __init__(self, links: Iterable[Link], versions: Sequence[int]) -> None:
        self._channels: list[_Channel] = []
        self._selector = selectors.DefaultSelector()
        problem = "no interface has an address of the families to use"
        for link in links:
            for version in versions:
                if link.has(version):
                    try:
                        self._open(link, version)
                    except OSError as error:
                        problem = f"{link.name}: {error}"
        if not self._channels:
            self.close()
            raise PelionError(f"Multicast DNS cannot be used on this machine: {problem}.")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self._selector.close()
        for channel in self._channels:
            channel.group.close()
            channel.one_shot.close()

    @property
    def links(self) -> tuple[Link, ...]:
        return tuple(dict.fromkeys(channel.link for channel in self._channels))

    @property
    def dropped(self) -> int:
        """How many datagrams the kernel threw away because a receive buffer was full; 0 where it does not tell."""
        return sum(_drops(each) for channel in self._channels for each in (channel.group, channel.one_shot))

    def send(self, link: Link, packets: Iterable[bytes], *, one_shot: bool) -> None:
        """Send ``packets`` to the group on ``link``, in each family."""
        packets = list(packets)
        for channel in self._channels:
            if channel.link == link:
                sender = channel.one_shot if one_shot else channel.group
                for packet in packets:
                    # An interface that just went down, or whose queue is full: as good as a lost question.
                    with contextlib.suppress(OSError):
                        sender.sendto(packet, channel.destination)

    def receive(self, seconds: float) -> Iterator[Datagram]:
        """What comes within ``seconds``, by the rules of who may answer.

        An answer comes from port 5353 (section 6). What was sent to the group came from this link; what came by
        unicast must be from an address of this link (section 11) and must not have passed a router.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) >= 0:
            # First empty the kernel's buffers, then work.
            waiting = [
                received
                for key, _events in self._selector.select(left)
                for received in _drain(cast(socket.socket, key.fileobj), key.data[0], by_unicast=key.data[1])
            ]
            yield from waiting

    def _open(self, link: Link, version: int) -> None:
        with contextlib.ExitStack() as undo:
            group = undo.enter_context(_socket(link, version))
            one_shot = undo.enter_context(_socket(link, version))
            _join(group, link, version)
            one_shot.bind(("", 0))
            self._selector.register(group, selectors.EVENT_READ, (link, False))
            self._selector.register(one_shot, selectors.EVENT_READ, (link, True))
            self._channels.append(_Channel(link, version, group, one_shot))
            undo.pop_all()


def _socket(link: Link, version: int) -> socket.socket:
    """A socket that sends to the group over ``link``."""
    opened = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    if version == 4:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _ip_mreqn("0.0.0.0", link))
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        opened.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link.index)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    return opened


def _join(group: socket.socket, link: Link, version: int) -> None:
    group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform != "linux":
        # BSD shares a port on this only. Linux makes one group of the sockets that have it, and hands what only one of
        # them should get to another one (udp_v4_early_demux finds the right one, inet_steal_sock chooses anew).
        group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if version == 4:
        if sys.platform == "linux":
            # What other sockets joined the group for on other interfaces is not for this one, from its first moment on.
            group.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        group.bind((GROUPS[4], PORT))
        group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _ip_mreqn(GROUPS[4], link))
    else:
        group.bind((GROUPS[6], PORT, 0, link.index))
        membership = socket.inet_pton(socket.AF_INET6, GROUPS[6]) + struct.pack("@I", link.index)
        group.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)


def _ip_mreqn(group: str, link: Link) -> bytes:
    return socket.inet_aton(group) + socket.inet_aton("0.0.0.0") + struct.pack("@i", link.index)


def _drain(opened: socket.socket, link: Link, *, by_unicast: bool) -> Iterator[Datagram]:
    for _chunk in range(_AT_A_TIME):
        try:
            data, ancillary, _flags, source = opened.recvmsg(_LARGEST, 64)
        except OSError:
            return
        sender = source[0].partition("%")[0]
        if source[1] != PORT or (by_unicast and not _from_link(sender, source, ancillary, link)):
            continue
        yield Datagram(link, sender, data)


def _from_link(sender: str, source: tuple[Any, ...], ancillary: list[tuple[int, int, bytes]], link: Link) -> bool:
    hops = [
        int.from_bytes(value[:4], sys.byteorder)
        for level, kind, value in ancillary
        if (level, kind) in ((socket.IPPROTO_IP, _IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT))
    ]
    if any(each != 255 for each in hops):
        return False
    return (len(source) < 4 or source[3] in (0, link.index)) and _is_on(sender, link)


@lru_cache(maxsize=4096)
def _is_on(sender: str, link: Link) -> bool:
    address = ip_address(sender)
    if address.version == 6 and address.is_link_local:
        return True
    return any(address in own.network for own in link.own if own.version == address.version)


def _drops(opened: socket.socket) -> int:
    try:
        memory = opened.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_MEMINFO_DROPS + 1))
    except OSError:
        return 0
    return struct.unpack_from("@I", memory, 4 * _MEMINFO_DROPS)[0] if len(memory) > 4 * _MEMINFO_DROPS else 0
