#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_certificate_check
short_description: Fail when a certificate of boards, team store or cloud ends soon
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - For cron and CI. Looks at the certificates that boards hold, at those of the team store, and at the active developer
    certificates of the account. Former signing certificates of update resources do not count.
  - Fails as well when a board did not answer or an entry of the team store cannot be read, since those certificates
    cannot be checked.
options:
  boards:
    description: What M(pelion.mbl.mbl_pelion_status) returned, by board, failures included.
    type: dict
    default: {}
  within_days:
    description: How many days are soon.
    type: int
    default: 30
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.info
  - pelion.mbl.pelion
  - pelion.mbl.store
seealso:
  - module: pelion.mbl.pelion_fleet_report
"""

EXAMPLES = r"""
- name: Fail when a certificate of store or cloud ends within three months
  pelion.mbl.pelion_certificate_check:
    within_days: 90
  run_once: true
"""

RETURN = r"""
unchecked:
  description: The boards that did not answer.
  type: list
  elements: str
  returned: success, and when there are such
  sample: [mbed-linux-os-9709]
ending:
  description: The certificates that end soon, the first to end first.
  type: list
  elements: dict
  returned: success, and when there are such
  contains:
    not_after:
      description: The end, in UTC.
      type: str
      sample: "2026-12-01T00:00:00Z"
    days:
      description: Whole days until then; negative when it has ended.
      type: int
      sample: 6
    place:
      description: V(team store), V(cloud), V(board NAME), or how many boards, with the names of the first.
      type: str
    kind:
      description: V(developer) or V(update).
      type: str
    name:
      description: Its name in store or cloud; on a board, its common name.
      type: str
      sample: bench-2026
"""
