# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One board: who it is."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

# A board's root is the machine's, but it shall not set the machine's clock, for example.
WITHHELD = "-sys_time,-sys_module,-sys_rawio,-syslog"


@dataclass(frozen=True)
class Board:
    """What a board is called and where it is reached. Addresses are without prefix length or scope."""

    name: str
    mac: str
    ipv6: str
    ipv4: str | None
    sha1: bool
    site: int

    @classmethod
    def numbered(cls, number: int, lab: bytes, *, sha1: bool, site: int = 1) -> Board:
        """Board NUMBER (from 1) of the lab that the two bytes LAB tell from others, at a site (from 1).

        MBL draws the number in a board's name, 0 to 9999 and not padded, at the first boot. Here it follows from the
        board's number: 7919 has no divisor in common with 10000, so no two boards are called the same.
        """
        mac = bytes([0x02, *lab, 0x01, *number.to_bytes(2, "big")])
        return cls(
            name=f"mbed-linux-os-{number * 7919 % 10000}",
            mac=mac.hex(":"),
            ipv6=link_local(mac),
            ipv4=f"{ipv4_start(lab, site)}.{1 + number // 250}.{1 + number % 250}" if number % 2 == 0 else None,
            sha1=sha1,
            site=site,
        )


def ipv4_start(lab: bytes, site: int) -> str:
    """What the IPv4 addresses at a site begin with."""
    return f"10.{(lab[0] + site - 1) % 256}"


def link_local(mac: bytes) -> str:
    """The IPv6 address that an interface gives itself (RFC 4291, appendix A)."""
    interface = bytes([mac[0] ^ 0x02, mac[1], mac[2], 0xFF, 0xFE, *mac[3:]])
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + interface))
