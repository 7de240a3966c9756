# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board's own files before its first boot."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .board import Board
from .parts import dropbear_tool
from .places import BOARD

PASSWD = """\
root::0:0:root:/home/root:/usr/lib/lab-login-shell
avahi:*:999:999::/:/bin/false
sshd:*:998:998::/run/sshd:/bin/false
"""
CLOUD_NAMES = ("bootstrap.lab.pelion.test", "lwm2m.lab.pelion.test")


def make_root(
    board: Board, root: Path, system: Path, cloud_addresses: tuple[str, str], settings: Mapping[str, object]
) -> None:
    """Write a board's own files: as after flashing, with its host key, not provisioned.

    ``cloud_addresses`` are the IPv4 and the IPv6 address under which the cloud is reached. ``settings`` are for the
    lab's own cloud client, see README.md.
    """
    for directory in (
        *("bin", "sbin", "lib", "lib64", "usr", "proc", "dev", "run", "mnt", "sys"),
        *("etc/avahi/services", "etc/lab", "opt/arm", "scratch", "config/user/dropbear", "config/factory"),
        *("var/log", "var/lib", "home/root"),
    ):
        (root / directory).mkdir(parents=True)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "var/run").symlink_to("/run")
    (root / "var/tmp").symlink_to("/tmp")

    address = cloud_addresses[0] if board.ipv4 else cloud_addresses[1]
    files = {
        "etc/passwd": PASSWD,
        "etc/group": "root:x:0:\navahi:x:999:\nsshd:x:998:\n",
        "etc/shells": "/bin/sh\n/usr/lib/lab-login-shell\n",
        "etc/nsswitch.conf": "hosts: files\n",
        "etc/hosts": f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {board.name}\n{address} {' '.join(CLOUD_NAMES)}\n",
        "etc/hostname": f"{board.name}\n",
        **{f"etc/lab/{name}": f"{setting}\n" for name, setting in settings.items()},
        "config/user/hostname": f"{board.name}\n",
        "etc/profile": "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nPS1='\\u@\\h:\\w# '\nexport PATH PS1\n",
        "etc/inittab": (BOARD / "inittab").read_text(),
        "etc/avahi/avahi-daemon.conf": (BOARD / "avahi-daemon.conf").read_text(),
        "etc/avahi/services/ssh.service": (BOARD / "ssh.service").read_text(),
    }
    for name, content in files.items():
        (root / name).write_text(content)
    for program in (system / "opt/arm").iterdir():
        shutil.copy(program, root / "opt/arm" / program.name)
    openssh_key = root / "config/user/dropbear/openssh_rsa_host_key"
    _make_host_key(openssh_key)
    if board.sha1:
        (root / "etc/ssh").mkdir()
        shutil.copy(BOARD / "sshd_config", root / "etc/ssh/sshd_config")
        (root / "var/log/lastlog").touch()  # else the server complains to its clients
    else:
        dropbear_key = openssh_key.with_name("dropbear_rsa_host_key")
        convert = [*dropbear_tool("dropbearconvert"), "openssh", "dropbear", openssh_key, dropbear_key]
        subprocess.run(convert, capture_output=True, check=True)
        openssh_key.unlink()


def _make_host_key(place: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    place.touch(mode=0o600)
    place.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
