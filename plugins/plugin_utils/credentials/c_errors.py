# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a C file, without quoting its content."""

from __future__ import annotations

from ..errors import PelionError

LONGEST_QUOTE = 80
"""How many characters of a file an error may quote."""


class CSourceError(PelionError):
    """A file is not C source of the expected kind. Names file, line and reason, never its content."""

    def __init__(self, source: str, line: int | None, reason: str) -> None:
        super().__init__(f"{source}{f', line {line}' if line else ''}: {reason}", source=source, line=line)
