# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds on one exchange with a board: how long it may take, and how much the board may send.

Ansible's ssh plugin has none, once a command was sent: it waits, and keeps what it reads, until the board ends. There
is no setting for it either: `timeout` is for connecting, and a task's `timeout` leaves ssh running and names no reason.
So its process is watched from here. It is known at the one moment when the plugin hands it to a method of its own,
``_send_initial_data`` (ansible-core 2.16 to 2.22). Of other connection plugins nothing is known, and nothing bounded.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..board.errors import BoardError

MOST = 1 << 20
"""Bytes that a board may send in one exchange. Answers take 10 to 20 kB; with the largest certificate files, 400."""


@contextmanager
def bounded(connection: Any, seconds: float, most: int = MOST) -> Iterator[None]:
    """Within it, a command that ``connection`` runs with data for its standard input is ended when it takes longer than
    ``seconds`` or sends more than ``most`` bytes. Raises BoardError then.

    Threads may do so for several connections at the same time.
    """
    if not hasattr(connection, "_send_initial_data"):
        yield
        return
    watch = _Watch(connection._send_initial_data, seconds, most)
    connection._send_initial_data = watch.send
    try:
        yield
    except Exception as error:
        # An ssh that was killed is no reason to call the board unreachable.
        watch.check(error)
        raise
    finally:
        del connection._send_initial_data
        watch.end()
    watch.check(None)


class _Watch:
    def __init__(self, send: Any, seconds: float, most: int) -> None:
        self._send = send
        self._seconds, self._deadline = seconds, time.monotonic() + seconds
        self._most, self._left = most, most
        self._timer: threading.Timer | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._broken: tuple[str, str] | None = None

    def send(self, stdin: Any, data: bytes, process: subprocess.Popen[bytes]) -> None:
        """In the place of the plugin's own method; called again when it tries again."""
        self.end()
        self._process = process
        process.stdout = _Pipe(process.stdout, self._take)  # type: ignore[assignment]
        process.stderr = _Pipe(process.stderr, self._take)  # type: ignore[assignment]
        self._timer = threading.Timer(
            self._deadline - time.monotonic(), self._break, ("hangs", str(round(self._seconds)))
        )
        self._timer.daemon = True
        self._timer.start()
        self._send(stdin, data, process)

    def _take(self, chunk: bytes) -> bytes:
        """What of ``chunk`` is passed on; none means the end to the plugin."""
        self._left -= len(chunk)
        if self._left < 0 and not self._broken:
            self._break("endless", str(self._most // 1024))
        return b"" if self._broken else chunk

    def _break(self, reason: str, detail: str) -> None:
        self._broken = self._broken or (reason, detail)
        if self._process:
            self._process.kill()

    def end(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer.join()

    def check(self, error: Exception | None) -> None:
        if self._broken:
            raise BoardError.of(*self._broken) from error


class _Pipe:
    """A pipe that the plugin reads from ssh, each part of which ``take`` sees first."""

    def __init__(self, pipe: Any, take: Any) -> None:
        self._pipe, self._take = pipe, take

    def read(self) -> bytes:
        """A part at a time: what comes without end has no end to be read to."""
        chunk: bytes = self._take(os.read(self._pipe.fileno(), 1 << 16))
        return chunk

    def __eq__(self, other: object) -> bool:
        """The plugin compares it with the pipe that it began to watch."""
        return other is self or other is self._pipe

    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipe, name)
