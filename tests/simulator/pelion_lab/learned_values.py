# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a utility stored in boards' KCMs, learned from what it was given.

Arm's own utility encrypts private keys and config items so that only its own software can read them, and the lab's
cloud client is not that. So the kernel tells when a board starts the utility (fanotify), what lies in its input
directory is noted before it runs, and the files that it left in the KCM are noted after it: the value that a file was
made from is remembered under the file's digest. A KCM that is put back from a copy is understood too. The values are
kept in this process only.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import select
import socket
import struct
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError
from .kcm_files import DIRECTORIES, INPUT_DIRECTORY, ITEM_FILES, KCM, USE_BOOTSTRAP, USER_DIRECTORY
from .record import VALUES_SOCKET

_libc = ctypes.CDLL(None, use_errno=True)

# From linux/fanotify.h
_FAN_CLASS_CONTENT, _FAN_CLOEXEC, _FAN_NONBLOCK = 0x4, 0x1, 0x2
_FAN_MARK_ADD, _FAN_OPEN_EXEC_PERM, _FAN_ALLOW = 0x1, 0x40000, 0x1
_EVENT, _RESPONSE = struct.Struct("=IBBHQii"), struct.Struct("=iI")
_AT_FDCWD = -100

# From linux/openat2.h; the number is the same on all architectures.
_SYS_OPENAT2, _RESOLVE_IN_ROOT = 437, 0x10


@dataclass
class _Run:
    """A utility that runs: its inputs, and the KCM's files that were there before it."""

    root: int
    inputs: dict[str, bytes]
    before: set[bytes]


class LearnedValues:
    """The values, and the socket where boards ask for them. Raises LabError when the kernel can't help."""

    def __init__(self, state: Path) -> None:
        self._values: dict[bytes, bytes] = {}
        self._runs: dict[int, _Run] = {}
        self._events = _libc.fanotify_init(_FAN_CLASS_CONTENT | _FAN_CLOEXEC | _FAN_NONBLOCK, os.O_RDONLY)
        if self._events < 0:
            raise LabError(f"--util needs fanotify: {os.strerror(ctypes.get_errno())}")
        self.socket = state / VALUES_SOCKET
        self._listener = socket.socket(socket.AF_UNIX)
        # By a short name: the length of that of a socket is limited.
        directory = os.open(state, os.O_PATH)
        self._listener.bind(f"/proc/self/fd/{directory}/{VALUES_SOCKET}")
        os.close(directory)
        self._listener.listen(64)
        threading.Thread(target=self._serve_or_end, daemon=True).start()

    def watch(self, utility: Path) -> None:
        """Learn from each run of a file that is executed."""
        mask = ctypes.c_uint64(_FAN_OPEN_EXEC_PERM)
        if _libc.fanotify_mark(self._events, _FAN_MARK_ADD, mask, _AT_FDCWD, os.fsencode(utility)) != 0:
            raise LabError(f"--util needs fanotify's exec events: {os.strerror(ctypes.get_errno())}")

    def _serve_or_end(self) -> None:
        """Without an answer no board could start the utility: better that the lab ends."""
        try:
            self._serve()
        finally:
            traceback.print_exc()
            os._exit(1)

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._events, select.POLLIN)
        poll.register(self._listener, select.POLLIN)
        while True:
            for descriptor, _unused in poll.poll():
                if descriptor == self._events:
                    for process in self._begin_runs():
                        poll.register(process, select.POLLIN)
                elif descriptor == self._listener.fileno():
                    with contextlib.suppress(OSError):
                        self._answer(poll)
                elif descriptor in self._runs:
                    self._end_run(poll, descriptor)

    def _begin_runs(self) -> Iterator[int]:
        """Process descriptors of the utilities that were started. None of them runs before it is looked after."""
        events = os.read(self._events, 4096)
        for *_rest, file, process in _EVENT.iter_unpack(events):
            try:
                with contextlib.suppress(OSError):  # the process may have been killed
                    root = os.open(f"/proc/{process}/root", os.O_PATH | os.O_DIRECTORY)
                    handle = os.pidfd_open(process)
                    self._runs[handle] = _Run(
                        root, _read_inputs(root), {digest for _unused, digest, _unused in _kcm(root)}
                    )
                    yield handle
            finally:
                os.write(self._events, _RESPONSE.pack(file, _FAN_ALLOW))
                os.close(file)

    def _end_run(self, poll: select.poll, process: int) -> None:
        poll.unregister(process)
        run = self._runs.pop(process)
        for name, digest, size in _kcm(run.root):
            value = run.inputs.get(name)
            # A file that is shorter than its value was cut off.
            if digest not in run.before and value is not None and size >= len(value):
                self._values[digest] = value
        os.close(run.root)
        os.close(process)

    def _answer(self, poll: select.poll) -> None:
        peer, _unused = self._listener.accept()
        with peer:
            peer.settimeout(5)
            request = b"".join(iter(lambda: peer.recv(65536), b""))
            letter, digest, value = request[:1], request[1:33], request[33:]
            if letter == b"K":
                self._values[digest] = value
                peer.sendall(b"\1")
            else:
                # Who asks may have waited for a utility's end, of which is not heard here yet.
                finished = select.poll()
                for process in self._runs:
                    finished.register(process, select.POLLIN)
                for process, _unused in finished.poll(0):
                    self._end_run(poll, process)
                known = self._values.get(digest)
                peer.sendall(b"\0" if known is None else b"\1" + known)


def _open_in_root(root: int, path: str, flags: int) -> int:
    """Open as a process in that root would: links that lead to / stay inside. Raises OSError."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
    descriptor = _libc.syscall(_SYS_OPENAT2, root, os.fsencode(path), how, len(how))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), path)
    return descriptor


def _read_in_root(root: int, path: str) -> bytes | None:
    try:
        with open(_open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            return file.read()
    except OSError:
        return None


def _names_in_root(root: int, path: str) -> list[str]:
    try:
        descriptor = _open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return []
    try:
        return os.listdir(descriptor)
    finally:
        os.close(descriptor)


def _read_inputs(root: int) -> dict[str, bytes]:
    """What would be stored, by the name of its file in the KCM."""
    inputs = {name: _read_in_root(root, f"{INPUT_DIRECTORY}/{file}.bin") for file, name in ITEM_FILES.items()}
    return {**{name: value for name, value in inputs.items() if value is not None}, **USE_BOOTSTRAP}


def _kcm(root: int) -> Iterator[tuple[str, bytes, int]]:
    """The files of the KCM and of what lies beside it, where one may be in the making: name, digest, size."""
    # pal.new before pal: it may be renamed to that right now.
    for kcm in sorted(_names_in_root(root, USER_DIRECTORY), reverse=True):
        for directory in DIRECTORIES if kcm.startswith(KCM) else ():
            for name in [*ITEM_FILES.values(), *USE_BOOTSTRAP]:
                content = _read_in_root(root, f"{USER_DIRECTORY}/{kcm}/{directory}/{name}")
                if content is not None:
                    yield name, hashlib.sha256(content).digest(), len(content)
