# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that users see."""

from __future__ import annotations

from typing import Any


class PelionError(Exception):
    """Something that the user can act on.

    The text says what went wrong, with which value (never a secret), and what to do about it.
    ``facts`` are JSON-able details that scripts can use; they become fields of the task's result.
    """

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts
