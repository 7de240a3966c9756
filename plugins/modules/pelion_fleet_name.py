#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_fleet_name
short_description: Call the fleet's devices by their boards' names in the Device Directory
version_added: 1.0.0
description:
  - Gives the device of each board a name, and with it a description, custom attributes and groups.
  - Which device is whose is read from C(fleet.json) of the team store, so no board is asked.
  - Asks for about 100 devices at once. Each device that is changed takes a call of its own, and one for each group that
    it joins or leaves; the service has none for several.
author:
  - The pelion.mbl contributors (@pelion)
options:
  boards:
    description:
      - The boards. One that the team has not provisioned yet is named in a warning and passed over.
      - What an entry leaves out stays as it is.
    type: list
    elements: dict
    suboptions:
      board:
        description: The board's inventory name.
        type: str
        required: true
      name:
        description:
          - The device's name, at most 128 characters.
          - Without it, the board's name, unless the device has a name already, which a table or the portal gave.
        type: str
      description:
        description: What to note about it, at most 2000 characters.
        type: str
      custom_attributes:
        description: All of its custom attributes, at most 5.
        type: dict
      groups:
        description: The names of all groups that it is in. It leaves the others, and groups that are missing are made.
        type: list
        elements: str
  src:
    description:
      - A CSV file instead, in UTF-8, with commas or semicolons between the columns, which its first line names.
        A relative path is relative to where Ansible was started.
      - C(board) (inventory name) or C(serial_number) (as the directory has it) says which device a row is for.
        C(name), C(description), C(groups) (names with C(|) between them) and C(attribute_NAME) say what it is given. An
        empty cell leaves a thing as it is; with C(board), the name is the board's.
      - Devices without a row are left alone. If it is unclear which device a row is for, nothing is changed.
    type: path
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.full
  - pelion.mbl.pelion
  - pelion.mbl.store
seealso:
  - module: pelion.mbl.pelion_device
  - module: pelion.mbl.pelion_fleet_info
"""

EXAMPLES = r"""
- name: Call two devices as their boards, and have them in a group
  pelion.mbl.pelion_fleet_name:
    boards:
      - board: mbed-linux-os-9709
        groups: [Bench]
      - board: mbed-linux-os-9710
        groups: [Bench]
        description: Third shelf
  run_once: true

- name: Name the devices of a table
  pelion.mbl.pelion_fleet_name:
    src: devices.csv
  run_once: true
"""

RETURN = r"""
done:
  description: What was done to the device of which board, and which devices keep another name, as sentences.
  type: list
  elements: str
  returned: success
  sample: ["bench-7: its device 0167d7b9a5c700000000000100100456 now has name 'bench-7'."]
devices:
  description: The devices as they are now, as in RV(pelion.mbl.pelion_device#module:devices).
  type: list
  elements: dict
  returned: success
  sample: [{id: 0167d7b9a5c700000000000100100456, name: bench-7, state: registered}]
failed_ids:
  description: The ids of devices that the service refused to change, or did not answer for.
  type: list
  elements: str
  returned: when there are such
  sample: [0167d7b9a5c700000000000100100456]
missing_ids:
  description: The ids of devices that the directory does not have; nothing was changed.
  type: list
  elements: str
  returned: when there are such
  sample: [0167d7b9a5c700000000000100100456]
"""
