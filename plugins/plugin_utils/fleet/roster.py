# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may get keys: anybody on a network can announce a board."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .memory import Remembered
from .wishes import REFUSE

KEY_PREFIX = "SHA256:"
"""Begins a host key's fingerprint, as `ssh-keygen -l` prints it; what begins otherwise is a name."""


def why_refused(
    name: str, host_keys: Iterable[str], roster: Iterable[str], new_boards: str, known: Mapping[str, Remembered]
) -> str | None:
    """The reason why the board must not get keys, or None.

    ``host_keys`` are the fingerprints that ssh has compared for this board. A ``roster`` decides alone; without
    one, boards that the team has provisioned before are known, and ``new_boards`` says what becomes of others.
    """
    entries = set(roster)
    keys = set(host_keys)
    if entries:
        if name in entries or keys & entries:
            return None
        shown = ", ".join(sorted(keys)) or "not known here"
        return (
            f"This board is not in the roster, so it gets no keys. If it is yours, add its name {name!r} or the "
            f"fingerprint of its ssh host key ({shown}) to provision_pelion_roster."
        )
    if new_boards == REFUSE and is_new(name, keys, known):
        shown = ", ".join(sorted(keys)) or "not known here"
        return (
            "This board was never provisioned from this team store, or has another host key since, and "
            "provision_pelion_new_boards is refuse. If it is yours, add its name or the fingerprint of its ssh host "
            f"key ({shown}) to provision_pelion_roster, or run once with -e provision_pelion_new_boards=allow."
        )
    return None


def is_new(name: str, host_keys: Iterable[str], known: Mapping[str, Remembered]) -> bool:
    """Whether the team has not provisioned a board of that name and host key before."""
    before, keys = known.get(name), set(host_keys)
    return before is None or bool(keys and before.host_keys and not keys & set(before.host_keys))


def misspelt(roster: Iterable[str]) -> list[str]:
    """Entries that can match nothing: a fingerprint that is none."""
    return [entry for entry in roster if entry.startswith(KEY_PREFIX) and len(entry) != len(KEY_PREFIX) + 43]
