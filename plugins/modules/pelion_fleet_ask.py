#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_ask
short_description: Ask a board what it holds, and note what it is to hold (internal to the role)
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - The second step of the role P(pelion.mbl.provision_pelion#role), for each board. Internal to that role, so
    options and results may change with any release.
  - What the board is to hold, the role's variables say, which it reads by their names, as they are for this board.
  - One exchange over one connection; no secret is sent.
  - What an earlier run left behind on the board when it was cut off is completed or undone, unless in check mode.
options: {}
extends_documentation_fragment:
  - pelion.mbl.attributes
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
  register: answer
"""

RETURN = r"""
found:
  description: What the board holds, for M(pelion.mbl.pelion_fleet_decide). Its form may change from version to version.
  type: dict
  returned: success
  sample: {has_utility: true}
problem:
  description: What is wrong with the wishes or the role's variables, as a code and the facts of it. The board was not
    asked then.
  type: dict
  returned: when something is
  sample: {code: unknown-variable, facts: {variable: provision_pelion_rooster, near: provision_pelion_roster}}
wishes:
  description: The wishes, complete.
  type: dict
  returned: success
  sample: {dev_cert: bench-2026}
team:
  description: The variables that say which stores and which account the board has, without the prefix of their names.
    They have to be the same for all boards of a play.
  type: dict
  returned: success
  sample: {}
host_keys:
  description: Fingerprints of the ssh host keys that the board's connection was compared with.
  type: list
  elements: str
  returned: when the board answered, also where the answer is of no use
  sample: ['SHA256:9Jd0KUpXzTcwJ1e3gk8cM4Nq7vQy2bGZ5rLxWm1oHfA']
"""
