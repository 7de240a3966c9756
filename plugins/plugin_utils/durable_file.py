# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replacing a file as a whole, so that a crash leaves the old one or the new one, and the new one stays."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

LITTER = ".writing"
"""How the names of temporary files end; a killed process leaves one behind. They begin with a dot."""


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Put ``content`` in the place of the file at ``path``, with ``mode``, and its owner and group as far as allowed.

    It is on the disk when this returns. Raises OSError, with nothing changed.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=LITTER, dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            _keep_owner(descriptor, path)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(path.parent)


def probe_directory(directory: Path, size: int) -> None:
    """Make sure that a file of ``size`` bytes could be written there now. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=LITTER, dir=directory)
    try:
        with open(descriptor, "wb") as file:
            file.write(os.urandom(size))  # a file system might keep zeros without any room
            file.flush()
            os.fsync(descriptor)
    finally:
        os.unlink(temporary)


def sync_directory(directory: Path) -> None:
    """Bring the names in ``directory`` to the disk. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keep_owner(descriptor: int, path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        old, new = path.stat(), os.fstat(descriptor)
        if old.st_gid != new.st_gid:
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, -1, old.st_gid)
        if old.st_uid != new.st_uid:
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, old.st_uid, -1)
