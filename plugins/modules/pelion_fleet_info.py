#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_info
short_description: Tell which boards the team has provisioned
version_added: 0.2.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Reads C(fleet.json) of the team store, which remembers every board that was proven to be registered. It holds no
    secret, so that neither a vault secret nor an API key is needed, nor a board.
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
"""
