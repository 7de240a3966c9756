#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_carry_out
short_description: Carry out on a board what was decided for it (internal to the role)
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Does what M(pelion.mbl.mbl_kcm_inject) does, without asking the board again.
options:
  part:
    description: The board's part, of M(pelion.mbl.pelion_fleet_decide).
    type: dict
    required: true
  found:
    description: What M(pelion.mbl.pelion_fleet_ask) found that the board holds.
    type: dict
    default: {}
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.step
  - pelion.mbl.board
  - pelion.mbl.store
"""

EXAMPLES = r"""
# See roles/provision_pelion/tasks/main.yml.
"""

RETURN = r"""
# See plugins/plugin_utils/fleet.
"""
