# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a C file, without quoting its content."""

from __future__ import annotations

from ..errors import PelionError

LONGEST_QUOTE = 80
"""How many characters of a file an error may quote."""


class CSourceError(PelionError):
    """A file is not C source of the expected kind. Names file, line and reason, never its content."""

    def __init__(self, source: str, line: int | None, reason: str, expected: str = "") -> None:
        """``expected`` is what the file should have been, where the line alone would not tell that it is something
        else."""
        self.line, self.reason = line, reason
        begin = f"{source} is not {expected}: " if expected else f"{source}{', ' if line else ': '}"
        super().__init__(f"{begin}{f'line {line}: ' if line else ''}{reason}", source=source, line=line)
