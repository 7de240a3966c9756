# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes by their numbers, which a busy machine soon gives to others."""

from __future__ import annotations

from pathlib import Path


def parent(process: int) -> int:
    return int(_fields(process)[1])


def start_of(process: int) -> str | None:
    """When it began, in the kernel's words; None when it has ended."""
    try:
        fields = _fields(process)
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _fields(process: int) -> list[str]:
    """From the state on, see proc_pid_stat(5)."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
