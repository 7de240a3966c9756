#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_decide
short_description: Decide what each board of a fleet gets (internal to the role)
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - The third step of the role P(pelion.mbl.provision_pelion#role), once for all boards. Internal to that role, so
    options and results may change with any release.
  - Takes what every board itself wishes and holds, asks the team store and the cloud once, and gives each board its
    part.
  - "A board gets nothing when it is proven to hold what it should and the Device Directory has it as registered. Else
    it is to be injected, or to register anew, or it is refused: since it is not in the roster, since its developer
    certificate has no room, since it has bootstrapped with another one, or since it holds an update certificate that
    the team store does not know. What is refused for one board does not keep the others from theirs."
  - Fails when all boards are refused for one and the same reason, by its code, which is then said once.
  - Nothing is made or changed but two files of the team store. C(fleet.json) remembers the boards that were proven.
    C(reserved.json) holds, for an hour, the places in developer certificates that were given to boards which the cloud
    does not count yet, so that runs that decide at the same time do not give them away twice.
options:
  asked:
    description: What M(pelion.mbl.pelion_fleet_ask) returned, by board. Entries without its results are passed over.
    type: dict
    required: true
  verify:
    description: Whether to ask the cloud. Without, boards get the certificates of their names, and are taken at their
      word.
    type: bool
    default: true
  warn_days:
    description: Certificates that end within so many days are warned of.
    type: int
    default: 30
  longest_absence_days:
    description:
      - For how many days at the most a board may be switched off or out of reach. An update certificate that ends
        within so many days more than O(warn_days) is warned of, since the next one must reach each board before that.
    type: int
    default: 90
  only_look:
    description: Whether this is only to see who would be refused, before a decision for fewer boards at a time. No
      file is changed.
    type: bool
    default: false
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.info
  - pelion.mbl.pelion
  - pelion.mbl.store
seealso:
  - module: pelion.mbl.pelion_fleet_ask
  - module: pelion.mbl.pelion_fleet_carry_out
"""

EXAMPLES = r"""
- name: Decide what each board gets
  pelion.mbl.pelion_fleet_decide:
    asked: '{{ asked.boards }}'
  run_once: true
  register: fleet
"""

RETURN = r"""
parts:
  description:
    - What is to be done on which board, for M(pelion.mbl.pelion_fleet_carry_out). Boards that need nothing are not in
      it. One for which nothing may be done has V(refused), the reason as a code with its facts.
  type: dict
  returned: success
  sample: {mbed-linux-os-9709: {dev_cert: bench-2026, update_resources: bench-update}}
to_work_on:
  description: The boards with a part that is not a refusal; none when this is only to look.
  type: list
  elements: str
  returned: success
  sample: [mbed-linux-os-9709]
dev_certs:
  description: Names of developer certificates that the team store must be given first.
  type: list
  elements: str
  returned: success
  sample: [bench-2026]
only_look:
  description: As given.
  type: bool
  returned: success
  sample: false
gets:
  description: With O(only_look), what each board with a part would get, in words.
  type: dict
  returned: success
  sample: {mbed-linux-os-9709: the developer certificate 'bench-2026'}
update_resources:
  description: Options of M(pelion.mbl.mbl_update_resources) for what the team store must be given first.
  type: list
  elements: dict
  returned: success
  sample: [{name: bench-update, vendor_domain: example.com, device_class: bench-board}]
absent:
  description: Boards that the team has provisioned at this site and that the inventory does not have. Empty under
    C(--limit).
  type: list
  elements: str
  returned: success
  sample: [mbed-linux-os-9710]
takes_updates:
  description: Whether boards that need nothing take updates, by board; if not, or if that is not
    known, with the reason as a code with its facts.
  type: dict
  returned: success
  sample: {mbed-linux-os-9709: {answer: "yes", reason: null, rotate_by: "2045-08-27T00:00:00Z"}}
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
