# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may get keys: anybody on a network can announce a board."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

KEY_PREFIX = "SHA256:"
"""Begins a host key's fingerprint, as `ssh-keygen -l` prints it; what begins otherwise is a name."""

MISSPELT_TOLD = 10


def is_in(roster: Iterable[str], name: str, host_keys: Iterable[str]) -> bool:
    """Whether the board is meant by ``roster``.

    ``host_keys`` are the fingerprints of all keys that ssh accepts for this board; none proves nothing. Entries are
    names, fingerprints, or a name with the fingerprints that it may have, behind spaces. A board is meant by its name
    alone, or when the entries for it have all of its keys.
    """
    pins, keys = set[str](), set(host_keys)
    for entry in roster:
        found = _pins_for(entry.split(), name)
        if found is not None:
            if not found:
                return True
            pins |= found
    return bool(keys) and keys <= pins


def needs_proof(roster: Iterable[str], name: str) -> bool:
    """Whether ``roster`` has a fingerprint that may be that of a board of that name."""
    return any(_asks_for_a_key(entry, name) for entry in roster)


def concerning(name: str, host_keys: Iterable[str], roster: Iterable[str]) -> tuple[str, ...]:
    """A short roster by which that board is judged as by the whole one, with what is misspelt in it; empty only for an
    empty one.

    The decision takes all boards' rosters, and each as long as the fleet would be too much.
    """
    entries, keys = list(roster), set(host_keys)
    # Few entries have the name or a key in them at all, and that is told fastest.
    near = [entry for entry in entries if name in entry or any(key in entry for key in keys)]
    pins = {entry: _pins_for(entry.split(), name) for entry in near}
    meant = [entry for entry, found in pins.items() if found is not None]
    by_name = [entry for entry in meant if not pins[entry]][:1]
    meant = _covering(meant, pins, keys)
    if not meant:
        meant = [entry for entry in entries if KEY_PREFIX in entry and _asks_for_a_key(entry, name)][:1]
    return tuple(dict.fromkeys([*(by_name or meant or entries[:1]), *misspelt(entries)[:MISSPELT_TOLD]]))


def _covering(entries: Iterable[str], pins: Mapping[str, set[str] | None], keys: set[str]) -> list[str]:
    """Those of ``entries`` that add to the ``keys`` that the ones before them have among their ``pins``."""
    covering, covered = [], set[str]()
    for entry in entries:
        if new := ((pins[entry] or set()) & keys) - covered:
            covering.append(entry)
            covered |= new
    return covering


def misspelt(roster: Iterable[str]) -> list[str]:
    """Entries that can match nothing: they begin like a fingerprint and are not one."""
    words = (word for entry in roster if KEY_PREFIX in entry for word in entry.split())
    return [word for word in words if word.startswith(KEY_PREFIX) and not _is_fingerprint(word)]


def _is_fingerprint(word: str) -> bool:
    return len(word) == len(KEY_PREFIX) + 43


def _asks_for_a_key(entry: str, name: str) -> bool:
    return any(_is_fingerprint(pin) for pin in _pins_for(entry.split(), name) or ())


def _pins_for(entry: Sequence[str], name: str) -> set[str] | None:
    """The fingerprints that the words of a roster's ``entry`` ask of the board of that name; None when it is for
    another one."""
    pins = {word for word in entry if word.startswith(KEY_PREFIX)}
    names = [word for word in entry if word not in pins]
    return pins if entry and (not names or names == [name]) else None
