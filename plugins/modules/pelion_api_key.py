#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_api_key
short_description: Check an API key with the cloud and keep it in the user store
version_added: 0.1.0
description:
  - Asks the cloud for the account of the API key. Only when the cloud answers with it, the key is saved in the user
    store, where the other modules find it when they are given none.
  - Runs on the controller; it needs no device.
author:
  - The pelion.mbl contributors (@pelion)
options:
  state:
    description:
      - V(present), the key is valid and is saved, together with the host that it is for.
      - V(absent), no key is saved. The key itself stays valid; revoke it in the portal.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.pelion
  - pelion.mbl.store
attributes:
  check_mode:
    support: full
    details: The key is checked with the cloud all the same.
  diff_mode:
    support: none
    details: All that could change is a secret.
  idempotent:
    support: full
seealso:
  - module: pelion.mbl.pelion_dev_cert
"""

EXAMPLES = r"""
- name: Ask for the API key, and save it
  hosts: localhost
  gather_facts: false
  vars_prompt:
    - name: key
      prompt: API key
  tasks:
    - name: Check and save it
      pelion.mbl.pelion_api_key:
        api_key: "{{ key }}"

- name: Check that the key at hand is still valid
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Check it
      pelion.mbl.pelion_api_key:
      check_mode: true
"""

RETURN = r"""
account_id:
  description: The id of the key's account.
  returned: when O(state=present)
  type: str
  sample: 0151d3b9a5c70000000000010010013b
account_name:
  description: The account's name as the portal shows it; null when the cloud does not say.
  returned: when O(state=present)
  type: str
  sample: Bench Ltd
tier:
  description: The account's tier; V(0) is a free account.
  returned: when O(state=present)
  type: str
  sample: "1"
api_host:
  description: The API's host.
  returned: when O(state=present)
  type: str
  sample: https://api.us-east-1.mbedcloud.com
"""
