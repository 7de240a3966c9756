# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a store, one of its entries, or the disk that it lies on."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from ..errors import PelionError


class StoreError(PelionError):
    """The store, or one of its entries, cannot be used as it is. Facts: ``path`` and, for an entry, ``name``."""


def unusable(path: Path, name: str | None, problem: str) -> StoreError:
    """The error for the file at ``path``, or the entry called ``name`` in it, which has that ``problem``."""
    if name is None:
        return StoreError(f"{path} {problem}.", path=str(path))
    return StoreError(f"The stored entry {name!r} ({path}) {problem}.", path=str(path), name=name)


_ADVICE = {
    errno.ENOSPC: "Make room on that disk and run again; the old state is intact.",
    errno.EDQUOT: "Your disk quota is used up. Make room and run again; the old state is intact.",
    errno.EROFS: "That disk is read-only; choose another place for the store, or mount it writable.",
    errno.EACCES: "Join the group that owns the store, or choose another place.",
    errno.EPERM: "Join the group that owns the store, or choose another place.",
}


@contextlib.contextmanager
def disk_errors(path: Path, name: str | None = None) -> Iterator[None]:
    """Report errors of the disk, met while ``path`` was changed, as StoreError with what to do."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "")
        raise StoreError(
            f"The store cannot be changed at {path}: {error.strerror}. {advice}".rstrip(),
            path=str(path),
            **({"name": name} if name else {}),
        ) from error
