# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ssh host keys that a board's connection is compared with."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any


def host_keys_of(task_vars: Mapping[str, Any]) -> list[str]:
    """Fingerprints (``SHA256:…``) of the board of a task, from the known_hosts file that its ssh uses.

    The inventory plugin names that file in ``mbl_known_hosts`` and has the keys under the board's inventory name;
    other inventories use ssh's own file and the address. No file, no keys.
    """
    board = task_vars["inventory_hostname"]
    address, port = str(task_vars.get("ansible_host", board)), str(task_vars.get("ansible_port", 22))
    path = Path(str(task_vars.get("mbl_known_hosts", "~/.ssh/known_hosts"))).expanduser()
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return sorted(set(fingerprints(lines, {board, address, f"[{address}]:{port}"})))


def fingerprints(lines: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """Of the keys that a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT") has for any of ``names``."""
    wanted = set(names)
    for line in lines:
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith(("#", "@")) or not _is_for(fields[0], wanted):
            continue
        try:
            digest = hashlib.sha256(base64.b64decode(fields[2], validate=True)).digest()
        except ValueError:
            continue
        yield "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _is_for(field: str, names: set[str]) -> bool:
    if not field.startswith("|1|"):
        return bool(names.intersection(field.split(",")))
    try:
        salt, wanted = (base64.b64decode(part, validate=True) for part in field.split("|")[2:4])
    except ValueError:
        return False
    return any(hmac.compare_digest(hmac.new(salt, name.encode(), "sha1").digest(), wanted) for name in names)
