# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of plugin_utils/task/board.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  lock_timeout:
    description: How long to wait for another run that is at work on the same board, in seconds.
    type: int
    default: 60
  board_timeout:
    description:
      - How long a board may take for what it is asked or told, in seconds. The time that it waits for another run
        (O(lock_timeout)) or for its registration is added. Boards take seconds.
      - When it is over, the board ends the work and undoes what it had begun. If it does not even do that, the
        connection is closed two minutes later (with Ansible's P(ansible.builtin.ssh#connection)). Either way the task
        fails.
    type: int
    default: 300
"""
