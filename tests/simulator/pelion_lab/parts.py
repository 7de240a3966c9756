# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a board's file system that all boards share: busybox, dropbear, avahi, and the lab's own programs.

Debian's packages are fetched and unpacked, not installed, so that no service starts on the user's machine. Made
once, as the user, below ``.build``; made again when a source changes.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from .errors import LabError
from .places import BOARD, BUILD

PACKAGES = ("busybox", "dropbear-bin", "openssh-client", "openssh-server", "avahi-daemon")
PACKAGE_DIRECTORY = BUILD / "parts"

_UTILITY_SOURCES = ("utility", "configured", "kcm")
_CLIENT_SOURCES = (
    *("cloud_client", "client_log", "lwm2m", "updates", "manifest", "link", "coap"),
    *("configured", "kcm", "lab_setting"),
)
_COMPILE = ("gcc", "-std=gnu11", "-O2", "-s", "-Wall", "-Wextra")


def prepare() -> Path:
    """Make what is missing and return the shared system's directory, named after what it was made from."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "parts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest = hashlib.sha256(Path(__file__).read_bytes())
        for source in sorted(BOARD.iterdir()):
            digest.update(source.name.encode() + source.read_bytes())
        system = BUILD / f"board-{digest.hexdigest()[:12]}"
        if not system.is_dir():
            draft = BUILD / "board.draft"
            shutil.rmtree(draft, ignore_errors=True)
            _fetch_packages()
            _assemble(draft)
            draft.rename(system)
        return system


def shared_libraries(program: Path) -> dict[str, Path]:
    """The libraries that a program loads, its interpreter included: the name that it asks for, and the file.

    Raises LabError when one can't be found on this machine.
    """
    environment = {**os.environ, "LD_LIBRARY_PATH": _library_path()}
    listed = subprocess.run(["ldd", program], env=environment, capture_output=True, text=True, check=False)
    if "not a dynamic executable" in listed.stdout + listed.stderr:
        return {}
    if listed.returncode != 0:
        raise LabError(f"{program} can't be run on this machine: ldd says: {listed.stderr.strip()}")
    libraries = {}
    for line in listed.stdout.splitlines():
        if match := re.match(r"\s*(\S+)(?: => (\S+))? \(0x", line):
            name, path = match[1], match[2] or match[1]
            if path.startswith("/"):
                libraries[name] = Path(path)
        elif match := re.match(r"\s*(\S+) => not found", line):
            raise LabError(f"{program} needs the library {match[1]}, which is not on this machine")
    return libraries


def add_libraries(system: Path, programs: Iterable[Path]) -> None:
    """Give a shared system the libraries that some programs load."""
    for program in programs:
        for name, library in shared_libraries(program).items():
            # An interpreter is asked for by its path, a library by its name.
            place = system / name.lstrip("/") if "/" in name else system / "lib" / name
            if not place.resolve().is_relative_to(system.resolve()):
                raise LabError(f"{program} wants {name}, for which a board has no place")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, place)


def compile_utility(program: Path) -> None:
    """Compile the stand-in for pelion-provisioning-util, for any root directory: it loads no library."""
    _compile(program, _UTILITY_SOURCES, ["-static", "-lmbedx509", "-lmbedcrypto"])


@functools.cache
def dropbear_tool(name: str) -> list[str]:
    """The start of a command line that runs one of dropbear's tools on this machine."""
    return ["env", f"LD_LIBRARY_PATH={_library_path()}", str(_unpacked(name))]


def _library_path() -> str:
    return ":".join(str(path.parent) for path in sorted(PACKAGE_DIRECTORY.rglob("*.so.*")))


def _unpacked(name: str) -> Path:
    for path in sorted(PACKAGE_DIRECTORY.rglob(name)):
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise LabError(f"none of the packages {', '.join(PACKAGES)} holds {name}")


