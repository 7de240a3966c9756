#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: mbl_sign_update
short_description: Sign a file with an update key of the team store
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Signs, such as an update manifest, with the key of update resources in the team store. The key is decrypted in
    Ansible's process, and neither written to a disk nor given to another program.
  - C(scripts/sign-update) of this collection does it for manifest-tool 2.6, whose configuration names it as
    C(signing-tool).
  - Boards take an update that is signed with the key of the certificate that they hold, whatever it is. Who may run
    this with the vault secret, may update the fleet.
options:
  key:
    description:
      - Name of the update resources in the team store, or the SHA-256 of one of their certificates (at least its first
        16 hexadecimal digits), which may be a former one.
    type: str
    required: true
  src:
    description: The file to sign. It is found as C(src) of M(ansible.builtin.copy) is, or where the command was given.
    type: str
    required: true
  dest:
    description:
      - The file that the signature is written to, ECDSA with SHA-256 in DER. One that is there already is replaced,
        unless it is a good signature.
      - A relative path is relative to the playbook.
    type: path
    required: true
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: A signature tells people nothing.
  idempotent:
    support: full
seealso:
  - module: pelion.mbl.mbl_update_resources
"""

EXAMPLES = r"""
- name: Sign a manifest
  pelion.mbl.mbl_sign_update:
    key: bench-update
    src: manifest.bin
    dest: ~/signing/manifest.sig
  run_once: true
"""

RETURN = r"""
name:
  description: The entry whose key it was.
  returned: success
  type: str
  sample: bench-update
fingerprint:
  description: SHA-256 of the certificate whose key it was.
  returned: success
  type: str
  sample: 3f2a9c0d5e7b1846a1c2d3e4f5061728394a5b6c7d8e9f00112233445566778f
dest:
  description: The file with the signature.
  returned: success
  type: str
  sample: /home/user/signing/manifest.sig
"""
