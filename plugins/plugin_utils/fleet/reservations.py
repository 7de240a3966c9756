# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places in developer certificates that runs have given to boards which the cloud does not count yet.

Runs at several sites, or over several slices of a fleet, decide at the same time, and the cloud counts a board only
once it has bootstrapped. So each run notes what it gives in ``reserved.json`` of the team store. Nothing is ever taken
back: a note ends by itself, and counts no more once the cloud has the board's device.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

from ..store.durable_file import replace_file
from ..store.store import Store, StoreError
from ..times import parse_time, time_text

FILE = "reserved.json"
FORMAT = 1
HELD_FOR = timedelta(hours=1)
"""How long a run may take from its decision until its boards are registered. A run that died keeps its places so long,
but not from a run over the same boards."""


class Reservations:
    """Those in a team ``store``. All methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._path = store.directory / FILE

    @contextmanager
    def locked(self) -> Iterator[dict[str, str]]:
        """Boards and the certificates in which they have places, as long as nobody else can give any."""
        with self._store.locked():
            yield self.noted()

    def noted(self) -> dict[str, str]:
        """As ``locked``, at a glance: somebody else may be giving places."""
        return {board: certificate for board, (certificate, _until) in self._read().items()}

    def keep(self, places: Mapping[str, str]) -> None:
        """Note more of them, beside those that are there."""
        until = time_text(datetime.now(timezone.utc) + HELD_FOR) or ""
        with self._store.locked():
            self._write({**self._read(), **{board: (certificate, until) for board, certificate in places.items()}})

    def _read(self) -> dict[str, tuple[str, str]]:
        try:
            document = json.loads(self._path.read_bytes())
            if document["format"] != FORMAT:
                raise ValueError
            entries = {name: (str(entry["certificate"]), entry["until"]) for name, entry in document["boards"].items()}
            now = datetime.now(timezone.utc)
            return {name: entry for name, entry in entries.items() if parse_time(entry[1]) > now}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"{self._path} cannot be read: {error.strerror}.") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise StoreError(
                f"{self._path} is damaged, so it is not known which places other runs are giving away. Remove it when "
                "no run is under way."
            ) from None

    def _write(self, entries: Mapping[str, tuple[str, str]]) -> None:
        boards = {name: {"certificate": entries[name][0], "until": entries[name][1]} for name in sorted(entries)}
        try:
            replace_file(self._path, (json.dumps({"format": FORMAT, "boards": boards}) + "\n").encode(), 0o660)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}.") from error
