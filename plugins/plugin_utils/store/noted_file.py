# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a team notes beside the credentials of its store: plain JSON files, since they hold no secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..durable_file import replace_file
from .errors import StoreError
from .git_conflict import is_conflict
from .store import Store

FORMAT = 1
"""Of all these files: raised when a reader of the former one would misunderstand it. New fields do not raise it."""


class NotedFile:
    """The file called ``name`` in a ``store``: ``{"format": 1, "boards": {NAME: {…}}}``.

    ``unknown`` says what is not known where it cannot be read, ``remedy`` what to do about a damaged one.
    """

    def __init__(self, store: Store, name: str, *, unknown: str, remedy: str) -> None:
        self.path: Path = store.directory / name
        self._unknown = unknown
        self._remedy = remedy

    def read(self) -> dict[str, Mapping[str, Any]]:
        """The boards' entries, none without a file. Raises StoreError for a damaged file, or one of a newer format."""
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}.", path=str(self.path)) from error
        if is_conflict(text):
            raise self.damaged(
                "holds both sides of a git conflict",
                "Resolve it: keep the boards of both sides, and of a board that is on both, the entry seen last.",
            )
        try:
            document = json.loads(text)
            number, boards = document["format"], document["boards"]
            if isinstance(number, int) and number > FORMAT:
                raise self.damaged(
                    f"was written by a newer version of pelion.mbl (format {number})", "Update the collection here."
                )
            if number != FORMAT or not all(isinstance(entry, dict) for entry in boards.values()):
                raise ValueError
            return dict(boards)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise self.damaged() from None

    def damaged(self, problem: str = "is damaged", remedy: str = "") -> StoreError:
        """The error for a file whose content cannot be used."""
        return StoreError(f"{self.path} {problem}, so {self._unknown}. {remedy or self._remedy}", path=str(self.path))

    def write(self, boards: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the file; the caller holds the store's lock. Raises StoreError."""
        document = {"format": FORMAT, "boards": {name: boards[name] for name in sorted(boards)}}
        try:
            replace_file(self.path, (json.dumps(document, indent=2) + "\n").encode(), 0o660)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}.", path=str(self.path)) from error
