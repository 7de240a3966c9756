# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of plugin_utils/task/board.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  lock_timeout:
    description: How long to wait for another run that is at work on the same board, in seconds.
    type: int
    default: 60
"""
