# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of plugin_utils/task/readiness_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  warn_days:
    description: Certificates that end within so many days are warned of, and boards that hold them need attention.
    type: int
    default: 30
  longest_absence_days:
    description:
      - For how many days at the most a board may be switched off or out of reach. An update certificate that ends
        within so many days more than O(warn_days) is warned of, since the next one must reach each board before that.
    type: int
    default: 90
"""
