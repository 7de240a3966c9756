# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a C file, told without its content."""

from __future__ import annotations

from ..errors import PelionError


class CSourceError(PelionError):
    """A file is not C source of the expected kind. Names file, line and reason, never its content."""

    def __init__(self, source: str, line: int | None, reason: str) -> None:
        super().__init__(f"{source}{f', line {line}' if line else ''}: {reason}", source=source, line=line)


def printable(text: str) -> str:
    """``text`` out of a file, short and harmless enough for an error message."""
    return "".join(c if c.isprintable() and c.isascii() else "?" for c in text[:80])
