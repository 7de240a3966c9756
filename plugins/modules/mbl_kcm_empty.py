#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: mbl_kcm_empty
short_description: Take all credentials from a Mbed Linux OS board
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Stops the board's C(mbl-cloud-client) and empties its secure storage, so that it is as empty as on a board that
    was just flashed. Its certificates and its identity in the cloud cannot be restored.
  - This is one rename, so that a power cut leaves the whole set or nothing. Files that are left over are deleted at the
    next contact.
  - The Device Directory is not touched; see M(pelion.mbl.pelion_device) with C(state=absent).
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.board
attributes:
  check_mode:
    support: full
    details: The board is asked, not changed.
  diff_mode:
    support: full
    details: Shows certificates by name, fingerprint and end, never a secret.
  idempotent:
    support: full
seealso:
  - module: pelion.mbl.mbl_kcm_inject
  - module: pelion.mbl.pelion_fleet_forget
"""

EXAMPLES = r"""
- name: Take the credentials from a board
  pelion.mbl.mbl_kcm_empty:
"""

RETURN = r"""
device_id:
  description: The board's ID in the Device Directory, as far as it is known; null when the board held nothing.
  type: str
  returned: success
  sample: 0161dbbcdd660a580a010c3403c00000
recovered:
  description: Whether something that an earlier run had left was completed or undone first.
  type: bool
  returned: success
before:
  description: What the board held, as in RV(pelion.mbl.mbl_kcm_inject#module:before).
  type: dict
  returned: success
  sample: {provisioned_by: pelion.mbl, missing_items: []}
"""
