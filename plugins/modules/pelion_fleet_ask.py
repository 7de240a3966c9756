#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_ask
short_description: Ask a board what it holds, and note what it is to hold
version_added: 0.2.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - The second step of the role P(pelion.mbl.provision_pelion#role), for each board. One exchange over one connection;
    no secret is sent.
  - What an earlier run left behind on the board when it was cut off is completed or undone, unless in check mode.
options:
  wishes:
    description: What this board is to hold, from its own variables. Each is the role's variable of that name.
    type: dict
    required: true
    suboptions:
      dev_cert:
        description: Name of the developer certificate.
        type: str
        required: true
      create:
        description: Whether that certificate may be made.
        type: bool
        default: true
      spread:
        description: Whether the certificates V(NAME-01), V(NAME-02) and so on serve as well.
        type: bool
        default: false
      update:
        description: The update resources, and what they are made from when the team store does not have them.
        type: dict
        required: true
        suboptions:
          name:
            description: Their name in the team store.
            type: str
            required: true
          src:
            description: The C file that they come from; see O(pelion.mbl.mbl_update_resources#module:src).
            type: str
          vendor_domain:
            description: What the vendor ID is derived from.
            type: str
          device_class:
            description: What the class ID is derived from.
            type: str
          vendor_id:
            description: The vendor ID.
            type: str
          class_id:
            description: The class ID.
            type: str
          renew_before_days:
            description: A certificate that ends within so many days is followed by a new one.
            type: int
          renew_if_made_before:
            description: A certificate that was made before this moment is followed by a new one.
            type: str
      when_bootstrapped:
        description: See O(pelion.mbl.mbl_kcm_inject#module:when_bootstrapped).
        type: str
        choices: [refuse, keep_identity, new_identity]
        default: refuse
      when_update_unknown:
        description: See O(pelion.mbl.mbl_kcm_inject#module:when_update_unknown).
        type: str
        choices: [refuse, replace]
        default: refuse
      registration_timeout:
        description: How long to wait for the registration, in seconds; V(0) to not wait.
        type: int
        default: 120
      roster:
        description: Names of boards, or fingerprints of their ssh host keys, that may get keys; all boards when empty.
        type: list
        elements: str
        default: []
      new_boards:
        description: What to do without a roster with a board that the team has not provisioned before.
        type: str
        choices: [allow, refuse]
        default: allow
      site:
        description: At which of the team's sites the board is, for the fleet's memory and its reports.
        type: str
        default: ''
  team:
    description: The stores and the account of this board, which have to be the same for all boards of a play.
    type: dict
    default: {}
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.board
attributes:
  check_mode:
    support: full
    details: The board is asked, not changed.
  diff_mode:
    support: none
  idempotent:
    support: full
seealso:
  - module: pelion.mbl.pelion_fleet_decide
  - module: pelion.mbl.mbl_pelion_status
    description: What a board holds and how it is, for people and scripts.
"""

EXAMPLES = r"""
- name: Ask the board what it holds
  pelion.mbl.pelion_fleet_ask:
    wishes:
      dev_cert: bench-2026
      update:
        name: bench-update
  register: asked
"""

RETURN = r"""
found:
  description: What the board holds, for M(pelion.mbl.pelion_fleet_decide). Its form may change from version to version.
  type: dict
  returned: success
  sample: {has_utility: true}
problem:
  description: What is wrong with the wishes or the role's variables. The board was not asked then.
  type: str
  returned: when something is
  sample: provision_pelion_spred is no variable of the role provision_pelion
wishes:
  description: The wishes, complete.
  type: dict
  returned: success
  sample: {dev_cert: bench-2026}
team:
  description: As it was given.
  type: dict
  returned: success
  sample: {}
host_keys:
  description: Fingerprints of the ssh host keys that the board's connection was compared with.
  type: list
  elements: str
  returned: success
  sample: ['SHA256:9Jd0KUpXzTcwJ1e3gk8cM4Nq7vQy2bGZ5rLxWm1oHfA']
"""
