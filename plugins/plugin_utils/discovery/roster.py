# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boards that a user knows: names, fingerprints of ssh host keys, or both together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import PelionError
from .names import is_host_name

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


@dataclass(frozen=True)
class Roster:
    """``names`` of hosts, in small letters; ``pins``: the host keys that a name may have, where the roster says.

    ``fingerprints`` are those that stand alone: of known boards under whatever name.
    """

    names: frozenset[str] = frozenset()
    pins: tuple[tuple[str, frozenset[str]], ...] = ()
    fingerprints: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Roster:
        """From entries `NAME`, `SHA256:…` or `NAME SHA256:…` (as `ssh-keygen -l` prints them).

        Raises PelionError for anything else.
        """
        names: set[str] = set()
        pins: dict[str, set[str]] = {}
        alone: set[str] = set()
        for entry in entries:
            words = str(entry).split()
            prints = [word for word in words if _FINGERPRINT.fullmatch(word)]
            others = [word for word in words if word not in prints]
            if len(others) > 1 or not words or not all(is_host_name(word) for word in others):
                raise PelionError(
                    f"The roster's entry {entry!r} is neither the name of a board, nor the fingerprint of a host key "
                    "(SHA256: and 43 characters), nor a name and fingerprints of it."
                )
            if others:
                names.add(others[0].lower())
                if prints:
                    pins.setdefault(others[0].lower(), set()).update(prints)
            else:
                alone.update(prints)
        return cls(
            frozenset(names),
            tuple((name, frozenset(each)) for name, each in sorted(pins.items())),
            frozenset(alone),
        )

    def pinned(self, name: str) -> frozenset[str]:
        """The fingerprints that the host key of ``name`` must have one of; none when the roster does not say."""
        return dict(self.pins).get(name.lower(), frozenset())
