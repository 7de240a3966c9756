# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a utility stored in boards' KCMs, learned from what it was given.

Arm's own utility encrypts private keys and config items so that only the board can read them. The lab's cloud client
is not that board's software; it asks here instead.
"""

from __future__ import annotations

from pathlib import Path


class LearnedValues:
    def __init__(self, state: Path) -> None:
        raise NotImplementedError
