#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_update_proof
short_description: Have boards themselves prove that they take updates
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Sends boards, by an update campaign of the Pelion service, a signed update that no board can install, and reads what
    they answer. A board's client judges key, certificate, vendor and class of an update before it judges its version,
    and this one has version 0, which is newer than nothing. So a board that answers 221 would have taken a newer one,
    and every other answer says what is wrong.
  - The playbook C(pelion.mbl.prove_updates) does this for a fleet, canaries first, and says what it costs beforehand.
  - Nothing that a board could install is ever sent. The bytes are read again before they leave, and all but version 0,
    an empty digest, and an address where nothing is are refused. No option changes that.
  - A board fetches nothing, writes nothing and does not restart for it. Its client's log gets about 100 lines, the last
    one of an error (RV(pelion.mbl.mbl_pelion_status#module:update_answers)).
  - Boards that hold the same certificate and IDs are asked together, by one campaign. Only boards are asked that are
    known to take updates, as the playbook C(pelion.mbl.status) tells it, on which no update is under way as far as the
    service knows, and that no other active campaign waits for. The campaign and its manifest are deleted, whatever
    happens. What a run left that was killed is found by its name and deleted by the next one.
  - A proof is remembered in the file C(fleet.json) of the team store, until the board is given credentials again. A
    board whose proof stands is not asked again.
  - It is not known what the service does in some cases. It may refuse version 0, or not give it to a board that has
    a later update. Then no proof comes, and none is claimed.
  - Not proven is that the board can fetch and install an update, and that its certificate has not ended.
options:
  boards:
    description:
      - What M(pelion.mbl.mbl_pelion_status) returned, by the names of the boards.
      - Either this or O(require) is needed.
    type: dict
  timeout:
    description: How many seconds to wait for the answers to one campaign.
    type: int
    default: 600
  counterpart:
    description:
      - Ask the boards that are proven once more, with an update that is signed with a key that nobody has. A board that
        gives the same answer to that proves nothing. It takes one more campaign for each that is needed.
    type: bool
    default: false
  again:
    description: Whether to ask boards whose proof stands, too.
    type: bool
    default: false
  require:
    description:
      - What an earlier call returned for one board, of RV(boards). The task fails when that board is not proven, with
        its reason.
    type: dict
  log:
    description:
      - With O(require), what the board's own log says of updates since it was asked, of
        RV(pelion.mbl.mbl_pelion_status#module:update_answers).
      - Boards of MBL 0.5 answer with numbers that mean several things. If the log of one says which it was (520), the
        board is proven, and remembered as such.
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.full
  - pelion.mbl.pelion
  - pelion.mbl.store
  - pelion.mbl.terms
notes:
  - Each campaign counts against what the account may start, which is 200 a month for free accounts. Commercial ones may
    need a token for each board; whether a refused update uses it up is not known.
seealso:
  - module: pelion.mbl.mbl_pelion_status
  - module: pelion.mbl.mbl_update_resources
"""

EXAMPLES = r"""
- name: Ask the boards what they hold
  pelion.mbl.mbl_pelion_status:
  register: mbl_board

- name: Have them prove that they take updates
  pelion.mbl.pelion_update_proof:
    boards: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'mbl_board'))) }}"
    counterpart: true
  run_once: true
  register: mbl_proof

- name: Fail for each board that did not
  pelion.mbl.pelion_update_proof:
    require: "{{ mbl_proof.boards[inventory_hostname] }}"
"""

RETURN = r"""
boards:
  description: What came of each board, by name. In check mode, boards that would be asked are not in it.
  type: dict
  returned: when O(boards) is given
  sample:
    mbed-linux-os-9709:
      outcome: proven
      result: 221
      reason:
      reason_facts: {}
      message: ''
      proven_at: '2026-11-28T11:00:00Z'
      asked: true
asked:
  description: The boards that were asked, or in check mode would be.
  type: list
  elements: str
  returned: when O(boards) is given
  sample: [mbed-linux-os-9709]
proven:
  description: The boards that are proven to take updates, now or before.
  type: list
  elements: str
  returned: when O(boards) is given
  sample: [mbed-linux-os-9709]
gets:
  description: What each board gets, in words, for M(pelion.mbl.pelion_fleet_waves). Boards whose proof stands are not
    in it.
  type: dict
  returned: when O(boards) is given
  sample: {mbed-linux-os-9709: asked to prove that it takes updates}
campaigns:
  description: How many update campaigns this took, or in check mode would take, at most.
  type: int
  returned: when O(boards) is given
  sample: 1
left_over:
  description: The names of what a killed run had left at the service, and that was deleted.
  type: list
  elements: str
  returned: when O(boards) is given
  sample: []
reason:
  description: Why the board is not proven, as a code for scripts. The message says it in words.
  type: str
  returned: failure
  sample: update-certificate-refused
reason_facts:
  description: What the words are made of.
  type: dict
  returned: failure
  sample: {result: 208, fingerprint: 8f0b2129b07c0bf62dd236576814d9952d6ab461d47a8c6ac49edbc1f72e4188}
outcome:
  description: Of a board that is not proven, V(refused), V(not_known) or V(not_asked).
  type: str
  returned: failure
  sample: refused
result:
  description: The number that the board answered with, none without an answer.
  type: int
  returned: failure
  sample: 208
"""
