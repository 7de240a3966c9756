# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places in developer certificates that runs have given to boards which the cloud does not count yet.

Runs at several sites, or over several slices of a fleet, decide at the same time, and the cloud counts a board only
once it has bootstrapped. So each run notes what it gives in ``reserved.json`` of the team store. Nothing is ever taken
back: a note ends by itself, and counts no more once the cloud has the board's device. A board has several where runs
wish for different certificates for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

from ..store.noted_file import NotedFile
from ..store.store import Store
from ..times import parse_time, time_text

Places = Mapping[str, Mapping[str, datetime]]
"""Boards, each with the certificates in which it has places and when it was given them, the last one at the end."""

FILE = "reserved.json"
HELD_FOR = timedelta(hours=1)
"""How long a run may take from its decision until its boards are registered. A run that died keeps its places so long,
but not from a run over the same boards."""


class Reservations:
    """Those in a team ``store``. All methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._file = NotedFile(
            store,
            FILE,
            unknown="it is not known which places other runs have given to boards",
            remedy="Remove it when no run is under way.",
        )

    @contextmanager
    def locked(self) -> Iterator[Places]:
        """Boards and the certificates in which they have places, as long as nobody else can give any."""
        with self._store.locked():
            yield self.noted()

    def noted(self) -> Places:
        """As ``locked``, at a glance: somebody else may be giving places."""
        return {
            board: {certificate: until - HELD_FOR for certificate, until in held.items()}
            for board, held in self._read().items()
        }

    def keep(self, places: Mapping[str, str]) -> None:
        """Note more of them, beside those that are there."""
        until = datetime.now(timezone.utc) + HELD_FOR
        with self._store.locked():
            noted = self._read()
            for board, certificate in places.items():
                noted.setdefault(board, {}).pop(certificate, None)
                noted[board][certificate] = until
            self._file.write({board: _entry(held) for board, held in noted.items()})

    def _read(self) -> dict[str, dict[str, datetime]]:
        """Of each board, until when it has places in which certificates, that which was given last at the end. Without
        those whose time is over. One that would be held for longer than any run holds it is not one of ours."""
        now = datetime.now(timezone.utc)
        noted = {}
        try:
            for board, entry in self._file.read().items():
                texts = {**entry.get("others", {}), str(entry["certificate"]): entry["until"]}
                held = {certificate: parse_time(until) for certificate, until in texts.items()}
                noted[board] = {c: until for c, until in held.items() if now < until <= now + 2 * HELD_FOR}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._file.damaged() from None
        return {board: held for board, held in noted.items() if held}


def _entry(held: Mapping[str, datetime]) -> dict[str, Any]:
    """With the certificate that was given last, which is all that version 1.0.0 knows."""
    *others, last = held
    more = {"others": {certificate: time_text(held[certificate]) for certificate in others}} if others else {}
    return {"certificate": last, "until": time_text(held[last]), **more}
