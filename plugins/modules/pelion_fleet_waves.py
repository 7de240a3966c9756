#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_waves
short_description: Divide a fleet into waves
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Says which boards are in which wave, and what each of them gets, for a playbook that begins a wave only when the one
    before is whole. The results are for a play's C(hosts) and C(serial).
  - It depends on names alone, so a second run has the same waves, whatever was done in the first one.
options:
  waves:
    description:
      - What the waves are, one after the other. A count, a percentage of all boards (at least one board), a group or a
        board of the inventory, or a file of names. Boards that are in an earlier wave are passed over.
      - A file has a name of a board or a group on each line, and an empty line between waves. What follows a C(#) is
        passed over.
      - The last count or percentage is repeated until no board is left. After a group or a file, the boards that are
        left are a wave together.
    type: list
    elements: str
    default: ['1', '20%', '100%']
  boards:
    description: The boards, in their order.
    type: list
    elements: str
    required: true
  gets:
    description: What each board gets, in words. Boards that are not in it are done.
    type: dict
    required: true
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.info
seealso:
  - module: pelion.mbl.pelion_fleet_decide
  - module: pelion.mbl.pelion_update_proof
"""

EXAMPLES = r"""
- name: Divide the boards into waves
  pelion.mbl.pelion_fleet_waves:
    waves: [1, 20%, 100%]
    boards: '{{ ansible_play_hosts }}'
    gets: "{{ dict(ansible_play_hosts | zip(['a new update certificate'] * ansible_play_hosts | length)) }}"
  run_once: true
"""

RETURN = r"""
waves:
  description: Each wave's C(boards), and those of them that are to get something, C(to_do).
  type: list
  elements: dict
  returned: success
  sample: [{boards: [mbed-linux-os-9709], to_do: [mbed-linux-os-9709]}]
order:
  description: All boards in the order of the waves.
  type: list
  elements: str
  returned: success
  sample: [mbed-linux-os-9709]
sizes:
  description: How many boards there are in each wave.
  type: list
  elements: int
  returned: success
  sample: [1]
plan:
  description: The same for people, in lines.
  type: list
  elements: str
  returned: success
  sample: ['Wave 1 of 1, 1 board. A new update certificate: mbed-linux-os-9709']
"""
