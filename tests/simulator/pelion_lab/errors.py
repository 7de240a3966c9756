# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with the lab, in words for its user."""

from __future__ import annotations


class LabError(Exception):
    """Something that the lab's user can act on."""
