#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_at_once
short_description: Carry out a task for all boards at once, in one process (internal to the role)
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Ansible makes a process for each board and task, and as many at a time as C(forks) says. Boards are slow and
    nearly all of that time is waiting, so this task carries out the boards' own task for all boards of the batch,
    each in a thread, with each board's own variables and connection.
  - Ansible has no public interface for it. With an ansible-core that it does not know well enough, or where it cannot
    tell which boards take part (the role is included under a condition, in a loop, or in a block with C(rescue) or
    C(always)), it warns once and leaves all boards to their own tasks. The results are the same.
  - A board that fails, or cannot be reached, does not make this task fail.
options:
  task:
    description: A file with one task, looked for as the files of C(include_tasks) are. Only modules of this
      collection may be carried out in this way.
    type: str
    required: true
  boards:
    description: The boards to carry it out for. Without it, those that are left of the batch.
    type: list
    elements: str
  parallel:
    description: For how many boards at a time. A C(throttle) of the task lowers it.
    type: int
    default: 64
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
