# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may get keys: anybody on a network can announce a board."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .memory import Remembered

KEY_PREFIX = "SHA256:"
"""Begins a host key's fingerprint, as `ssh-keygen -l` prints it; what begins otherwise is a name."""

MISSPELT_TOLD = 10


def is_in(roster: Iterable[str], name: str, host_keys: Iterable[str]) -> bool:
    """Whether the board is meant by an entry of ``roster``.

    ``host_keys`` are the fingerprints that ssh has compared for this board. Entries are names, fingerprints, or a name
    with the fingerprints that it may have, behind spaces.
    """
    keys = set(host_keys)
    return any(_is_meant(entry.split(), name, keys) for entry in roster)


def concerning(name: str, host_keys: Iterable[str], roster: Iterable[str]) -> tuple[str, ...]:
    """A roster of one entry, or none, by which that board is judged as by the whole one, with what is misspelt in it.

    The decision takes all boards' rosters, and each as long as the fleet would be too much.
    """
    entries, keys = list(roster), set(host_keys)
    # Few entries have the name or a key in them at all, and that is told fastest.
    near = (entry for entry in entries if name in entry or any(key in entry for key in keys))
    meant = [entry for entry in near if _is_meant(entry.split(), name, keys)][:1]
    return tuple(dict.fromkeys([*(meant or entries[:1]), *misspelt(entries)[:MISSPELT_TOLD]]))


def is_new(name: str, host_keys: Iterable[str], known: Mapping[str, Remembered]) -> bool:
    """Whether the team has not provisioned a board of that name and host key before."""
    before, keys = known.get(name), set(host_keys)
    return before is None or bool(keys and before.host_keys and not keys & set(before.host_keys))


def misspelt(roster: Iterable[str]) -> list[str]:
    """Entries that can match nothing: a fingerprint that is none."""
    words = (word for entry in roster if KEY_PREFIX in entry for word in entry.split())
    return [word for word in words if word.startswith(KEY_PREFIX) and len(word) != len(KEY_PREFIX) + 43]


def _is_meant(entry: Sequence[str], name: str, keys: set[str]) -> bool:
    """Whether the words of a roster's ``entry`` are for the board of that name and those host keys."""
    pins = {word for word in entry if word.startswith(KEY_PREFIX)}
    names = [word for word in entry if word not in pins]
    return (not names or names == [name]) and (not pins or bool(pins & keys)) and bool(entry)
