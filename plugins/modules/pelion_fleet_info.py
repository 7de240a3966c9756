#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_info
short_description: Tell which boards the team has provisioned
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Reads C(fleet.json) of the team store, which remembers every board that was proven to be registered. It holds no
    secret, so that neither a vault secret nor an API key is needed, nor a board.
options:
  names:
    description:
      - Boards that somebody named. Fails for a name that neither the team nor the inventory knows, and says which one
        may be meant.
    type: list
    elements: str
    default: []
    version_added: 1.0.0
  leaving:
    description:
      - Boards that are to leave the fleet. RV(leaving) is then which devices leave the Device Directory with them.
      - Fails for a name that neither the team nor the inventory knows, for a board that is there under another name,
        and for a name that is by now another board's.
    type: list
    elements: str
    version_added: 1.0.0
  says:
    description:
      - The device IDs that boards say are their own, by board, empty for one that could not be asked; with O(leaving).
      - Where a board says otherwise than the team has proven, a warning names both, and what the team has proven
        counts.
    type: dict
    default: {}
    version_added: 1.0.0
  shows:
    description:
      - The fingerprints of the host keys that ssh has proven of boards that are there, by board; with O(leaving).
    type: dict
    default: {}
    version_added: 1.0.0
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.info
  - pelion.mbl.store
seealso:
  - module: pelion.mbl.pelion_fleet_forget
  - module: pelion.mbl.pelion_fleet_report
"""

EXAMPLES = r"""
- name: Read which boards the team has provisioned
  pelion.mbl.pelion_fleet_info:
  register: fleet
  run_once: true

- name: Read which device leaves with a board that is gone
  pelion.mbl.pelion_fleet_info:
    leaving: [mbed-linux-os-9709]
  register: fleet
  run_once: true
"""

RETURN = r"""
team_store:
  description: The team store's directory.
  type: str
  returned: success
  sample: /srv/mbl/team
boards:
  description: The boards by name, each with C(host_keys) (fingerprints of its ssh host keys), C(device_id),
    C(certificate) (its developer certificate's name), C(seen), when it was last proven, and C(site), where that was.
  type: dict
  returned: success
  sample:
    mbed-linux-os-9709:
      host_keys: ['SHA256:9Jd0KUpXzTcwJ1e3gk8cM4Nq7vQy2bGZ5rLxWm1oHfA']
      device_id: 0161dbbcdd660a580a010c3403c00000
      certificate: bench-2026
      seen: "2026-11-25T00:00:00Z"
      site: ''
leaving:
  description: The IDs of the devices that leave with the boards of O(leaving), by board. A device that another board
    has as well stays, and so does one that the team has not proven to be the board's.
  type: dict
  returned: with O(leaving)
  sample: {mbed-linux-os-9709: 0161dbbcdd660a580a010c3403c00000}
"""
