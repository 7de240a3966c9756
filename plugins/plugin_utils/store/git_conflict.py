# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Teams keep their store in git, which writes both sides of a conflict into the file."""

from __future__ import annotations

_MARKS = (b"<<<<<<< ", b"=======", b">>>>>>> ")


def is_conflict(text: bytes) -> bool:
    """Whether ``text`` holds the marks with which git shows both sides of a conflict."""
    if _MARKS[0] not in text:
        return False
    lines = text.splitlines()
    return all(any(line.startswith(mark) for line in lines) for mark in _MARKS)
