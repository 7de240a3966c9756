#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_dev_cert_info
short_description: List the developer certificates of the account and of the team store
version_added: 0.1.0
description:
  - Lists all developer certificates of the account with their validity and number of devices, matched with those in
    the team store. Downloads no private key.
  - Makes one call for each 1000 certificates and one for each 1000 devices with developer certificates.
  - Needs an API key. Without a vault secret, what the team store has is left out, with a warning.
  - For the store alone, there is M(pelion.mbl.pelion_store_info).
author:
  - The pelion.mbl contributors (@pelion)
options: {}
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.info
  - pelion.mbl.pelion
  - pelion.mbl.store
seealso:
  - module: pelion.mbl.pelion_dev_cert
  - module: pelion.mbl.pelion_store_info
"""

EXAMPLES = r"""
- name: See all developer certificates
  pelion.mbl.pelion_dev_cert_info:
  run_once: true
  register: overview

- name: Name those that end within a year
  ansible.builtin.debug:
    msg: "{{ overview.certificates | selectattr('not_after', 'lt', '2027-11') | map(attribute='name') }}"
"""

RETURN = r"""
certificates:
  description: The developer certificates of the account, oldest first, then those that only the team store has.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The certificate's id in the cloud; null when it is not known.
      type: str
      sample: 0167d7b9a5c7000000000001001001f0
    name:
      description: Its name in the cloud; null when it is not known.
      type: str
      sample: bench
    account_id:
      description: The id of the account that it belongs to.
      type: str
      sample: 0151d3b9a5c70000000000010010013b
    common_name:
      description: Its common name, which devices present as their endpoint name when they bootstrap.
      type: str
      sample: 1f2d3c4b5a69788796a5b4c3d2e1f001
    fingerprint:
      description: SHA-256 of its DER encoding, in hexadecimal.
      type: str
      sample: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a
    not_before:
      description: When its validity begins, in UTC.
      type: str
      sample: "2026-11-23T07:00:00Z"
    not_after:
      description: When its validity ends, in UTC.
      type: str
      sample: "2036-11-23T07:00:00Z"
    description:
      description: What the cloud notes about it; null when the account does not have it.
      type: str
      sample: Boards on the bench
    status:
      description: V(ACTIVE) or V(INACTIVE); null when the account does not have it.
      type: str
      sample: ACTIVE
    created_at:
      description: When it was made, in UTC; null when the account does not have it.
      type: str
      sample: "2026-11-23T07:00:00Z"
    devices:
      description: How many devices the directory has for it, in whatever state; null when the account does not have it.
      type: int
      sample: 12
    devices_limit:
      description: How many devices it serves.
      type: int
      sample: 100
    in_cloud:
      description: Whether the account of the API key has it.
      type: bool
      sample: true
    stored_as:
      description: Its name in the team store; null when the store does not have it.
      type: str
      sample: bench
"""
