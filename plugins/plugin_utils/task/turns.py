# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads of which one works while the others wait for their boards: Ansible's own code is not made for threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Thread(threading.local):
    turn: threading.Lock | None = None


_here = _Thread()


@contextmanager
def in_turn(turn: threading.Lock) -> Iterator[None]:
    """Work of this thread, during which none of the others that share ``turn`` work."""
    with turn:
        _here.turn = turn
        try:
            yield
        finally:
            _here.turn = None


@contextmanager
def others_turn() -> Iterator[None]:
    """A wait, during which others may work. Does nothing in a thread that shares no turn."""
    turn = _here.turn
    if turn is None:
        yield
        return
    turn.release()
    try:
        yield
    finally:
        turn.acquire()


def takes_turns() -> bool:
    """Whether this thread is one of several."""
    return _here.turn is not None
