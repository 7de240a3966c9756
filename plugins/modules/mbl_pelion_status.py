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
    whoever put them there, what its C(mbl-cloud-client) says of its registration, and what would keep an injection from
    being done. Changes nothing.
  - It does not ask the cloud. For what the Device Directory says, give the device IDs of all boards in one call to
    M(pelion.mbl.pelion_device_info).
  - Warns when the board's clock is off by more than an hour, when a certificate is not valid by that clock (the client
    itself goes by the time that a server gave it), when the client cannot write its log, and when a copy of an item in
    the board's storage is damaged.
options:
  on_failure:
    description:
      - What to do when the board does not answer, or not as asked. With V(return), the task ends well, with
        RV(failure) instead of the other fields, for reports of whole fleets.
    type: str
    choices: [fail, return]
    default: fail
    version_added: 1.0.0
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.attributes.info
  - pelion.mbl.board
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
    msg: "{{ board.client_error or 'no word from the client' }} {{ board.client_error_meaning or '' }}"
  when: not board.registered

- name: Wait until the boards have come back after a reboot
  pelion.mbl.mbl_pelion_status:
  register: board
  until: board.registered
  retries: 30
  delay: 10
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
  description:
    - Whether the client runs, has bootstrapped, and said since its start that it registered. None when it runs and has
      bootstrapped, but its log does not say so (any more).
  type: bool
  returned: success
device_id:
  description:
    - The board's ID in the Device Directory, from its client's log. When the log no longer has it, as it was when
      this collection last saw the board register with what it holds; else none.
  type: str
  returned: success
  sample: 9e2316a52449d0461efc0794e3654d94
last_registration:
  description: When the client last said that it registered, by the board's clock; null when its log does not say.
  type: str
  returned: success
  sample: '2026-11-24T23:42:14Z'
client_running:
  description: Whether C(mbl-cloud-client) runs. C(systemctl is-active) does not show that.
  type: bool
  returned: success
client_error:
  description: The client's last error, none when it registered since.
  type: str
  returned: success
  sample: ConnectBootstrapFailed
client_error_code:
  description: The number that the client gives with RV(client_error).
  type: int
  returned: success
  sample: 257
client_error_meaning:
  description: What RV(client_error) means and what to look at, where that is known.
  type: str
  returned: success
  sample: The bootstrap server refused the board
update_answers:
  description:
    - What the client last said of updates that it did not take, at most five, as far as its log goes back; the oldest
      first. It says nothing of the registration.
    - M(pelion.mbl.pelion_update_proof) leaves V(UpdateWarningRollbackProtection), which is the proof.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: What the client calls it.
      type: str
      sample: UpdateWarningRollbackProtection
    code:
      description: The number that the client gives with it.
      type: int
      sample: 520
    at:
      description: When it said so, by the board's clock.
      type: str
      sample: '2026-11-24T23:50:03Z'
    meaning:
      description: What it means, where that is known.
      type: str
      sample: It was given an update of another vendor.
bootstrapped:
  description: Whether the board holds the credentials that it got at its bootstrap.
  type: bool
  returned: success
bootstrapped_with:
  description:
    - The developer certificate with which it is proven to have bootstrapped, which need not be the one that it holds.
      None when it has not bootstrapped.
  type: dict
  returned: success
  contains:
    fingerprint:
      description: SHA-256 of the certificate, none where nothing proves it.
      type: str
      sample: 8f0b2129b07c0bf62dd236576814d9952d6ab461d47a8c6ac49edbc1f72e4188
    common_name:
      description: The subject's common name, none where nothing proves it.
      type: str
      sample: f4d0732ca4981f4f289861e3f8cb57a6
has_utility:
  description: Whether C(/opt/arm/pelion-provisioning-util) is there.
  type: bool
  returned: success
obstacles:
  description: What would make an injection fail, as its error would say; empty when it can be tried.
  type: list
  elements: str
  returned: success
  sample: ["There is not enough room on this board: /config/user has 120 kB free, and 256 are needed."]
space:
  description: For C(/config/user), C(/scratch) and C(/var/log), what can be written there.
  type: dict
  returned: success
  sample:
    /config/user: {free_kb: 31284, writable: true}
    /scratch: {free_kb: 612204, writable: true}
    /var/log: {free_kb: 118640, writable: true}
interrupted:
  description: Whether an injection was cut off. The next M(pelion.mbl.mbl_kcm_inject) completes or undoes it.
  type: bool
  returned: success
clock:
  description: The board's time. A wrong one makes good certificates look expired or not yet valid.
  type: str
  returned: success
  sample: '2026-11-24T23:42:28Z'
clock_drift:
  description: What the board's clock is ahead of the controller's, in seconds; negative when it is behind.
  type: int
  returned: success
  sample: 0
image:
  description: What C(/etc/os-release) and the kernel say of the board's image, C(name), C(version) and C(kernel).
  type: dict
  returned: success
  sample: {name: Mbed Linux OS, version: '0.10.0', kernel: 5.4.3 armv7l}
developer_certificate:
  description: The bootstrap device certificate, none without one.
  type: dict
  returned: success
  contains: &certificate
    common_name:
      description: The subject's common name; of a developer certificate, the endpoint name.
      type: str
      sample: f4d0732ca4981f4f289861e3f8cb57a6
    account_id:
      description: The subject's organizational unit; of a developer certificate, the account.
      type: str
      sample: 45e63f90eaa0f8a6a6437495be63fef6
    fingerprint:
      description: SHA-256 of the certificate.
      type: str
      sample: 8f0b2129b07c0bf62dd236576814d9952d6ab461d47a8c6ac49edbc1f72e4188
    not_before:
      description: Its begin.
      type: str
      sample: '2026-11-24T23:42:14Z'
    not_after:
      description: Its end.
      type: str
      sample: '2036-11-23T23:42:14Z'
update_certificate:
  description: The update authenticity certificate, none without one.
  type: dict
  returned: success
  contains: *certificate
provisioned_by:
  description: Who put the present content there, V(pelion.mbl) or V(another tool); null when there is no content.
  type: str
  returned: success
missing_items:
  description: Items that a provisioned board has and this one lacks.
  type: list
  elements: str
  returned: success
  sample: [mbed.UpdateAuthCert]
host_keys:
  description: Fingerprints of the host keys that ssh accepts for the board, none where ssh does not check them.
  type: list
  elements: str
  returned: when the board answered, also where the answer is of no use
  sample: ['SHA256:9Jd0KUpXzTcwJ1e3gk8cM4Nq7vQy2bGZ5rLxWm1oHfA']
failure:
  description:
    - What would have been the result of the task that failed. C(msg) is the text, C(unreachable) is
      V(true) for a board that ssh did not reach.
  type: dict
  returned: when the board did not answer as asked and O(on_failure=return)
  sample:
    msg: 'Failed to connect to the host via ssh: connect to host 192.0.2.7 port 22: Connection refused'
    unreachable: true
damaged_items:
  description:
    - Items of which a copy is damaged, or missing while there is another one, and which copy. The client reads the one
      in C(WORKING); the one in C(BACKUP) is for a factory reset. V(WORKING or BACKUP) means that they differ, and that
      it cannot be told which one is right. An injection makes them anew, and provisioning injects because of them.
  type: list
  elements: str
  returned: success
  sample: [mbed.Manufacturer (BACKUP)]
registered_since_injection:
  description:
    - Whether it is proven that the board has registered since its content was put there, so that the cloud has been
      told the vendor and class IDs that it holds. C(false) where nothing proves it.
  type: bool
  returned: success
"""
