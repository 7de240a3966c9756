# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's network: a bridge in the controller's network namespace, and a cable from it to each board."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from .board import Board
from .errors import LabError

# The controller's end, as it shows in the scope of the boards' addresses: fe80::…%lab0
INTERFACE = "lab0"
IPV4_PREFIX = 16
# Where boards reach the cloud over IPv6; each has a route to it (see device/boot). Its link-local address would not do:
# /etc/hosts, where boards look names up, has no place for a scope.
CLOUD_IPV6 = "fd6c:6162::1"


class Network:
    """The network of the lab that the two bytes LAB tell from others. For the namespace of the calling process."""

    def __init__(self, lab: bytes) -> None:
        mac = bytes([0x02, *lab, 0x00, 0x00, 0x01])
        self._mac = mac.hex(":")
        self.ipv4 = f"10.{lab[0]}.0.1"

    def create(self) -> None:
        for name in ("all", "default"):
            settings = Path("/proc/sys/net/ipv6/conf", name)
            (settings / "disable_ipv6").write_text("0")
            # Nobody else is here: addresses need not be tried out for a second before they may be used.
            (settings / "accept_dad").write_text("0")
        _ip(
            "link set lo up",
            f"link add {INTERFACE} address {self._mac} type bridge mcast_snooping 0",
            f"address add {self.ipv4}/{IPV4_PREFIX} dev {INTERFACE}",
            f"address add {CLOUD_IPV6}/128 dev {INTERFACE}",
            f"link set {INTERFACE} up",
        )

    def connect(self, boards: Iterable[tuple[Board, int]]) -> None:
        """Give boards, named with a process id of each, their network interface ``eth0``. Raises LabError."""
        leave, lines = [], []
        for board, process in boards:
            # A name is 15 letters at most: that of the board does not fit.
            end = "port" + board.mac.replace(":", "")[6:]
            leave.append(f"link delete {end}")
            lines += [
                f"link add {end} type veth peer name eth0 address {board.mac} netns {process}",
                f"link set {end} master {INTERFACE} up",
            ]
        # The kernel takes the network of a board that has ended apart in its own time.
        text = "\n".join(leave) + "\n"
        subprocess.run(["ip", "-force", "-batch", "-"], input=text, text=True, capture_output=True, check=False)
        _ip(*lines)


def _ip(*lines: str) -> None:
    text = "\n".join(lines) + "\n"
    answer = subprocess.run(["ip", "-batch", "-"], input=text, text=True, capture_output=True, check=False)
    if answer.returncode != 0:
        raise LabError(f"the network: {answer.stderr.strip()}")
