#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_merge
short_description: Put the reports of several sites together
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Makes one report of those that runs at several sites, or over several slices of a fleet, have written. Each board is
    reported with its site.
  - A site without a report, for instance because its machine died, is a problem of the fleet, and its boards are not
    reached. They are those of O(expected), and those that the team store remembers at that site
    (C(provision_pelion_site) of the role), unless another site has them now.
  - Boards of two sites with one name are a problem, too, since memory, roster and host keys go by names.
  - Needs neither a vault secret nor an API key. This module does not fail because a board is not in order; see
    C(report.success).
options:
  reports:
    description:
      - The directory of each site's report, as C(-e report=DIR) of this collection's playbooks and
        O(pelion.mbl.pelion_fleet_report#module:dest) write it. It need not be there. A relative path is relative to the
        directory of the command.
    type: dict
    required: true
  expected:
    description: The names of the boards that should be at a site, a list for each; for sites that have sent no report.
    type: dict
    default: {}
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.info
  - pelion.mbl.report
  - pelion.mbl.store
seealso:
  - module: pelion.mbl.pelion_fleet_report
"""

EXAMPLES = r"""
- name: Put the reports of two sites together
  pelion.mbl.pelion_fleet_merge:
    reports:
      north: reports/north
      south: reports/south
    expected:
      south: [mbed-linux-os-9709, mbed-linux-os-9710]
    dest: reports/all
  run_once: true
  register: fleet
"""

RETURN = r"""
report:
  description: The report, in the form of RV(pelion.mbl.pelion_fleet_report#module:report). C(sites) says when each
    site's own was made, null where there is none.
  type: dict
  returned: success
  sample: {success: true, counts: {ok: 20}, sites: [{name: north, made_at: "2026-11-25T00:00:00Z"}]}
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
  sample: [/srv/reports/all/fleet.json]
"""
