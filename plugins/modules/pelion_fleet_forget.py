#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_forget
short_description: Forget boards that the team has provisioned
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Takes boards out of C(fleet.json) of the team store, so that they are no longer expected, or only their ssh host
    keys, so that a board that was flashed anew counts as the same board.
  - Your inventories also miss the boards no longer, until they see them again.
  - Neither the board nor the Device Directory is touched. A board that is there is remembered again by the next run.
options:
  names:
    description: Inventory names of the boards. One that is not remembered is passed over.
    type: list
    elements: str
    required: true
  host_keys_only:
    description: Keep the boards, and forget their host keys.
    type: bool
    default: false
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.full
  - pelion.mbl.store
seealso:
  - module: pelion.mbl.pelion_fleet_info
"""

EXAMPLES = r"""
- name: Expect two boards no longer
  pelion.mbl.pelion_fleet_forget:
    names: [mbed-linux-os-9709, mbed-linux-os-9710]
  run_once: true
"""

RETURN = r"""
changed:
  description: Whether one of the boards was remembered.
  type: bool
  returned: always
forgotten:
  description: The boards of which something was forgotten.
  type: list
  elements: str
  returned: success
  sample: [mbed-linux-os-9709]
"""
