#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_ask
short_description: Ask a board what it holds, and note what it is to hold (internal to the role)
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - What the board is to hold, the role's variables say, which it reads by their names, as they are for this board.
  - One exchange over one connection; no secret is sent. What an earlier run left behind on the board when it was cut
    off is completed or undone, unless in check mode.
options: {}
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.step
"""

EXAMPLES = r"""
# See roles/provision_pelion/tasks/main.yml.
"""

RETURN = r"""
# See plugins/plugin_utils/fleet.
"""
