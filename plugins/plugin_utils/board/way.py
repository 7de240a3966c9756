# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to the cloud, seen from a board: the server that its client connects to, and how far a connection comes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlsplit

COAPS_PORT = 5684
PORTS = (COAPS_PORT, 443)
"""At which the cloud's servers take connections. A certificate's URI names one of them."""

Outcome = Literal["good", "bad", "untried"]


@dataclass(frozen=True)
class Server:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def values(self) -> dict[str, str]:
        """For the board's program."""
        return {"server_host": self.host, "server_port": str(self.port)}


@dataclass(frozen=True)
class Step:
    """A step of the way, ``name``, ``tcp`` (with its port) or ``tls``, and what came of it. ``detail`` is why it is not
    good, the address of a name, or by what it could not be tried."""

    kind: str
    outcome: Outcome
    detail: str = ""
    port: int | None = None

    def __str__(self) -> str:
        """For people."""
        what = _WORDS[self.kind].format(port=self.port)
        said = {"good": "yes", "bad": "no", "untried": "could not be tried"}[self.outcome]
        return f"{what}: {said}{f' ({self.detail})' if self.detail else ''}"


_WORDS: Mapping[str, str] = MappingProxyType(
    {"name": "Its name resolves", "tcp": "A connection to port {port} opens", "tls": "TLS answers"}
)


def server_of(uri: str) -> Server | None:
    """What a client connects to for a ``coaps://`` URI; None for what is none, or not reached over TCP.

    Servers whose names begin with ``udp-`` are for clients of another kind than MBL's.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("coap", "coaps") or not host or not re.fullmatch(r"[a-z0-9][a-z0-9.:-]*", host):
        return None
    return None if host.startswith("udp-") else Server(host, port or COAPS_PORT)


def server_in(log: Iterable[str]) -> Server | None:
    """The last one that a board's client said in its ``log`` it connects to; None where it named none."""
    found = None
    for line in log:
        if match := re.search(r"server_address (coaps?://\S+)", line):
            found = server_of(match[1]) or found
    return found


def steps_of(answers: Iterable[str]) -> list[Step]:
    """From what the board's program said, lines ``KIND PORT OUTCOME DETAIL`` with ``-`` for no port. Others are passed
    over."""
    steps = []
    for answer in answers:
        if found := re.fullmatch(r"(name|tcp|tls) (-|[0-9]{1,5}) (good|bad|untried) ?(.*)", answer):
            kind, port, outcome, detail = found.groups()
            steps.append(Step(kind, outcome, detail, None if port == "-" else int(port)))  # type: ignore[arg-type]
    return steps
