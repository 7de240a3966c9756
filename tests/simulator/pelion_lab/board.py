# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One board: who it is, and its files before its first boot."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .parts import dropbear_tool
from .places import DEVICE

CLOUD_NAMES = ("bootstrap.lab.pelion.test", "lwm2m.lab.pelion.test")


@dataclass(frozen=True)
class Board:
    """What a board is called and where it is reached. Addresses are without prefix length or scope."""

    name: str
    mac: str
    ipv6: str
    ipv4: str | None
    sha1: bool

    @classmethod
    def numbered(cls, number: int, lab: bytes, *, sha1: bool) -> Board:
        """Board NUMBER (from 1) of the lab that the two bytes LAB tell from others.

        MBL draws the number in a board's name, 0 to 9999 and not padded, at the first boot. Here it follows from the
        board's number: 7919 has no divisor in common with 10000, so no two boards are called the same.
        """
        mac = bytes([0x02, *lab, 0x01, *number.to_bytes(2, "big")])
        return cls(
            name=f"mbed-linux-os-{number * 7919 % 10000}",
            mac=mac.hex(":"),
            ipv6=link_local(mac),
            ipv4=f"10.{lab[0]}.{1 + number // 250}.{1 + number % 250}" if number % 2 == 0 else None,
            sha1=sha1,
        )


def link_local(mac: bytes) -> str:
    """The IPv6 address that an interface gives itself (RFC 4291, appendix A)."""
    interface = bytes([mac[0] ^ 0x02, mac[1], mac[2], 0xFF, 0xFE, *mac[3:]])
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + interface))


def make_root(board: Board, root: Path, system: Path, cloud_addresses: tuple[str, str]) -> None:
    """Write a board's own files: as after flashing, with its host key, not provisioned.

    ``cloud_addresses`` are the IPv4 and the IPv6 address under which the cloud is reached.
    """
    for directory in (
        *("bin", "sbin", "lib", "lib64", "usr", "proc", "dev", "run", "mnt", "sys"),
        *("etc/avahi/services", "opt/arm", "scratch", "config/user/dropbear", "config/factory"),
        *("var/log", "var/lib", "home/root"),
    ):
        (root / directory).mkdir(parents=True)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "var/run").symlink_to("/run")
    (root / "var/tmp").symlink_to("/tmp")

    address = cloud_addresses[0] if board.ipv4 else cloud_addresses[1]
    server = "/usr/sbin/dropbear-sha1" if board.sha1 else "/usr/sbin/dropbear"
    files = {
        "etc/passwd": "root::0:0:root:/home/root:/usr/lib/lab-login-shell\navahi:*:999:999::/:/bin/false\n",
        "etc/group": "root:x:0:\navahi:x:999:\n",
        "etc/shells": "/bin/sh\n/usr/lib/lab-login-shell\n",
        "etc/nsswitch.conf": "hosts: files\n",
        "etc/hosts": f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {board.name}\n{address} {' '.join(CLOUD_NAMES)}\n",
        "etc/hostname": f"{board.name}\n",
        "config/user/hostname": f"{board.name}\n",
        "etc/profile": "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nPS1='\\u@\\h:\\w# '\nexport PATH PS1\n",
        "etc/inittab": (DEVICE / "inittab").read_text().replace("/usr/sbin/dropbear ", f"{server} "),
        "etc/avahi/avahi-daemon.conf": (DEVICE / "avahi-daemon.conf").read_text(),
        "etc/avahi/services/ssh.service": (DEVICE / "ssh.service").read_text(),
    }
    for name, content in files.items():
        (root / name).write_text(content)
    for program in (system / "opt/arm").iterdir():
        shutil.copy(program, root / "opt/arm" / program.name)
    _make_host_key(root / "config/user/dropbear/dropbear_rsa_host_key")


def _make_host_key(place: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    draft = place.with_suffix(".pem")
    draft.touch(mode=0o600)
    draft.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    convert = [*dropbear_tool("dropbearconvert"), "openssh", "dropbear", draft, place]
    subprocess.run(convert, capture_output=True, check=True)
    draft.unlink()
