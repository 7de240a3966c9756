# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's networks: a bridge for each site in the controller's network namespace, and a cable to each board.

Sites have no network in common but the controller and the cloud. What is at site 2 hears nothing of site 1.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from .board import Board, ipv4_start
from .errors import LabError

# The end of boards and of sites' controllers.
INTERFACE = "eth0"
IPV4_PREFIX = 16
# Where boards and sites' controllers reach the cloud over IPv6; each has a route to it (see device/boot and _PLUG_IN).
# Its link-local address would not do: /etc/hosts, where boards look names up, has no place for a scope.
CLOUD_IPV6 = "fd6c:6162::1"


# A namespace says its process id, waits for its interface, and stays as long as its process.
_PLUG_IN = f"""
read -r pid _ </proc/self/stat; echo "$pid"; read -r address
echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6
echo 0 >/proc/sys/net/ipv6/conf/{INTERFACE}/accept_dad
ip -batch - <<END || exit
link set lo up
link set {INTERFACE} up
address add $address dev {INTERFACE}
route add {CLOUD_IPV6} dev {INTERFACE}
END
echo ready
exec sleep infinity
"""


def interface(site: int) -> str:
    """The controller's end at a site (from 1), as it shows in the scope of the boards' addresses: fe80::…%lab0"""
    return f"lab{site - 1}"


class Network:
    """The networks of the lab that the two bytes LAB tell from others. For the namespace of the calling process."""

    def __init__(self, lab: bytes, sites: int) -> None:
        self._lab = lab
        self._sites = range(1, sites + 1)

    def ipv4(self, site: int) -> str:
        """The controller's, and the cloud's, address at a site."""
        return f"{ipv4_start(self._lab, site)}.0.1"

    def create(self) -> None:
        for name in ("all", "default"):
            settings = Path("/proc/sys/net/ipv6/conf", name)
            (settings / "disable_ipv6").write_text("0")
            # Nobody else is here: addresses need not be tried out for a second before they may be used.
            (settings / "accept_dad").write_text("0")
        lines = ["link set lo up"]
        for site in self._sites:
            bridge = interface(site)
            lines += [
                f"link add {bridge} address {self._mac(site, 1)} type bridge mcast_snooping 0",
                f"address add {self.ipv4(site)}/{IPV4_PREFIX} dev {bridge}",
                f"address add {CLOUD_IPV6}/128 dev {bridge}",
                f"link set {bridge} up",
            ]
        _ip(*lines)

    def settle(self, site: int) -> int:
        """Make the place of a site's own controller, which sees that site only; an id of the process that keeps it."""
        keeper = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", _PLUG_IN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert keeper.stdin is not None and keeper.stdout is not None
        process = int(keeper.stdout.readline())
        end = f"site{site}"
        _ip(
            f"link add {end} type veth peer name {INTERFACE} address {self._mac(site, 2)} netns {process}",
            f"link set {end} master {interface(site)} up",
        )
        keeper.stdin.write(f"{ipv4_start(self._lab, site)}.0.2/{IPV4_PREFIX}\n")
        keeper.stdin.close()
        if not keeper.stdout.readline():
            raise LabError(f"the controller's place at site {site} cannot be made")
        return process

    def connect(self, boards: Iterable[tuple[Board, int]]) -> None:
        """Give boards, named with a process id of each, their network interface ``eth0``. Raises LabError."""
        leave, lines = [], []
        for board, process in boards:
            # A name is 15 letters at most: that of the board does not fit.
            end = "port" + board.mac.replace(":", "")[6:]
            leave.append(f"link delete {end}")
            lines += [
                f"link add {end} type veth peer name {INTERFACE} address {board.mac} netns {process}",
                f"link set {end} master {interface(board.site)} up",
            ]
        # The kernel takes the network of a board that has ended apart in its own time.
        text = "\n".join(leave) + "\n"
        subprocess.run(["ip", "-force", "-batch", "-"], input=text, text=True, capture_output=True, check=False)
        _ip(*lines)

    def _mac(self, site: int, end: int) -> str:
        return bytes([0x02, *self._lab, 0x00, site, end]).hex(":")


def _ip(*lines: str) -> None:
    text = "\n".join(lines) + "\n"
    answer = subprocess.run(["ip", "-batch", "-"], input=text, text=True, capture_output=True, check=False)
    if answer.returncode != 0:
        raise LabError(f"the network: {answer.stderr.strip()}")
