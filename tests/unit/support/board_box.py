# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board without a lab: busybox as MBL has it, the utility's stand-in, and a client that does what a test says.

It has mounts and processes of its own, but no network, so the program that boards run can be tried within tenths of a
second, and broken off before each command that changes anything.
"""

from __future__ import annotations

import copy
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from credential_samples import ENDPOINT, a_certificate, a_key, developer_values, key_der, update_values
from pelion_lab import parts

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import Board
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import Items

DEVICE_ID = "0161dbbcdd660a580a010c3403c00001"
LOG = "var/log/mbl-cloud-client.log"
UTILITY = "opt/arm/pelion-provisioning-util"
TIMEOUT = 60
"""Seconds after which a command is taken for hung."""

REGISTERS = f"""
for name in {" ".join(kcm.file_name(name) for name in (*kcm.LWM2M_ITEMS, kcm.IDENTITY))}; do
    [ -e "/config/user/pal/WORKING/$name" ] || echo "of the cloud" >"/config/user/pal/WORKING/$name"
done
say "Client registered"
say "Device Id: {DEVICE_ID}"
"""
"""What the client does at its start, a shell script; ``say`` writes a line to its log."""

LOCKING = """
start() { read -r stat </proc/$1/stat; set -- ${stat##*) }; shift 19; echo "$1"; }
identity() { echo "$(cat /proc/sys/kernel/random/boot_id):$1:$(start "$1")"; }
mkdir -p /run/pelion-mbl
"""
"""For scripts that take a lock on a board: ``identity`` is what it says of the process that holds it."""

TRACES = os.environ.get("PELION_TRACES")
"""The directory for what shells on boards run, with the line numbers (see `coverage` in tests/run)."""

_CLIENT = """\
#!/bin/sh
say() { echo "$(date +%Y-%m-%dT%H:%M:%S+0000) [INFO][mbl ]: $1" >>/var/log/mbl-cloud-client.log; }
if [ ! -s "/config/user/pal/WORKING/4iiZZ2xW" ]; then
    mkdir -p /config/user/pal/WORKING /config/user/pal/BACKUP
    say "Device not configured for mbed Cloud - exit"
    exit
fi
(
    . /opt/arm/behaviour
    while sleep 1; do :; done
) >/dev/null 2>&1 </dev/null &
"""

_BOOT = """\
set -e
mount --make-rprivate /
mount --bind "$PWD" "$PWD"
cd "$PWD"
for name in bin lib lib64 usr; do mount --bind "$1/$name" "$name"; done
for name in null zero random urandom; do mount --bind "/dev/$name" "dev/$name"; done
[ ! -d shims ] || mount --bind shims usr/sbin
mount -t proc proc proc
mount -t tmpfs tmpfs run
exec chroot . /bin/sh -c '
    /usr/bin/systemctl start mbl-cloud-client
    echo up
    exec 3<&0
    (read -r _ <&3; : >/run/off) &
    exec 3<&-
    while [ ! -e /run/off ]; do
        sleep 1
        [ $? != 127 ] || exit
    done'
"""
# It is up as long as its standard input is open, so that a test that is killed leaves nothing running.


# The commands by which the program changes anything. Before the one with the number in /cut, everything is killed.
_SHIMMED = ("mv", "rm", "cp", "mkdir", "rmdir", "mount", "umount", "sync", "dd", "systemctl", "ln")
_SHIM = """\
#!/bin/sh
read -r done </count
done=$((done + 1))
echo "$done" >/count
echo "$(basename "$0") $*" >>/commands
if [ "$done" = "$(cat /cut)" ]; then
    kill -9 -1
    exit 1
fi
exec {command} "$@"
"""


class BoardBox:
    """A board below the directory ``root``, which the test can look into while the board is off."""

    def __init__(self, root: Path) -> None:
        self.root = root
        system = parts.prepare()
        for name in ("bin", "lib", "lib64", "usr", "proc", "run", "dev", "tmp", "etc", "scratch", "opt/arm"):
            (root / name).mkdir(parents=True)
        for name in ("config/user", "var/log"):
            (root / name).mkdir(parents=True)
        for name in ("null", "zero", "random", "urandom"):
            (root / "dev" / name).touch()
        shutil.copy(system / UTILITY, root / UTILITY)
        (root / "opt/arm/mbl-cloud-client").write_text(_CLIENT)
        (root / "opt/arm/mbl-cloud-client").chmod(0o755)
        self.client(REGISTERS)
        self._system = system
        self._process: subprocess.Popen[str] | None = None
        self._tracer: list[str] = []

    def elsewhere(self, root: Path) -> BoardBox:
        """The board whose files are a copy of this one's, below ``root``."""
        other = copy.copy(self)
        other.root, other._process = root, None
        return other

    def moved(self, root: Path) -> BoardBox:
        self.root.rename(root)
        return self.elsewhere(root)

    def client(self, behaviour: str) -> None:
        (self.root / "opt/arm/behaviour").write_text(behaviour)

    def utility(self, on_provision: str, on_status: str = 'exec $genuine "$@"') -> None:
        """Let `--provision` do something else; ``$genuine`` is the stand-in."""
        program, genuine = self.root / UTILITY, self.root / "opt/arm/genuine"
        if not genuine.exists():
            program.rename(genuine)
        program.write_text(
            f'#!/bin/sh\ngenuine=/opt/arm/genuine\nif [ "$1" != --provision ]; then\n{on_status}\nfi\n{on_provision}\n'
        )
        program.chmod(0o755)

    def mend_utility(self) -> None:
        (self.root / "opt/arm/genuine").rename(self.root / UTILITY)

    def cannot_mount(self, kind: str) -> None:
        """Refuse mounts with this word in them, `bind` or `ramfs`, from the next boot on."""
        script = f'#!/bin/sh\ncase "$*" in *{kind}*) echo denied >&2; exit 1 ;; esac\nexec /bin/busybox mount "$@"\n'
        self._shim({"mount": script})

    def without(self, *commands: str) -> None:
        """Let ``commands`` fail, from the next boot on."""
        self._shim(dict.fromkeys(commands, "#!/bin/sh\nexit 1\n"))

    def replaced(self, command: str, script: str) -> None:
        """Let ``command`` be another one, at once."""
        self._shim({command: script})
        self.run("mount -o bind /shims /usr/sbin")

    def in_place(self, command: str) -> None:
        """Let ``command`` be itself again, at once."""
        (self.root / "shims" / command).unlink()

    def cut_before(self, number: int) -> None:
        """Kill everything before command ``number`` (from 1) of those that change anything, from the next boot on."""
        self.cut_next(number)
        places = {name: f"/bin/busybox {name}" for name in _SHIMMED} | {"systemctl": "/usr/bin/systemctl"}
        self._shim({name: _SHIM.replace("{command}", command) for name, command in places.items()})

    def cut_next(self, number: int) -> None:
        """Count from now on, on a board that was booted after ``cut_before``."""
        (self.root / "count").write_text("0\n")
        (self.root / "commands").write_text("")
        (self.root / "cut").write_text(f"{number}\n")

    def commands(self) -> list[str]:
        """Those that changed anything since the counting began; the last one of them was not run if it was cut."""
        return (self.root / "commands").read_text().splitlines()

    def once_read(self, words: str, then: str) -> None:
        """Do ``then``, a shell command, whenever ``words`` were read by `tail`; from the next boot on."""
        script = f"""#!/bin/sh
read=$(/bin/busybox tail "$@")
printf '%s\\n' "$read"
case $read in *'{words}'*) {then} ;; esac
"""
        self._shim({"tail": script})

    def _shim(self, scripts: dict[str, str]) -> None:
        directory = self.root / "shims"
        directory.mkdir(exist_ok=True)
        for name, script in scripts.items():
            (directory / name).write_text(script)
            (directory / name).chmod(0o755)

    def no_shims(self) -> None:
        shutil.rmtree(self.root / "shims", ignore_errors=True)

    def boot(self) -> BoardBox:
        mapping = [] if os.geteuid() == 0 else ["--map-root-user"]
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", *mapping, "sh", "-c", _BOOT, "boot"]
        self._process = subprocess.Popen(
            [*command, self._system], cwd=self.root, stdout=subprocess.PIPE, text=True, stdin=subprocess.PIPE
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == "up\n"
        return self

    def power_off(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(TIMEOUT)
            assert self._process.stdin and self._process.stdout
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None

    def reboot(self) -> BoardBox:
        self.power_off()
        return self.boot()

    def run(self, program: str, _seconds: float = TIMEOUT) -> str:
        """What `/bin/sh` prints that gets ``program`` on its standard input, as over ssh."""
        if TRACES:
            program = f"PS4='+$LINENO '; set -x; {program}"
        with self.open_shell() as shell:
            try:
                output, _errors = shell.communicate(program.encode(), TIMEOUT)
            except BaseException:
                self.power_off()  # else the end of the shell would be waited for without end
                raise
        return output.decode(errors="replace")

    @contextmanager
    def traced(self, trace: Path) -> Iterator[None]:
        """Within it, a line for each process that the board's shell and its children start goes into ``trace``.

        The end of all of them is waited for.
        """
        self._tracer = ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=fork,vfork,clone,clone3,execve"]
        try:
            yield
        finally:
            self._tracer = []

    def open_shell(self) -> subprocess.Popen[bytes]:
        """A `/bin/sh` on the board, that reads its standard input."""
        assert self._process
        first = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()[0]
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        with open(f"{TRACES}/{os.getpid()}" if TRACES else os.devnull, "ab") as errors:
            return subprocess.Popen(
                [*self._tracer, "nsenter", "--target", first, "--mount", "--pid", "--root", "--wd", *user, "/bin/sh"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def processes(self) -> list[str]:
        """The names (15 characters) of those that live; one that is dead may be in /proc for a while."""
        names = """awk '/^Name:/ { name = $2 } /^State:/ && $2 != "Z" { print name }' /proc/[0-9]*/status 2>/dev/null"""
        return self.run(names).split()

    def board(self, lock_timeout: int = 0, board_timeout: int = TIMEOUT, **options: Any) -> Board:
        return Board(self.run, lock_timeout=lock_timeout, board_timeout=board_timeout, **options)

    def files(self) -> list[str]:
        """What is in /config/user."""
        return sorted(os.listdir(self.root / "config/user"))

    def content(self, name: str = "pal") -> dict[str, bytes]:
        """The KCM's files, but for what utility and client write at any time."""
        directory = self.root / "config/user" / name
        return {
            str(file.relative_to(directory)): file.read_bytes()
            for file in sorted(directory.glob("*/*"))
            if file.name in {kcm.file_name(name) for name in kcm.FACTORY_ITEMS}
        }


def item_set(number: int) -> Items:
    """A good set of items; each number has other certificates and keys."""
    key, name = a_key(number=10 + number), f"{ENDPOINT[:-2]}{number:02d}"
    developer = developer_values(
        DEVICE_CERTIFICATE=a_certificate(name, key=key),
        PRIVATE_KEY=key_der(key),
        ENDPOINT_NAME=name.encode(),
        SERVER_CA=a_certificate("Bootstrap CA", None, key=a_key(number=100 + number)),
    )
    update = update_values() | {"arm_uc_default_certificate": a_certificate("update", None, key=a_key(number=number))}
    return Items.of(developer, update)
