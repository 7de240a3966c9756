#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_device
short_description: Name, describe or remove a device in the cloud's Device Directory
version_added: 0.1.0
description:
  - Changes what the directory notes about a device. Options that are not given leave things as they are.
  - Devices come into the directory by bootstrapping; this module cannot make one.
author:
  - The pelion.mbl contributors (@pelion)
options:
  id:
    description: The device's id.
    type: str
    required: true
  state:
    description:
      - V(present), the device is in the directory, noted as the other options say.
      - V(absent), it is not. Only devices with a developer certificate can be removed. One that is still running
        bootstraps again and comes back.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: Its name; at most 128 characters.
    type: str
  description:
    description: What to note about it; at most 2000 characters.
    type: str
  custom_attributes:
    description: All of its custom attributes; at most 5, names and values of at most 128 characters.
    type: dict
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
- name: Give each board its name in the portal
  pelion.mbl.pelion_device:
    id: "{{ board.device_id }}"
    name: "{{ inventory_hostname }}"
    custom_attributes:
      shelf: "3"
  throttle: 4

- name: Remove the entry of a board that was scrapped
  pelion.mbl.pelion_device:
    id: 0167d7b9a5c700000000000100100456
    state: absent
"""

RETURN = r"""
device:
  description: The device; null when it is absent.
  returned: success
  type: dict
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
      description: The serial number that it told.
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
"""
