#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_store_import
short_description: Import a store of mbl-cli
version_added: 0.1.0
description:
  - Takes developer certificates, update certificates and the API key of a store of mbl-cli 2.0 over into the team
    store and the user store, also those that the old store's damaged or moved C(config.json) does not list.
  - mbl-cli damaged values that it took out of C files. They are fixed where the certificate proves the right
    value, or where only one value was possible. What was fixed is reported, and so is what cannot be known.
  - An entry that breaks a rule, and so could not bring a board to the cloud, is refused with the reason.
  - No entry of the stores is overwritten, and the old store is not changed. It holds unencrypted private keys, so
    remove it afterwards.
  - Runs on the controller; it needs neither a board nor the cloud.
author:
  - The pelion.mbl contributors (@pelion)
options:
  src:
    description:
      - The directory of the old store. A relative path is relative to where Ansible was started.
      - Without it, the directories of the team store and the user store, because mbl-cli had its stores there. It is
        an error when neither of them has anything of mbl-cli.
    type: path
  api_host:
    description:
      - The API's host that a key is for.
      - Without it, the environment variable E(PELION_API_HOST) is used, then E(MBED_CLOUD_SDK_HOST), then
        V(https://api.us-east-1.mbedcloud.com).
    type: str
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.full
  - pelion.mbl.store
seealso:
  - module: pelion.mbl.pelion_store_info
"""

EXAMPLES = r"""
- name: Take over what mbl-cli left at its usual places
  pelion.mbl.pelion_store_import:
  register: import
  run_once: true

- name: Take over a store that was copied from another machine
  pelion.mbl.pelion_store_import:
    src: /srv/old/team
  run_once: true
"""

RETURN = r"""
entries:
  description: What became of each certificate of the old store.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: bench
    path:
      description: Its directory in the old store.
      type: str
      sample: /home/ann/.mbl-store/team/bench
    kind:
      description: V(developer-credentials) or V(update-resources); null for what was refused because of its values.
      type: str
      sample: developer-credentials
    fingerprint:
      description: SHA-256 of the certificate's DER encoding, in hexadecimal; null where the kind is.
      type: str
      sample: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a
    result:
      description: V(imported), V(unchanged) when it was taken over before, or V(refused).
      type: str
      sample: imported
    reason:
      description: Why it was refused, or null.
      type: str
      sample: null
    repairs:
      description: What was fixed, and what cannot be known.
      type: list
      elements: str
      sample: ["MBED_CLOUD_DEV_MANUFACTURER was 'dev_manufacture', and is now 'dev_manufacturer'"]
    left_out:
      description:
        - Names of values that were not taken over, because no board gets them, such as an update pre-shared key.
      type: list
      elements: str
      sample: [arm_uc_default_psk]
    notices:
      description: What is wrong with the credentials themselves, such as a certificate that has ended.
      type: list
      elements: str
      sample: []
api_keys:
  description: By directory, what became of its API key, V(none), V(imported), V(unchanged) or V(refused).
  returned: success
  type: dict
  sample: {"/home/ann/.mbl-store/user": "imported"}
"""
