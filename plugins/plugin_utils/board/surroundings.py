# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a board tells of itself besides what it holds: its client's log, image, storage, clock and network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from .way import Server, Step

LOG = "mbl-cloud-client.log"
LOG_KEYS = ("log-0", "log-1", "log-2", "log-3", "log-4")
"""The client's log and its rotations, the newest first."""
MOST_OF_LOG = 400_000
"""Bytes of all of them together. An answer has no room for more than 1 MiB (task/bounds.py)."""

SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "image": "/etc/os-release",
        "kernel": "kernel",
        "clock": "its clock, and how long it runs",
        "mounts": "what is mounted",
        "space": "free space, in kB",
        "memory": "memory",
        "network": "addresses, routes, name servers",
        "connections": "TCP connections",
        "processes": "processes",
        "service": "mbl-cloud-client.service",
        "files": "files of its secure storage, without what is in them",
        "kernel-log": "the kernel's log",
    }
)
"""The other keys of diagnose_program.sh, and what they are."""


@dataclass(frozen=True)
class Surroundings:
    """``lines`` are those that it told, by LOG_KEYS and SECTIONS, and under ``cut``, ``untried`` and ``error`` what is
    not there and why. ``steps`` are those of the way to the ``server``, none where that is not known."""

    lines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    server: Server | None = None
    steps: Sequence[Step] = ()
