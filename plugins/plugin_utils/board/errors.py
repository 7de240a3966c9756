# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The error of a board."""

from __future__ import annotations

from ..errors import PelionError
from ..reasons import Reason
from .reasons import BOARD_REASONS


class BoardError(PelionError):
    """A board could not do what was asked.

    Facts: ``reason``, a code of BOARD_REASONS, and ``reason_facts``; ``undone``, whether the board's old set was put
    back; ``recovered``, whether something that an earlier run had left was put in order before; ``changed``, whether
    the board is another one than before.
    """

    @classmethod
    def of(
        cls,
        reason: str,
        detail: str = "",
        *,
        undone: bool | None = None,
        recovered: bool = False,
        committed: bool = False,
    ) -> BoardError:
        """For a reason of the board program. ``undone``: whether the board could put its old KCM back."""
        message = " ".join(Reason(reason, {"detail": detail}).message(BOARD_REASONS).split())
        if undone:
            message += " The board's KCM is as it was before."
        elif undone is False:
            message += " The board still has its old KCM, whole; the next run puts it back."
        changed = recovered or committed or undone is False
        return cls(
            message,
            reason=reason,
            reason_facts={"detail": detail},
            undone=bool(undone),
            recovered=recovered,
            changed=changed,
        )
