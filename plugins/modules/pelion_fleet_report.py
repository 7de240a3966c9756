#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_report
short_description: Report the state of a fleet, for people and for machines
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Puts together what the boards answered, what the Device Directory has, and which boards the team has provisioned
    (C(fleet.json) of the team store), and says of each board how it is, why, and what to do.
  - Says what has changed since the last report, which lies in O(dest), or without O(dest) in C(last-status) of the
    user store. It is kept there for that, where the user store exists, by a report on all boards.
  - Opens no entry of a store but the API key, so that it needs no vault secret when the key is given otherwise.
  - This module does not fail because a board does not answer; see C(report.success).
options:
  boards:
    description: What M(pelion.mbl.mbl_pelion_status) returned, by board, failures included.
    type: dict
    required: true
  addresses:
    description: The boards' addresses, by board.
    type: dict
    default: {}
  inventory:
    description: Names of all hosts of the inventory. A remembered board that is one of them is not missing.
    type: list
    elements: str
    default: []
  roster:
    description:
      - Names of boards that are expected besides those that the team has provisioned. Fingerprints of host keys are
        passed over.
    type: list
    elements: str
    default: []
  site:
    description: The site that the boards are at. Boards that the team remembers at another one are then not expected.
    type: str
    default: ''
  verify:
    description: Whether to ask the cloud. Without, boards are taken at their word.
    type: bool
    default: true
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.info
  - pelion.mbl.pelion
  - pelion.mbl.report
  - pelion.mbl.store
  - pelion.mbl.terms
seealso:
  - module: pelion.mbl.mbl_pelion_status
"""

EXAMPLES = r"""
- name: Ask the boards
  pelion.mbl.mbl_pelion_status:
  register: board
  ignore_errors: true
  ignore_unreachable: true

- name: Report on the fleet
  pelion.mbl.pelion_fleet_report:
    boards: "{{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all | map('extract', hostvars, 'board'))) }}"
    dest: reports
  run_once: true
  register: fleet
"""

RETURN = r"""
report:
  description: What C(fleet.json) holds, in the form of C(docs/fleet-report.schema.json) of the collection. For each
    board that is not in order, C(code) says why; C(docs/reasons.md) has them all.
  type: dict
  returned: success
  sample: {playbook: status, success: true, counts: {ok: 20}, boards: [{name: mbed-linux-os-9709, outcome: ok}]}
table:
  description: The boards as lines of a table.
  type: list
  elements: str
  returned: success
  sample: ["board  address  device id  state"]
summary:
  description: How many boards are in which state, and a line for each that is not in order.
  type: list
  elements: str
  returned: success
  sample: ["20 boards: 20 in order"]
files:
  description: The files that were written.
  type: list
  elements: str
  returned: success
  sample: [/srv/reports/fleet.json]
"""
