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
  - Takes what every board itself wishes and holds, asks the team store and the cloud once, and gives each board its
    part.
  - "A board gets nothing when it is proven to hold what it should and the Device Directory has it as registered. Else
    it is to be injected, or to register anew, or it is refused: since it is not in the roster, since its developer
    certificate has no room, since it has bootstrapped with another one, or since it holds an update certificate that
    the team store does not know. What is refused for one board does not keep the others from theirs."
  - Fails when all boards are refused for one and the same reason, by its code, which is then said once.
  - Nothing is made or changed but two files of the team store. C(fleet.json) remembers the boards that were proven.
    C(reserved.json) holds, for an hour, the places in developer certificates that were given to boards which the
    cloud does not count yet, so that runs that decide at the same time do not give them away twice.
options:
  asked:
    description: What M(pelion.mbl.pelion_fleet_ask) returned, by board. Entries without its results are passed over.
    type: dict
    required: true
  verify:
    description: Whether to ask the cloud. Without, boards are taken at their word.
    type: bool
    default: true
  only_look:
    description: Whether this is only to see who would be refused, before a decision for fewer boards at a time. No
      file is changed.
    type: bool
    default: false
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