def _fetch_packages() -> None:
    """Download and unpack the packages, and those libraries of theirs that this machine does not have."""
    PACKAGE_DIRECTORY.mkdir(exist_ok=True)
    fetched: set[str] = set()
    wanted = list(PACKAGES)
    while wanted:
        dependencies = []
        for package in wanted:
            fetched.add(package)
            try:
                archive = _fetch(package)
            except LabError:
                # A dependency may go by a name that no package has. What is missing in the end is noticed later.
                if package in PACKAGES:
                    raise
                continue
            subprocess.run(["dpkg", "-x", archive, PACKAGE_DIRECTORY], check=True)
            fields = subprocess.run(["dpkg-deb", "-f", archive, "Depends"], capture_output=True, text=True, check=True)
            dependencies += re.findall(r"(?:^|[,|])\s*(lib[^\s,|(:]+)", fields.stdout)
        wanted = [name for name in dict.fromkeys(dependencies) if name not in fetched and not _is_installed(name)]


def _is_installed(package: str) -> bool:
    query = ["dpkg-query", "-W", "-f=${db:Status-Status}\n", package]
    return "installed" in subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()


def _fetch(package: str) -> Path:
    archives = PACKAGE_DIRECTORY / "archives"
    archives.mkdir(exist_ok=True)
    if not (found := sorted(archives.glob(f"{package}_*.deb"))):
        # Apt's own user may not be able to write here.
        options = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
        download = ["apt-get", "-q", *options, "download", package]
        answer = subprocess.run(download, cwd=archives, capture_output=True, text=True, check=False)
        found = sorted(archives.glob(f"{package}_*.deb"))
        if answer.returncode != 0 or not found:
            raise LabError(
                f"apt-get can't download the package {package} (is the list of packages up to date? try: "
                f"sudo apt-get update):\n{answer.stderr.strip()}"
            )
    return found[-1]


def _assemble(system: Path) -> None:
    for directory in ("bin", "sbin", "lib", "lib64", "usr/bin", "usr/sbin", "usr/lib/openssh"):
        (system / directory).mkdir(parents=True)
    programs = [
        system / name
        for name in ("bin/busybox", "usr/bin/scp", "usr/sbin/dropbear", "usr/sbin/sshd", "usr/sbin/avahi-daemon")
    ]
    # Newer releases of OpenSSH's server are of several programs.
    parts = sorted((PACKAGE_DIRECTORY / "usr/lib/openssh").glob("sshd-*"))
    programs += [system / "usr/lib/openssh" / path.name for path in parts]
    for program in programs:
        shutil.copy(_unpacked(program.name), program)
    _link_applets(system)
    shutil.copy(BOARD / "systemctl", system / "usr/bin/systemctl")
    for script in ("login-shell", "ssh-server"):
        shutil.copy(BOARD / script, system / f"usr/lib/lab-{script}")
    arm = system / "opt/arm"
    arm.mkdir(parents=True)
    compile_utility(arm / "pelion-provisioning-util")
    _compile(system / "usr/lib/lab-enter-root", ["enter_root"], ["-static"])
    libraries = ["-lmbedtls", "-lmbedx509", "-lmbedcrypto"]
    _compile(arm / "mbl-cloud-client", _CLIENT_SOURCES, ["-Wl,-Bstatic", *libraries, "-Wl,-Bdynamic"])
    add_libraries(system, [*programs, arm / "mbl-cloud-client"])


def _link_applets(system: Path) -> None:
    listed = subprocess.run([system / "bin/busybox", "--list-full"], capture_output=True, text=True, check=True)
    places = {Path(line).name: line for line in listed.stdout.split()}
    text = re.sub(r"(?m)^#.*", "", (BOARD / "applets").read_text())
    for applet in text.split():
        if applet in places:
            (system / places[applet]).symlink_to("/bin/busybox")


def _compile(program: Path, sources: Iterable[str], libraries: list[str]) -> None:
    files = [BOARD / f"{source}.c" for source in sources]
    answer = subprocess.run([*_COMPILE, "-o", program, *files, *libraries], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise LabError(f"{program.name} can't be compiled:\n{answer.stderr.strip()}")
