#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_device
short_description: Name, describe, group, suspend or remove devices in the cloud's Device Directory
version_added: 0.1.0
description:
  - Changes what the directory notes about devices. Options that are not given leave things as they are.
  - Asks for about 100 devices at once. Each device that is changed takes a call of its own, or two when it is both
    noted about and suspended, and one for each group that it joins or leaves; the service has none for several.
  - A device that the service refuses to change keeps no other from its change. The task then fails with its id.
  - Devices come into the directory by bootstrapping; this module cannot make one.
author:
  - The pelion.mbl contributors (@pelion)
options:
  ids:
    description: Ids of the devices. Either this or O(devices) is required.
    type: list
    elements: str
  devices:
    description: Devices with what to note about each. What an entry leaves out is taken from the options outside.
    type: list
    elements: dict
    suboptions:
      id:
        description: The device's id.
        type: str
        required: true
      name:
        description: Its name.
        type: str
      description:
        description: What to note about it.
        type: str
      custom_attributes:
        description: All of its custom attributes.
        type: dict
      groups:
        description: The names of all groups that it is in.
        type: list
        elements: str
  state:
    description:
      - V(present), the devices are in the directory, noted as the other options say. It is an error when one is not.
      - V(absent), they are not. Only devices with a developer certificate can be removed. One that is still running
        bootstraps again and comes back.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: The name; at most 128 characters.
    type: str
  description:
    description: What to note; at most 2000 characters.
    type: str
  custom_attributes:
    description:
      - All custom attributes; at most 5, names and values of at most 128 characters, no name beginning with a digit.
    type: dict
  groups:
    description:
      - The names of all groups that the devices are in. They leave the others. Groups that are missing are made.
    type: list
    elements: str
  suspended:
    description:
      - V(true), the devices cannot connect, and those that are connected are cut off.
      - V(false), devices that somebody suspended can connect again.
    type: bool
  suspend_category:
    description:
      - Why devices are suspended, as one of the service's categories, V(lost_or_stolen), V(recalled),
        V(maintenance), V(security_breach) or V(other). Devices are resumed with the category that they were
        suspended with.
    type: str
    default: maintenance
  reason:
    description: The reason in words, for the directory. Required with O(suspended).
    type: str
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.pelion
  - pelion.mbl.store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: pelion.mbl.pelion_device_info
"""

EXAMPLES = r"""
- name: Give each board its name in the portal, all in one task
  pelion.mbl.pelion_device:
    devices:
      - id: 0167d7b9a5c700000000000100100456
        name: bench-1
      - id: 0167d7b9a5c700000000000100100457
        name: bench-2
    custom_attributes:
      shelf: "3"
    groups: [Bench]
  run_once: true

- name: Take two boards out of service for a while
  pelion.mbl.pelion_device:
    ids: [0167d7b9a5c700000000000100100456, 0167d7b9a5c700000000000100100457]
    suspended: true
    reason: Being rebuilt
  run_once: true

- name: Remove the entry of a board that was scrapped
  pelion.mbl.pelion_device:
    ids: [0167d7b9a5c700000000000100100456]
    state: absent
  run_once: true
"""

RETURN = r"""
devices:
  description: The devices as they are now, those that are absent left out.
  returned: when the devices could be asked for
  type: list
  elements: dict
  contains:
    id:
      description: The device's id.
      type: str
      sample: 0167d7b9a5c700000000000100100456
    state:
      description:
        - V(registered), V(bootstrapped), V(deregistered), V(unenrolled) or V(cloud_enrolling).
        - A device stays V(registered) until its lifetime there has run out; that of MBL is 10 minutes.
      type: str
      sample: registered
    name:
      description: Its name; empty when it was given none.
      type: str
      sample: bench-7
    description:
      description: What the directory notes about it.
      type: str
      sample: Third shelf
    endpoint_name:
      description: Its endpoint name; with a developer certificate the same as its id.
      type: str
      sample: 0167d7b9a5c700000000000100100456
    serial_number:
      description: The serial number that it reported.
      type: str
      sample: "0"
    certificate_id:
      description: The id of the certificate that it bootstrapped with.
      type: str
      sample: 0167d7b9a5c7000000000001001001f0
    developer:
      description: Whether it has a developer certificate.
      type: bool
      sample: true
    bootstrapped_at:
      description: When it last bootstrapped, in UTC.
      type: str
      sample: "2026-11-23T07:10:00Z"
    created_at:
      description: When it came into the directory, in UTC.
      type: str
      sample: "2026-11-23T07:10:00Z"
    updated_at:
      description: When its entry last changed, in UTC.
      type: str
      sample: "2026-11-23T07:10:02Z"
    custom_attributes:
      description: Its custom attributes.
      type: dict
      sample: {shelf: "3"}
    groups:
      description: The names of its groups.
      returned: when groups were given for a device
      type: list
      elements: str
      sample: [Bench]
    suspended:
      description: Whether somebody suspended it, so that it cannot connect.
      type: bool
      sample: false
failed_ids:
  description: The ids of devices that the service refused to change, or did not answer for.
  returned: when there are such
  type: list
  elements: str
  sample: [0167d7b9a5c700000000000100100456]
missing_ids:
  description: The ids of devices that the directory does not have; nothing was changed.
  returned: when there are such, with O(state=present)
  type: list
  elements: str
  sample: [0167d7b9a5c700000000000100100456]
"""
