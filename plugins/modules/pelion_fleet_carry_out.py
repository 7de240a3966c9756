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
  - The fourth step of the role P(pelion.mbl.provision_pelion#role), for each board that has a part in the decision.
    Internal to that role, so options and results may change with any release.
  - Does what M(pelion.mbl.mbl_kcm_inject) does, without asking the board again.
options:
  part:
    description: The board's part, from RV(pelion.mbl.pelion_fleet_decide#module:parts).
    type: dict
    required: true
  found:
    description: What the board was found to hold, RV(pelion.mbl.pelion_fleet_ask#module:found).
    type: dict
    default: {}
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.board
  - pelion.mbl.store
attributes:
  check_mode:
    support: full
    details: The board is not changed.
  diff_mode:
    support: full
    details: [Shows certificates by name, fingerprint and end, never a secret.]
  idempotent:
    support: full
seealso:
  - module: pelion.mbl.pelion_fleet_decide
  - module: pelion.mbl.mbl_kcm_inject
"""

EXAMPLES = r"""
- name: Carry out the board's part
  pelion.mbl.pelion_fleet_carry_out:
    part: '{{ fleet.parts[inventory_hostname] }}'
    found: '{{ asked.boards[inventory_hostname].found }}'
  when: inventory_hostname in fleet.parts
  register: carried_out
"""

RETURN = r"""
claim:
  description: What M(pelion.mbl.pelion_fleet_conclude) has to prove of this board.
  type: dict
  returned: when the board was changed
  sample: {device_id: 0161dbbcdd660a580a010c3403c00000, dev_cert: bench-2026}
device_id:
  description: See RV(pelion.mbl.mbl_kcm_inject#module:device_id); the other results are those of that module as well.
  type: str
  returned: success
  sample: 0161dbbcdd660a580a010c3403c00000
reason:
  description: Why the task failed, as a code for scripts, where it is of a known kind. The message says it in words.
  type: str
  returned: failure
  sample: not-in-roster
reason_facts:
  description: What the words are made of.
  type: dict
  returned: failure
  sample: {board: mbed-linux-os-9709, host_keys: not known here}
"""
