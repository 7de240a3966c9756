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
  - Waits until the Device Directory has every board that was changed as registered, under the developer certificate
    that it was given and with a bootstrap of its own where it had to bootstrap. Boards that are proven are remembered
    in the file C(fleet.json) of the team store.
  - Does not fail for boards that are not proven or were refused, but has the result with which each is to fail by
    itself, in M(pelion.mbl.pelion_fleet_tell).
options:
  asked:
    description: What M(pelion.mbl.pelion_fleet_ask) returned, by board.
    type: dict
    required: true
  parts:
    description: The boards' parts, of M(pelion.mbl.pelion_fleet_decide).
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
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.step
  - pelion.mbl.pelion
  - pelion.mbl.store
  - pelion.mbl.terms
"""

EXAMPLES = r"""
# See roles/provision_pelion/tasks/main.yml.
"""

RETURN = r"""
# See plugins/plugin_utils/fleet.
"""
