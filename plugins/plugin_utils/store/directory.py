# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory that a store lies in: who may use it, one writer at a time, and nothing left behind."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..durable_file import LITTER
from .errors import StoreError, disk_errors, unusable

LOCK = ".lock"
LOCK_SECONDS = 60.0


class Directory:
    """The directory at ``path``, for a group (``shared``: mode 2770) or for its owner alone (0700).

    ``warn`` gets what is odd about it, once, at the first use. ``before_create`` is called before it is made,
    ``created`` when it was, and ``before_change``, under the lock, before anything is changed.
    """

    def __init__(
        self,
        path: Path,
        *,
        shared: bool,
        warn: Callable[[str], None],
        before_create: Callable[[], None],
        created: Callable[[], None],
        before_change: Callable[[], None],
    ) -> None:
        self.path = path
        self._shared = shared
        self._warn = warn
        self._before_create = before_create
        self._created = created
        self._before_change = before_change
        self._inspected = False
        self._lock_depth = 0

    @property
    def file_mode(self) -> int:
        """Of the files in it."""
        return 0o660 if self._shared else 0o600

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep all other writers out; the directory is made where there is none. Within it, it may be taken again.

        Raises StoreError when another process has kept the lock for LOCK_SECONDS.
        """
        if self._lock_depth:
            self._lock_depth += 1
            try:
                yield
            finally:
                self._lock_depth -= 1
            return
        self.create()
        descriptor = self._lock()
        self._lock_depth = 1
        try:
            self._before_change()
            self._remove_litter()
            yield
        finally:
            self._lock_depth = 0
            os.close(descriptor)

    @contextlib.contextmanager
    def settled(self) -> Iterator[None]:
        """Nobody is writing within it, `ansible-vault rekey` under the lock included, which replaces a file by removing
        it first. One who keeps the lock for LOCK_SECONDS is not waited for any longer."""
        descriptor = None
        if not self._lock_depth:
            # Where there is none, nobody has written; and who may only read the store need not be let in.
            with contextlib.suppress(OSError):
                descriptor = os.open(self.path / LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if descriptor is not None:
                with contextlib.suppress(OSError):
                    _taken(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _remove_litter(self) -> None:
        """Temporary files of killed writers; under the lock, there is no other kind."""
        with contextlib.suppress(OSError):
            for file in os.listdir(self.path):
                if file.startswith(".") and file.endswith(LITTER):
                    os.unlink(self.path / file)

    def _lock(self) -> int:
        path = self.path / LOCK
        with disk_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if self._shared and os.fstat(descriptor).st_uid == os.geteuid():
                os.fchmod(descriptor, 0o660)
            if not _taken(descriptor, fcntl.LOCK_EX):
                raise StoreError(
                    f"The store {self.path} has been locked by another process for "
                    f"{LOCK_SECONDS:.0f} seconds. `fuser -v {path}` shows which one.",
                    path=str(self.path),
                )
            return descriptor
        except OSError as error:
            os.close(descriptor)
            raise unusable(path, None, f"cannot be locked: {error.strerror}") from error
        except BaseException:
            os.close(descriptor)
            raise

    def create(self) -> None:
        """Make it, unless it is there."""
        if self.is_there():
            return
        self._before_create()
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # made by another process just now
                self.path.mkdir(mode=0o700)
                if self._shared:
                    # Files made in a setgid directory belong to its group.
                    self.path.chmod(0o2770)
                self._created()
        self.is_there()

    def is_there(self) -> bool:
        """Whether it is, and may be used. Raises StoreError when it is open to everybody."""
        if self._inspected:
            return True
        try:
            status = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise unusable(self.path, None, f"cannot be used: {error.strerror}") from error
        if not stat.S_ISDIR(status.st_mode):
            raise unusable(self.path, None, "is not a directory")
        resolved = self.path.resolve()
        for path in (resolved, *resolved.parents):
            mode = path.stat().st_mode
            sticky_parent = mode & stat.S_ISVTX and path != resolved
            if mode & stat.S_IWOTH and not sticky_parent:
                raise StoreError(
                    f"Everybody may write to {path}, so anyone could remove or replace what is in the store "
                    f"{self.path}. Run `chmod o-w {path}`, or choose another place.",
                    path=str(self.path),
                )
        for oddity in self._shared_oddities(status) if self._shared else self._private_oddities(status):
            self._warn(f"The store {self.path} {oddity}")
        self._inspected = True
        return True

    def _private_oddities(self, status: os.stat_result) -> Iterator[str]:
        if status.st_uid != os.geteuid():
            yield f"belongs to user {status.st_uid}, but this is run by user {os.geteuid()}."
        if status.st_mode & 0o077:
            yield f"is meant for one user, but others may enter it. Run `chmod 700 {self.path}`."

    def _shared_oddities(self, status: os.stat_result) -> Iterator[str]:
        resolved = self.path.resolve()
        if any(os.path.lexists(path / ".git") for path in (resolved, *resolved.parents)):
            return  # A team that shares through git has a clone for each person, with the modes that git gives.
        if os.geteuid() != 0 and status.st_gid not in {os.getegid(), *os.getgroups()}:
            yield (
                f"belongs to the group {_group_name(status.st_gid)}, in which you are not; "
                "what you write there may be unreadable for its group."
            )
        if status.st_mode & 0o2770 != 0o2770:
            yield (
                f"has the mode {stat.S_IMODE(status.st_mode):04o}, so a team cannot share it. "
                f"Run `chmod 2770 {self.path}`, and give it the team's group with chgrp."
            )


def _taken(descriptor: int, operation: int) -> bool:
    """Whether the lock, of that kind, could be taken within LOCK_SECONDS. Raises OSError where there can be none."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)


def _group_name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)
