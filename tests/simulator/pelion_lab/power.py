# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`lab power`: a board's power, switched from outside by asking the lab's first process."""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path

from .errors import LabError
from .lab import as_root, require
from .record import POWER_SOCKET

REQUESTS = {
    "on": "the board boots",
    "off": "it ends, with all that it wrote on its disk",
    "cut": "it ends, and what it had not synced is lost (needs `lab up --disks`)",
}
ANSWER_SECONDS = 30


def switch(options: argparse.Namespace) -> int:
    """`lab power NAME on|off|cut`. Returns when it is done; a board that was switched on still boots then."""
    as_root()
    require(options.state).board(options.name)
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(ANSWER_SECONDS)
            peer.connect(str(options.state / POWER_SOCKET))
            peer.sendall(json.dumps({"board": options.name, "do": options.do}).encode())
            peer.shutdown(socket.SHUT_WR)
            document = json.loads(b"".join(iter(lambda: peer.recv(4096), b"")))
    except (OSError, ValueError) as error:
        log = options.state / "log/supervisor.log"
        raise LabError(f"the lab's first process does not answer ({error}): see {log}") from error
    if document:
        raise LabError(document["error"])
    return 0


def listen(state: Path) -> socket.socket:
    """Where the lab is asked."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(state / POWER_SOCKET))
    listener.listen()
    return listener


def answer(listener: socket.socket, act: Callable[[str, str], None]) -> None:
    """Take one request, do it by ``act(board, do)``, which may raise LabError, and say so."""
    peer, _unused = listener.accept()
    with peer, contextlib.suppress(OSError):
        peer.settimeout(5)
        request = json.loads(b"".join(iter(lambda: peer.recv(4096), b"")) or "{}")
        try:
            act(request["board"], request["do"])
            document = {}
        except LabError as error:
            document = {"error": str(error)}
        peer.sendall(json.dumps(document).encode())
