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
  - Fails when the inventory lacks boards that are expected, when this run was given no vault secret or one that opens
    nothing of the team store, and when the cloud cannot be reached with the API key. What concerns all boards is said
    once, and before any of them is touched.
  - Runs with the strategies in which C(run_once) means once (V(linear)). Under V(free) and V(host_pinned) Ansible
    refuses it.
options:
  verify:
    description: Whether to ask the cloud. Without, boards are taken at their word.
    type: bool
    default: true
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.step
  - pelion.mbl.pelion
  - pelion.mbl.store
"""

EXAMPLES = r"""
# See roles/provision_pelion/tasks/main.yml.
"""

RETURN = r"""
# See plugins/plugin_utils/fleet.
"""
