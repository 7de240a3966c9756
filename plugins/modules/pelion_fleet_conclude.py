#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_conclude
short_description: Prove that boards are registered, and say what became of each (internal to the role)
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - The last step of the role P(pelion.mbl.provision_pelion#role), once for all boards. Internal to that role, so
    options and results may change with any release.
  - Waits until the Device Directory has every board that was changed as registered, under the developer certificate
    that it was given and with a bootstrap of its own where it had to bootstrap.
  - Boards that are proven are remembered in the file C(fleet.json) of the team store.
  - Does not fail for boards that are not proven or were refused, but has the result with which each is to fail by
    itself, in M(pelion.mbl.pelion_fleet_tell).
options:
  asked:
    description: What M(pelion.mbl.pelion_fleet_ask) returned, by board.
    type: dict
    required: true
  parts:
    description: The boards' parts, RV(pelion.mbl.pelion_fleet_decide#module:parts).
    type: dict
    required: true
  carried_out:
    description: What M(pelion.mbl.pelion_fleet_carry_out) returned, by board.
    type: dict
    default: {}
  told:
    description: Boards whose own tasks have told what became of them.
    type: list
    elements: str
    default: []
  tell:
    description: Which boards are to be told of. With V(concerned), only those that failed, were not reached or were
      changed.
    type: str
    choices: [every, concerned]
    default: every
  verify:
    description: Whether to ask the cloud. Without, boards are taken at their word.
    type: bool
    default: true
  warn_days:
    description: A board with an update certificate that ends within so many days is not said to take updates.
    type: int
    default: 30
  longest_absence_days:
    description:
      - For how many days at the most a board may be switched off or out of reach. An update certificate that ends
        within so many days more than O(warn_days) is warned of, since the next one must reach each board before that.
    type: int
    default: 90
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.info
  - pelion.mbl.pelion
  - pelion.mbl.store
seealso:
  - module: pelion.mbl.pelion_fleet_carry_out
  - module: pelion.mbl.pelion_device_info
"""

EXAMPLES = r"""
- name: Ask the Device Directory for all boards at once
  pelion.mbl.pelion_fleet_conclude:
    asked: '{{ asked.boards }}'
    parts: '{{ fleet.parts }}'
    carried_out: "{{ dict(ansible_play_batch | zip(ansible_play_batch | map('extract', hostvars, 'carried_out'))) }}"
  run_once: true
  register: ended
"""

RETURN = r"""
boards:
  description: What became of each board, as the result of a task of its own.
  type: dict
  returned: success
  sample: {mbed-linux-os-9709: {changed: false}}
tell:
  description: The boards to tell of.
  type: list
  elements: str
  returned: success
  sample: [mbed-linux-os-9709]
proven:
  description: The boards that are registered, of those that were changed.
  type: list
  elements: str
  returned: success
  sample: [mbed-linux-os-9709]
takes_updates:
  description: Whether boards that are proven take updates, by board; if not, or if that is not
    known, with the reason as a code with its facts.
  type: dict
  returned: success
  sample: {mbed-linux-os-9709: {answer: "yes", reason: null, rotate_by: "2045-08-27T00:00:00Z"}}
reason:
  description: Why the task failed, as a code for scripts, where it is of a known kind. The message says it in words.
  type: str
  returned: failure
  sample: cloud
reason_facts:
  description: What the words are made of.
  type: dict
  returned: failure
  sample: {text: The API key was not accepted.}
"""
