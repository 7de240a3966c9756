#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: mbl_pelion_status
short_description: Tell what a Mbed Linux OS board holds and whether it is registered
version_added: 0.1.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Asks a board, in one exchange, whether it is configured for Pelion Device Management, with which certificates,
    whoever put them there, and what its C(mbl-cloud-client) says of its registration. Changes nothing.
  - It does not ask the cloud. For what the Device Directory says, give the device IDs of all boards in one call to
    M(pelion.mbl.pelion_device_info).
options:
  lock_timeout:
    description: How long to wait for a provisioning run on the same board, in seconds.
    type: int
    default: 60
extends_documentation_fragment:
  - pelion.mbl.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: [It changes nothing.]
  idempotent:
    support: full
seealso:
  - module: pelion.mbl.mbl_kcm_inject
  - module: pelion.mbl.pelion_device_info
"""

EXAMPLES = r"""
- name: Look at the boards
  pelion.mbl.mbl_pelion_status:
  register: board

- name: Show those that are not registered
  ansible.builtin.debug:
    msg: "{{ board.client_error | default('no word from the client', true) }}"
  when: not board.registered
"""

RETURN = r"""
configured:
  description:
    - Whether the board's utility calls it configured and no item is missing. The utility alone overlooks missing items
      of the update certificate.
  type: bool
  returned: success
status:
  description: What the utility said.
  type: str
  returned: success
  sample: Device is configured correctly. You can connect to Pelion Cloud!
registered:
  description: Whether the client runs and last said that it registered.
  type: bool
  returned: success
device_id:
  description: The board's ID in the Device Directory, from its client's log; none when the log does not tell it.
  type: str
  returned: success
  sample: 0161dbbcdd660a580a010c3403c00000
client_running:
  description: Whether C(mbl-cloud-client) runs. C(systemctl is-active) does not tell that.
  type: bool
  returned: success
client_error:
  description: The client's last error, none when it registered since.
  type: str
  returned: success
  sample: ConnectBootstrapFailed
bootstrapped:
  description: Whether the board holds the credentials that it got at its bootstrap.
  type: bool
  returned: success
has_utility:
  description: Whether C(/opt/arm/pelion-provisioning-util) is there.
  type: bool
  returned: success
interrupted:
  description: Whether an injection was cut off. The next M(pelion.mbl.mbl_kcm_inject) undoes it.
  type: bool
  returned: success
clock:
  description: The board's time. A wrong one makes good certificates look expired or not yet valid.
  type: str
  returned: success
  sample: '2026-11-23T07:00:00Z'
developer_certificate:
  description: The bootstrap device certificate, none without one.
  type: dict
  returned: success
  contains: &certificate
    common_name:
      description: The subject's common name; of a developer certificate, the endpoint name.
      type: str
      sample: 0161dbbcdd660a580a010c3403c00000
    account_id:
      description: The subject's organizational unit; of a developer certificate, the account.
      type: str
      sample: 015843e32ec902420a015e0700000000
    fingerprint:
      description: SHA-256 of the certificate.
      type: str
      sample: 9f2feb0f1ef425b292f2f94bdc8482494df430413ff97b19f3b0b1f5f0b2d5a5
    not_before:
      description: When its validity begins, in UTC.
      type: str
      sample: '2026-11-23T07:00:00Z'
    not_after:
      description: When its validity ends, in UTC.
      type: str
      sample: '2036-11-20T07:00:00Z'
update_certificate:
  description: The update authenticity certificate, none without one.
  type: dict
  returned: success
  contains: *certificate
provisioned_by:
  description: Who put the present content there, V(pelion.mbl) or V(another tool); none when there is none.
  type: str
  returned: success
missing_items:
  description: Items that a provisioned board has and this one lacks.
  type: list
  elements: str
  returned: success
  sample: [mbed.UpdateAuthCert]
plan_entry:
  description: The board as an entry of O(pelion.mbl.pelion_dev_cert_info#module:plan.boards).
  type: dict
  returned: success
  contains:
    name:
      description: Its inventory name.
      type: str
      sample: mbed-linux-os-9709
    fingerprint:
      description: SHA-256 of its developer certificate.
      type: str
      sample: 9f2feb0f1ef425b292f2f94bdc8482494df430413ff97b19f3b0b1f5f0b2d5a5
    device_id:
      description: See RV(device_id).
      type: str
      sample: 0161dbbcdd660a580a010c3403c00000
found:
  description: All of it in one piece, for O(pelion.mbl.mbl_kcm_inject#module:found).
  type: dict
  returned: success
  sample: {has_utility: true, status_code: 0}
"""
