#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_dev_cert
short_description: Make sure of a developer certificate in the cloud and in the team store
version_added: 0.1.0
description:
  - A developer certificate lets up to 100 devices bootstrap to Pelion Device Management.
  - Takes the certificate from the team store, else from the cloud by its name, else makes it in the cloud, and keeps
    it with its private key in the team store, for M(pelion.mbl.mbl_kcm_inject).
  - Runs on the controller; it needs no device. Use it once per fleet, with C(run_once).
  - Never touches a CA certificate, also not one of the same name.
author:
  - The pelion.mbl contributors (@pelion)
options:
  name:
    description:
      - The certificate's name in the cloud and in the team store; at most 100 characters.
    type: str
    required: true
  state:
    description:
      - V(present), it exists in the cloud, is active, and is in the team store.
      - V(inactive), it exists in the cloud, but no device can bootstrap with it. The team store is left as it is.
      - V(absent), it is neither in the cloud nor in the team store. Refused while registered devices hold it.
    type: str
    choices: [present, absent, inactive]
    default: present
  description:
    description: What the cloud notes about the certificate; at most 500 characters. Left as it is when not given.
    type: str
  create:
    description: Whether O(state=present) may make the certificate when the cloud has none of that name.
    type: bool
    default: true
  verify:
    description:
      - Whether O(state=present) asks the cloud if a certificate from the team store still exists there and is active.
      - With V(false), a certificate that is in the store is taken as it is, wholly offline.
      - Without it, the cloud is asked when an API key is at hand.
    type: bool
  force:
    description:
      - With O(state=absent), delete the certificate although registered devices hold it.
      - With O(state=present), activate a certificate that somebody made inactive.
    type: bool
    default: false
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.full
  - pelion.mbl.pelion
  - pelion.mbl.store
seealso:
  - module: pelion.mbl.pelion_dev_cert_info
  - module: pelion.mbl.mbl_kcm_inject
"""

EXAMPLES = r"""
- name: Make sure of the certificate that all boards of the bench use
  pelion.mbl.pelion_dev_cert:
    name: bench
    description: Boards on the bench
  run_once: true

- name: Use what is in the team store, without asking the cloud
  pelion.mbl.pelion_dev_cert:
    name: bench
    verify: false
  run_once: true

- name: Delete a certificate that no registered device holds any more
  pelion.mbl.pelion_dev_cert:
    name: bench-2019
    state: absent
  run_once: true
"""

RETURN = r"""
id:
  description: The certificate's id in the cloud.
  returned: when the certificate exists, or existed
  type: str
  sample: 0167d7b9a5c7000000000001001001f0
name:
  description: Its name.
  returned: when the certificate exists, or existed
  type: str
  sample: bench
account_id:
  description: The id of the account that it belongs to.
  returned: when the certificate exists, or existed
  type: str
  sample: 0151d3b9a5c70000000000010010013b
common_name:
  description: Its common name, which devices present as their endpoint name when they bootstrap.
  returned: when the certificate exists, or existed
  type: str
  sample: 1f2d3c4b5a69788796a5b4c3d2e1f001
fingerprint:
  description: SHA-256 of the certificate's DER encoding, in hexadecimal.
  returned: when the certificate exists, or existed
  type: str
  sample: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a
not_before:
  description: When its validity begins, in UTC.
  returned: when the certificate exists, or existed
  type: str
  sample: "2026-11-23T07:00:00Z"
not_after:
  description: When its validity ends, in UTC.
  returned: when the certificate exists, or existed
  type: str
  sample: "2036-11-23T07:00:00Z"
source:
  description:
    - Where the certificate came from, V(store), V(cloud) or V(made); null when it no longer exists.
  returned: success
  type: str
  sample: store
devices:
  description: How many registered devices held the certificate.
  returned: when O(state=absent) and the certificate was in the cloud
  type: int
  sample: 12
"""
