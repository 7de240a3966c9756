# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of plugin_utils/task/reporting.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  dest:
    description:
      - A directory to write the report to, as C(fleet.json), C(fleet.csv), C(fleet.junit.xml), C(fleet.prom) and
        C(fleet.html). It is made when it is not there. A relative path is relative to the directory of the command.
      - What has changed since the report that was there before is said in the new one.
      - Reports are written in check mode, too.
    type: path
"""
