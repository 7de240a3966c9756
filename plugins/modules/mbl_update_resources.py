#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: mbl_update_resources
short_description: Make sure of update resources in the team store
version_added: 0.1.0
description:
  - Update resources are what lets a board accept updates, an update certificate and the ids of its vendor and
    its device class. They are what the manifest tool writes to C(update_default_resources.c).
  - Takes them from such a file, or makes them as the manifest tool does, and keeps them in the team store for
    M(pelion.mbl.mbl_kcm_inject), with the private key that signs updates.
  - Under a name the store has one certificate with its ids, and they never change by the way. Options say how to make
    an entry that is not there; when they disagree with one that is, the task fails. Only O(replace) and the
    O(renew_before_days) and O(renew_if_made_before) options change it.
  - Nothing that the store holds is ever dropped while the entry exists. When a certificate is followed by another one,
    the earlier one stays in the entry with its key, because boards that still have the earlier certificate take only
    updates that its key signed.
  - Runs on the controller; it needs no device. Use it once per fleet, with C(run_once).
author:
  - The pelion.mbl contributors (@pelion)
options:
  name:
    description: The entry's name in the team store.
    type: str
    required: true
  state:
    description:
      - V(present), the entry is in the team store. Without O(src) and without ids, it must be there already.
      - V(absent), it is not, and its private keys are gone. Refused without O(force) when no other entry of the
        store has them. Refused also with O(force) while another entry has the certificate without its key.
    type: str
    choices: [present, absent]
    default: present
  src:
    description:
      - A file C(update_default_resources.c) of any manifest tool from 1.3 to 2.6, also one in Ansible Vault.
      - A relative path is looked for as the C(src) of M(ansible.builtin.copy) is, in C(files) of the role and of the
        playbook above all, and last in the directory that the command was given in.
      - Refused when the entry has another certificate or other ids, unless O(replace) is set.
    type: str
  private_key_src:
    description:
      - The private key (PEM) that belongs to O(src), such as C(.update-certificates/default.key.pem) or
        C(.manifest-dev-tool/dev.key.pem), to be kept in the store, too. Found as O(src) is.
      - Without it, the key is taken from one of these two files beside O(src), where it belongs to the certificate; a
        warning says so.
    type: str
  private_key_uri:
    description:
      - Where the private key that belongs to O(src) is, as the URI of a key in a token behind PKCS#11 (RFC 7512), such
        as V(pkcs11:token=fleet;object=update). The store keeps the URI, and the token signs wherever the collection
        needs a signature. The key is tried at once.
      - Whoever signs needs the Python library python-pkcs11, and names the token's PKCS#11 module with the environment
        variable E(PELION_PKCS11_MODULE), and a file with the PIN with E(PELION_PKCS11_PIN_FILE).
    type: str
  vendor_domain:
    description:
      - A domain of the vendor, such as V(example.com), of which the vendor id is derived as by manifest-tool 1.x's
        C(init -d).
      - Refused when the entry has other ids, as with O(vendor_id).
    type: str
  device_class:
    description:
      - The name of the device class, of which, with the vendor id, the class id is derived as by manifest-tool 1.x's
        C(init -m).
    type: str
  vendor_id:
    description: The vendor id, a UUID.
    type: str
  class_id:
    description: The class id, a UUID.
    type: str
  subject:
    description:
      - The subject of a certificate that is made, as in RFC 4514. It does not matter to one that exists.
      - Without it, it is V(CN=VENDOR_DOMAIN), else the subject of the certificate that is followed, else
        V(CN=localhost), as with the manifest tool.
    type: str
  valid_days:
    description: How many days a certificate that is made is valid. It does not matter to one that exists.
    type: int
    default: 7300
  replace:
    description:
      - Whether O(src) takes the place of other resources that the entry has. Those stay known as former ones. One of
        the entry's former certificates does not come back.
    type: bool
    default: false
  renew_before_days:
    description:
      - Make a new certificate under the same ids when the one in the store ends in fewer days than this.
        The boards then need it injected before the old one ends.
      - Without it, no certificate is followed by another, and one that has ended is an error.
        A board whose update certificate has ended does not start its client.
      - With O(src) this only warns, since only the manifest tool makes the next certificate of a file.
    type: int
  renew_if_made_before:
    description:
      - Make a new certificate under the same ids when the one in the store was made before this moment, such as
        V(2026-11-24) or V(2026-11-24T15:00:00Z). Without a zone it is in UTC, and it cannot be in the future.
      - This is how to renew at once, because a key may be in wrong hands or somebody left the team. A second
        run with the same moment changes nothing, because the certificate is younger then.
      - With O(src) this fails when the file's certificate is older, since only the manifest tool makes the next one.
    type: str
  warn_days:
    description: Warn when the certificate ends in fewer days than this.
    type: int
    default: 30
  export_dir:
    description:
      - A directory to write what the signing tools need, C(update_default_resources.c) and certificate, key and
        settings in the layouts of manifest-tool 1.x (C(.update-certificates), C(.manifest_tool.json)) and of
        manifest-dev-tool 2.x (C(.manifest-dev-tool)).
      - The key is written in clear, with the mode 0600. Nothing is overwritten. A file that is there and differs is an
        error that names it.
      - A new directory gets the mode 0700. One into which others may look, or which is in a git work tree, is refused.
      - A relative path is relative to the playbook; in a playbook of this collection, to where the command was given.
    type: path
  key_in_clear:
    description:
      - With O(export_dir), whether to write the key. With V(false), the settings for manifest-dev-tool 2.x name
        C(scripts/sign-update) of this collection, which signs with the key of the team store, so that it is on no disk
        in clear. There is nothing for manifest-tool 1.x then.
    type: bool
    default: true
  fingerprint:
    description:
      - With O(export_dir), write the files for the certificate with this SHA-256, or at least its first 16 hexadecimal
        digits, which may be a former one. RV(former_certificates) lists them.
      - Without it, the files are for the present certificate.
    type: str
  force:
    description:
      - With O(state=absent), remove the entry although its private keys are lost with it, or although it cannot be
        read. Boards that hold one of its certificates can then never be updated again.
    type: bool
    default: false
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.full
  - pelion.mbl.store
