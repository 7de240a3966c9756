#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pelion_store_info
short_description: Tell what is in the stores
version_added: 0.1.0
description:
  - Lists the entries of the team store and the user store with everything that is not secret, above all their validity.
  - An entry that cannot be used, because it is damaged, has ended, or is opened by no vault secret of the run, is
    listed with its problem, and warned about. The others are listed all the same.
  - Runs on the controller; it needs neither a device nor the cloud.
author:
  - The pelion.mbl contributors (@pelion)
options:
  name:
    description: Tell only about entries of this name, and decrypt no other.
    type: str
  store:
    description: Which store to report on.
    type: str
    choices: [team, user, both]
    default: both
  warn_days:
    description: Warn about certificates that end in fewer days than this.
    type: int
    default: 30
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.info
  - pelion.mbl.store
seealso:
  - module: pelion.mbl.pelion_dev_cert
  - module: pelion.mbl.mbl_update_resources
  - module: pelion.mbl.pelion_store_import
"""

EXAMPLES = r"""
- name: Look into the stores
  pelion.mbl.pelion_store_info:
  register: stores
  run_once: true

- name: Show which certificates end this year
  ansible.builtin.debug:
    msg: "{{ stores.entries | selectattr('not_after', 'defined')
             | selectattr('not_after', 'lt', '2027') | map(attribute='name') }}"
"""

RETURN = r"""
stores:
  description: The stores' directories by their names, C(team) and C(user).
  returned: success
  type: dict
  sample: {"team": "/srv/mbl/team", "user": "/home/ann/.mbl-store/user"}
entries:
  description: The entries, those of the team store first.
  returned: success
  type: list
  elements: dict
  contains:
    store:
      description: V(team) or V(user).
      type: str
      sample: team
    kind:
      description: V(developer-credentials), V(update-resources) or V(api-key).
      type: str
      sample: developer-credentials
    name:
      description: The entry's name; null for a damaged one with a very long name.
      type: str
      sample: bench
    path:
      description: Its file, for C(ansible-vault view).
      type: str
      sample: /srv/mbl/team/bench.developer-credentials.yml
    problem:
      description: Why the entry cannot be used, or null.
      type: str
      sample: null
    notices:
      description: What else to know about it.
      type: list
      elements: str
      sample: []
    fingerprint:
      description: SHA-256 of the certificate's DER encoding, in hexadecimal.
      returned: for certificates
      type: str
      sample: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a
    not_before:
      description: When the certificate's validity begins, in UTC.
      returned: for certificates
      type: str
      sample: "2026-11-23T07:00:00Z"
    not_after:
      description: When the certificate's validity ends, in UTC.
      returned: for certificates
      type: str
      sample: "2036-11-23T07:00:00Z"
    certificate_id:
      description: The certificate's id in the cloud, or null where it is not known.
      returned: for developer credentials
      type: str
      sample: 0167d7b9a5c7000000000001001001f0
    account_id:
      description: The subject's organizational unit; of a developer certificate, the account. Null without one.
      returned: for certificates
      type: str
      sample: 0151d3b9a5c70000000000010010013b
    common_name:
      description: The certificate's common name; of a developer certificate, the endpoint name.
      returned: for certificates
      type: str
      sample: 1f2d3c4b5a69788796a5b4c3d2e1f001
    uri:
      description: Where devices bootstrap.
      returned: for developer credentials
      type: str
      sample: coaps://bootstrap.us-east-1.mbedcloud.com:5684?aid=0151d3b9a5c70000000000010010013b
    vendor_id:
      description: The vendor ID.
      returned: for update resources
      type: str
      sample: cfbff0d1-9375-5685-968c-48ce8b15ae17
    class_id:
      description: The class ID.
      returned: for update resources
      type: str
      sample: dddd16dc-89ba-57bf-821b-db7f8a06c389
    has_private_key:
      description: Whether the key that signs updates is there.
      returned: for update resources
      type: bool
      sample: true
    former_certificates:
      description: Fingerprints of earlier certificates, the oldest first. Keys that came with them are kept.
      returned: for update resources
      type: list
      elements: str
      sample: []
    api_host:
      description: The host that the API key is for.
      returned: for API keys
      type: str
      sample: https://api.us-east-1.mbedcloud.com
"""
