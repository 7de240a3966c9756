# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boards that this user's inventories saw, which they miss for a while when they are not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..discovery.seen_boards import SeenBoards, usual_files
from ..errors import PelionError
from .action import Action


def names_seen(action: Action) -> set[str]:
    """Those that they would miss."""
    names: set[str] = set()
    for boards in _lists(action):
        with _told(action.warn):
            names.update(boards.recall())
    return names


def miss_no_longer(action: Action, names: Iterable[str]) -> None:
    """Of the boards of these ``names``, nothing is said any more until they are seen again."""
    names = list(names)
    for boards in _lists(action):
        with _told(action.warn):
            boards.forget(names)


def _lists(action: Action) -> list[SeenBoards]:
    """Those at the usual place, and that of the inventory, which may be elsewhere."""
    own = action._task_vars.get("mbl_seen_file")
    return [SeenBoards(file) for file in dict.fromkeys([*usual_files(), *([Path(str(own))] if own else [])])]


@contextmanager
def _told(warn: Callable[[str], None]) -> Iterator[None]:
    try:
        yield
    except PelionError as error:
        warn(str(error))
