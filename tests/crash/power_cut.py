# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts, numbered: what a disk holds when the power goes before each system call that writes.

A disk is an image file with an ext4, mounted through a loop device. A command is stopped before every such call
(stop_at_writes.c), and the image is copied: what the file system has not handed to its device by then is not in it.
The copy, mounted, replays its journal as after a power cut.

What a file system hands to its device by itself, at any time, is for the seed to decide: see ``Mood``.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import random
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HERE = Path(__file__).parent
_libc = ctypes.CDLL(None)
BYTES = 4 << 20
TIMEOUT = 120
"""Seconds after which a command is taken for hung."""

Files = Mapping[str, str]
"""What a disk holds: the path of each file with the SHA-256 of its content, of each directory with ``/``."""


@dataclass(frozen=True)
class Mood:
    """What a file system does on its own before the power goes, at each stop: ``nothing``; ``commit`` its journal, as
    every few seconds, which keeps names but not the data of files that nobody synced; or ``sync`` everything. A number
    is the seed of a random choice among the three."""

    name: str

    def choices(self) -> Iterator[str]:
        random_ = random.Random(self.name)
        while True:
            yield random_.choice(("nothing", "nothing", "commit", "sync")) if self.name.isdigit() else self.name


@dataclass(frozen=True)
class Stop:
    """The state of a disk at a stop. ``number`` counts from 1, ``call`` is the system call that was not done."""

    number: int
    call: str
    files: Files
    image: bytes = field(repr=False)  # compressed

    def describe(self) -> str:
        return f"cut {self.number}, before `{self.call}`: {self.files}"


class Disk:
    """A file system in an image file below ``directory``, mounted at ``mount`` while ``mounted()``."""

    def __init__(self, directory: Path, mount: Path, image: bytes | None = None) -> None:
        self.mount = mount
        self._look = directory / "look"
        for place in (mount, self._look):
            place.mkdir(parents=True)
        # In memory: a commit of the journal at each stop would keep a real disk busy.
        self._memory = tempfile.TemporaryDirectory(dir="/dev/shm", prefix="power-cut-")
        self._image = Path(self._memory.name, "disk")
        if image is not None:
            _write_sparse(self._image, zlib.decompress(image))
            return
        with self._image.open("xb") as file:
            file.truncate(BYTES)
        complete = ["-E", "lazy_itable_init=0,lazy_journal_init=0"]  # nothing for the kernel to do in the background
        subprocess.run(["mke2fs", "-q", "-t", "ext4", *complete, self._image], check=True)

    @contextlib.contextmanager
    def mounted(self) -> Iterator[Path]:
        with _mounted(self._image, self.mount):
            yield self.mount

    def image(self) -> bytes:
        """What is on the device, compressed."""
        return zlib.compress(self.content(), 1)

    def content(self) -> bytes:
        """What is on the device at one moment: the kernel writes in its own time, so it is read until it rests."""
        content = self._image.read_bytes()
        while (again := self._image.read_bytes()) != content:
            content = again
        return content

    def stops(self, mood: Mood, run: Callable[[Callable[[str], None]], None], secrets: list[bytes]) -> list[Stop]:
        """The states at the stops of what ``run`` runs, which gets the function to be called at each, and after it.

        Fails when a secret is found anywhere on the disk, in a file or in what was one.
        """
        stops: list[Stop] = []
        choices = mood.choices()
        known = b""

        def at_stop(call: str) -> None:
            nonlocal known
            self._age(next(choices))
            content = self.content()
            if content == known:
                files, image = stops[-1].files, stops[-1].image
            else:
                known = content
                assert not any(secret in content for secret in secrets), f"a key is on the disk at cut {len(stops) + 1}"
                # A file of its own: the loop device of the last one may linger, and would be used again with its cache.
                copy = self._image.with_name(f"copy-{len(stops)}")
                _write_sparse(copy, content)
                with _mounted(copy, self._look):
                    files = read_files(self._look)
                copy.unlink()
                image = zlib.compress(content, 1)
            stops.append(Stop(len(stops) + 1, call, files, image))

        run(at_stop)
        at_stop("the end")
        return stops

    def _age(self, choice: str) -> None:
        if choice == "commit":
            # Any file's fsync commits the journal, with all names of all files.
            with (self.mount / "lost+found/commit").open("wb") as file:
                file.write(b"x")
                os.fsync(file.fileno())
        elif choice == "sync":
            directory = os.open(self.mount, os.O_RDONLY)
            _libc.syncfs(directory)
            os.close(directory)


def read_files(directory: Path) -> Files:
    files = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if not name.startswith("lost+found"):
            files[name] = "/" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
    return files


def _write_sparse(path: Path, content: bytes) -> None:
    empty = bytes(4096)
    with path.open("wb") as file:
        file.truncate(len(content))
        for at in range(0, len(content), 4096):
            if (block := content[at : at + 4096]) != empty:
                file.seek(at)
                file.write(block)


@contextlib.contextmanager
def _mounted(image: Path, place: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


@functools.cache
def _tracer() -> Path:
    program = Path(tempfile.mkdtemp(prefix="power-cut-")) / "stop-at-writes"
    warnings = ["-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", "-std=gnu11", "-O2", *warnings, "-o", program, HERE / "stop_at_writes.c"], check=True)
    return program


def run_stopping(
    command: list[str | Path], directory: Path, at_stop: Callable[[str], None], text: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a command with ``text`` as its input, and call ``at_stop`` before each write to the disk at ``directory``."""
    told, tell = os.pipe()
    ask, answer = os.pipe()
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out:
        given.write(text)
        given.seek(0)
        process = subprocess.Popen(
            [_tracer(), str(tell), str(ask), directory, *command],
            stdin=given,
            stdout=out,
            stderr=subprocess.STDOUT,
            pass_fds=(tell, ask),
        )
        os.close(tell)
        os.close(ask)
        try:
            with open(told, "rb") as lines:
                for line in lines:
                    at_stop(line.decode(errors="replace").strip())
                    os.write(answer, b"\n")
            process.wait(TIMEOUT)
        finally:
            os.close(answer)
            process.kill()
            process.wait()
        out.seek(0)
        return subprocess.CompletedProcess(command, process.returncode, out.read())


def requires_disks() -> pytest.MarkDecorator:
    """Root, and loop devices, which not every container has."""
    reason = None
    if os.geteuid() != 0:
        reason = "a disk can be mounted by root only"
    elif not Path("/dev/loop-control").exists():
        reason = "there are no loop devices on this machine"
    return pytest.mark.skipif(reason is not None, reason=reason or "")
