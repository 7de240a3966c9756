# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Driving a cloud that runs as a process of its own, also from outside its network namespace."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any


class LabCloud:
    """The cloud whose control socket is ``control_socket``; see control.py for what can be called."""

    def __init__(self, control_socket: Path) -> None:
        self._path = control_socket

    def call(self, method: str, path: str, /, **body: Any) -> Any:
        """``call("POST", "/faults", kind="status", status=503, times=2)``: what the cloud answers.

        Raises ValueError with the cloud's words when it refuses, OSError when it cannot be reached.
        """
        connection = _UnixConnection(self._path)
        try:
            connection.request(method, "/_lab" + path, json.dumps(body) if body else None)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(f"{method} {path}: {answer.status} {text}")
        return json.loads(text)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("lab")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))