seealso:
  - module: pelion.mbl.pelion_dev_cert
  - module: pelion.mbl.pelion_store_info
  - module: pelion.mbl.mbl_kcm_inject
"""

EXAMPLES = r"""
- name: Take the file that the manifest tool wrote, and its key
  pelion.mbl.mbl_update_resources:
    name: gateway
    src: update_default_resources.c
    private_key_src: .update-certificates/default.key.pem
  run_once: true

- name: Make update resources for a device class, and a new certificate half a year before the old one ends
  pelion.mbl.mbl_update_resources:
    name: sensor
    vendor_domain: example.com
    device_class: sensor
    valid_days: 3650
    renew_before_days: 180
  run_once: true

- name: Make a new certificate now, unless that was done already
  pelion.mbl.mbl_update_resources:
    name: gateway
    renew_if_made_before: "2026-11-24T15:00:00Z"
  run_once: true
  register: gateway

- name: Write what manifest-tool needs to sign an update
  pelion.mbl.mbl_update_resources:
    name: gateway
    export_dir: ~/signing/gateway
  run_once: true

- name: Write what it needs for boards that still hold the former certificate
  pelion.mbl.mbl_update_resources:
    name: gateway
    export_dir: ~/signing/gateway-former
    fingerprint: '{{ gateway.former_certificates | last }}'
  run_once: true
"""

RETURN = r"""
name:
  description: The entry's name.
  returned: success
  type: str
  sample: gateway
source:
  description: Where the resources came from, V(store), V(file) or V(made); null with O(state=absent).
  returned: success
  type: str
  sample: store
vendor_id:
  description: The vendor id.
  returned: when O(state=present)
  type: str
  sample: cfbff0d1-9375-5685-968c-48ce8b15ae17
class_id:
  description: The class id.
  returned: when O(state=present)
  type: str
  sample: dddd16dc-89ba-57bf-821b-db7f8a06c389
fingerprint:
  description: SHA-256 of the certificate's DER encoding, in hexadecimal; null in check mode for one that would be made.
  returned: when O(state=present)
  type: str
  sample: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a
subject:
  description: The certificate's subject.
  returned: when O(state=present)
  type: str
  sample: CN=example.com
not_before:
  description: When its validity begins, in UTC; null in check mode for one that would be made.
  returned: when O(state=present)
  type: str
  sample: "2026-11-23T07:00:00Z"
not_after:
  description: When its validity ends, in UTC; null in check mode for one that would be made.
  returned: when O(state=present)
  type: str
  sample: "2046-11-18T07:00:00Z"
has_private_key:
  description: Whether the store holds the private key that signs updates. The key itself is never returned.
  returned: when O(state=present)
  type: bool
  sample: true
former_certificates:
  description:
    - Fingerprints of the certificates that the entry had before, the oldest first. It keeps the private keys of those
      that came with one.
  returned: when O(state=present)
  type: list
  elements: str
  sample: []
exported:
  description: The files below O(export_dir) that were written, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: []
"""
