# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board whose /config/user is a disk: busybox as MBL has it, the utility's stand-in, and a client that writes what
Arm's writes to the KCM when it bootstraps. No network: the board's program is given to its shell."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from pelion_lab import parts
from power_cut import TIMEOUT, Disk, run_stopping

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm

OTHER_UTILITY = os.environ.get("PELION_PROVISIONING_UTIL")
UTILITY = "opt/arm/pelion-provisioning-util"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
IDENTITY = kcm.file_name(kcm.IDENTITY)
LWM2M_FILES = [kcm.file_name(name) for name in kcm.LWM2M_ITEMS]

CLIENT = f"""\
#!/bin/sh
say() {{ echo "$(date +%Y-%m-%dT%H:%M:%S+0000) [INFO][mbl ]: $1" >>/var/log/mbl-cloud-client.log; }}
(
    cd /config/user/pal/WORKING && [ -e 4iiZZ2xW ] || {{
        mkdir -p /config/user/pal/WORKING /config/user/pal/BACKUP
        say "Device not configured for mbed Cloud - exit"
        exit
    }}
    for name in {IDENTITY} {" ".join(LWM2M_FILES)}; do
        [ -e "$name" ] || sha256sum 4iiZZ2xW >"$name"
    done
    sync
    say "Client registered"
    say "Device Id: 0161dbbcdd660a580a010c3403c00001"
    while :; do sleep 1; done
) >/dev/null 2>&1 </dev/null &
"""

BOOT = """\
set -e
mount --make-rprivate /
mount --rbind "$PWD" "$PWD"
cd "$PWD"
for name in bin lib lib64 usr; do mount --bind "$1/$name" "$name"; done
for name in null zero random urandom; do mount --bind "/dev/$name" "dev/$name"; done
mount -t proc proc proc
mount -t tmpfs tmpfs run
exec chroot . /bin/sh -c 'echo up; while :; do sleep 1; done'
"""


class BoardOnDisk:
    """A board below ``directory`` that boots from ``image``, a disk's, or an empty one; on while ``booted()``."""

    def __init__(self, directory: Path, image: bytes | None = None) -> None:
        self._root = directory / "root"
        self.disk = Disk(directory / "disk", self._root / "config/user", image)
        self._system = parts.prepare()
        for name in ("bin", "lib", "lib64", "usr", "proc", "run", "dev", "scratch", "opt/arm", "var/log"):
            (self._root / name).mkdir(parents=True)
        for name in ("null", "zero", "random", "urandom"):
            (self._root / "dev" / name).touch()
        shutil.copy(OTHER_UTILITY or self._system / UTILITY, self._root / UTILITY)
        client = self._root / "opt/arm/mbl-cloud-client"
        client.write_text(CLIENT)
        client.chmod(0o755)

    @contextlib.contextmanager
    def booted(self) -> Iterator[BoardOnDisk]:
        with self.disk.mounted():
            command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", BOOT, "boot", self._system]
            first = subprocess.Popen(command, cwd=self._root, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
            try:
                assert first.stdout
                assert first.stdout.readline() == b"up\n"
                children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
                self._enter = ["nsenter", "--target", children[0], "--mount", "--pid", "--root", "--wd"]
                yield self
            finally:
                first.kill()
                first.wait()

    def run(self, program: str) -> str:
        """What the board's shell prints that gets ``program`` on its standard input."""
        command = [*self._enter, "/bin/sh"]
        ended = subprocess.run(
            command, input=program.encode(), capture_output=True, timeout=TIMEOUT, env={"PATH": PATH}, check=False
        )
        return ended.stdout.decode(errors="replace")

    def run_stopping(self, program: str, at_stop: Callable[[str], None]) -> str:
        command = ["env", "-i", f"PATH={PATH}", *self._enter, "/bin/sh"]
        return run_stopping(command, self.disk.mount, at_stop, program.encode()).stdout.decode(errors="replace")
