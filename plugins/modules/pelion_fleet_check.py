#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_check
short_description: See to it that a fleet can be provisioned, before any board is asked (internal to the role)
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - The first step of the role P(pelion.mbl.provision_pelion#role), once for all boards. Internal to that role, so
    options and results may change with any release.
  - Fails when the inventory lacks boards that are expected, when this run was given no vault secret or one that opens
    nothing of the team store, and when the cloud cannot be reached with the API key. What concerns all boards is said
    once, and before any of them is touched.
  - Runs with the strategies in which C(run_once) means once (V(linear)). Under V(free) and V(host_pinned) Ansible
    refuses it.
options:
  verify:
    description: Whether the run will ask the cloud, so that the cloud is to be tried with the API key.
    type: bool
    default: true
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.info
  - pelion.mbl.pelion
  - pelion.mbl.store
seealso:
  - module: pelion.mbl.pelion_fleet_ask
  - module: pelion.mbl.pelion_fleet_decide
"""

EXAMPLES = r"""
- name: See to it that stores and cloud can be reached
  pelion.mbl.pelion_fleet_check:
  run_once: true
"""

RETURN = r"""
team_store:
  description: The directory of the team store.
  type: str
  returned: success
  sample: /home/me/.mbl-store/team
reason:
  description: Why the task failed, as a code for scripts, where it is of a known kind. The message says it in words.
  type: str
  returned: failure
  sample: store
reason_facts:
  description: What the words are made of.
  type: dict
  returned: failure
  sample: {text: The team store has entries.}
"""
