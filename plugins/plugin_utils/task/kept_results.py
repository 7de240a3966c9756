# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results as our actions made them, for the callback that sums up a run.

Since ansible-core 2.22, what a callback is shown has `$REDACTED$` in the place of every text that a vaulted variable
or file of the run holds, wherever that text stands: also in names and fingerprints. A report needs them as they are.
So each task's process puts its result into memory that it shares with Ansible's, from which it was forked.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Key = tuple[str, str]
"""A host's name and a task's unique ID."""


class KeptResults:
    """What was kept and not yet taken."""

    def __init__(self) -> None:
        self._memory = os.memfd_create("pelion-mbl-results")
        self._waiting: dict[Key, list[dict[str, Any]]] = defaultdict(list)

    def keep(self, key: Key, result: Mapping[str, Any]) -> None:
        """In a task's process."""
        line = json.dumps([*key, result], default=str).encode() + b"\n"
        with self._locked():
            end = os.fstat(self._memory).st_size
            while line:
                written = os.pwrite(self._memory, line, end)
                line, end = line[written:], end + written

    def take(self, key: Key) -> list[dict[str, Any]]:
        """What was kept for that host and task, the first one first: several results for a loop or for retries."""
        with self._locked():
            text = os.pread(self._memory, os.fstat(self._memory).st_size, 0)
            os.ftruncate(self._memory, 0)
        for line in text.splitlines():
            host, task, result = json.loads(line)
            self._waiting[host, task].append(result)
        return self._waiting.pop(key, [])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Not flock, whose locks forked processes share.
        fcntl.lockf(self._memory, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._memory, fcntl.LOCK_UN)


_of_this_run: list[KeptResults] = []
"""One at the most. Forked processes inherit it."""


def keep_results() -> KeptResults:
    """Have the results of this run kept from now on."""
    _of_this_run[:] = [KeptResults()]
    return _of_this_run[0]


def keep(key: Key, result: Mapping[str, Any]) -> None:
    """Keep a result, when the run keeps any."""
    for kept in _of_this_run:
        kept.keep(key, result)


def as_made(shown: dict[str, Any], kept: list[dict[str, Any]]) -> dict[str, Any]:
    """The result that a callback is ``shown``, as it was made where that was ``kept``."""
    if not kept:
        return shown
    return {**shown, "results": kept} if "results" in shown else kept[-1]
