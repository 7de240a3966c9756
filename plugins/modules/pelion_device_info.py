#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_device_info
short_description: Find devices in the cloud's Device Directory, or wait for them
version_added: 0.1.0
description:
  - Returns the devices that all given filters fit; without a filter, all devices of the account.
  - Made for whole fleets, with C(run_once). It makes one call for each 1000 devices found, or for about 100 of O(ids).
author:
  - The pelion.mbl contributors (@pelion)
options:
  ids:
    description: Ids of devices. One that the directory does not have is left out of the result.
    type: list
    elements: str
  names:
    description: Names of devices.
    type: list
    elements: str
  states:
    description: States that the devices are in.
    type: list
    elements: str
    choices: [unenrolled, cloud_enrolling, bootstrapped, registered, deregistered]
  certificate:
    description: Name of the developer certificate that the devices hold.
    type: str
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.info
  - pelion.mbl.pelion
  - pelion.mbl.store
seealso:
  - module: pelion.mbl.pelion_device
  - module: pelion.mbl.mbl_pelion_status
"""

EXAMPLES = r"""
- name: See which boards of the bench are registered
  pelion.mbl.pelion_device_info:
    certificate: bench
    states: [registered]
  run_once: true

- name: Wait until they are all there
  pelion.mbl.pelion_device_info:
    ids: "{{ ansible_play_hosts | map('extract', hostvars, ['board', 'device_id']) | list }}"
    states: [registered]
  register: fleet
  until: fleet.devices | length == ansible_play_hosts | length
  retries: 12
  delay: 10
  run_once: true
"""

RETURN = r"""
devices:
  description: The devices found, in the directory's order.
  returned: success
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
    suspended:
      description: Whether somebody suspended it, so that it cannot connect.
      type: bool
      sample: false
"""
