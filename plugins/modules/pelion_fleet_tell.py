#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_tell
short_description: Give a board the result that a task for all boards has for it (internal to the role)
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Only a board's own task counts for Ansible, in its recap, for C(rescue), for C(max_fail_percentage) and for
    whatever reads its events. This one ends as the task for all boards says that it ended for the board.
options:
  results:
    description: The name of the variable with the results, as a task with C(boards) in its result registered it.
    type: str
    required: true
  alone:
    description: The name of the variable that a board's own task registered, for boards that have no result there.
    type: str
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.step
"""

EXAMPLES = r"""
# See roles/provision_pelion/tasks/main.yml.
"""

RETURN = r"""
# See plugins/plugin_utils/fleet.
"""
