#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: mbl_kcm_inject
short_description: Put credentials into the secure storage of a Mbed Linux OS board
version_added: 0.1.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Takes a developer certificate and update resources from the team store, checks them by the rules that the board's
    own software applies, and puts them into the Key and Config Manager (KCM) of the board, all or nothing. Then
    restarts C(mbl-cloud-client) and waits until the board has registered.
  - Nothing is sent and nothing restarts when the board is proven to hold them already and is registered.
  - When the injection fails, is cut off, or the board loses its power, the board puts back what it held before, at once
    or at the next contact.
  - A board is asked in one exchange over one connection, and changed in a second one.
options:
  dev_cert:
    description: Name of the developer certificate in the team store; see M(pelion.mbl.pelion_dev_cert).
    type: str
    required: true
  update_resources:
    description: Name of the update resources in the team store; see M(pelion.mbl.mbl_update_resources).
    type: str
    required: true
  when_bootstrapped:
    description:
      - What to do with a board that has already bootstrapped with another developer certificate. Its client would
        ignore a new one as long as it holds the credentials that it got then.
      - V(refuse) fails and leaves the board as it is.
      - V(keep_identity) removes those credentials, so that the board bootstraps again and keeps its device ID.
      - V(new_identity) empties the board's secure storage first, so that it becomes a new device; its old entry in the
        Device Directory stays until you remove it, for instance with M(pelion.mbl.pelion_device).
    type: str
    choices: [refuse, keep_identity, new_identity]
    default: refuse
  when_update_unknown:
    description:
      - What to do with a board that holds an update certificate that the team store does not know under any name,
        former ones included. Once it is replaced, the board takes no more updates that are signed with its key.
      - V(refuse) fails and leaves the board as it is; V(replace) replaces it.
    type: str
    choices: [refuse, replace]
    default: refuse
    version_added: 1.0.0
  registration_timeout:
    description: How long to wait for the registration after the client was started, in seconds; V(0) to not wait.
    type: int
    default: 120
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.board
  - pelion.mbl.store
attributes:
  check_mode:
    support: full
    details:
      - The board is asked, not changed; not even what an earlier run left behind is tidied up.
      - Credentials that the team store does not have yet are treated as those that an earlier task would have made,
        and are null in the result.
  diff_mode:
    support: full
    details: [Shows certificates by name, fingerprint and end, never a secret.]
  idempotent:
    support: full
notes:
  - The board needs no Python. It needs its root user and C(/opt/arm/pelion-provisioning-util).
  - The private key goes to the board over the connection's standard input and lies in memory there until the
    utility has read it.
seealso:
  - module: pelion.mbl.pelion_dev_cert
  - module: pelion.mbl.mbl_update_resources
  - module: pelion.mbl.mbl_pelion_status
"""

EXAMPLES = r"""
- name: Provision the boards with the fleet's certificates
  pelion.mbl.mbl_kcm_inject:
    dev_cert: bench-2026
    update_resources: bench-update

- name: Move boards to another developer certificate, each keeping its device ID
  pelion.mbl.mbl_kcm_inject:
    dev_cert: bench-2027
    update_resources: bench-update
    when_bootstrapped: keep_identity
"""

RETURN = r"""
device_id:
  description: The board's ID in the Device Directory, from the log of its client; none when the board did not register.
  type: str
  returned: success
  sample: 0161dbbcdd660a580a010c3403c00000
registered:
  description: Whether the board's client runs and last said that it registered.
  type: bool
  returned: success
injected:
  description: Whether the credentials were put on the board, or would be in check mode.
  type: bool
  returned: success
reconnected:
  description:
    - Whether only the client was restarted, because the board holds the credentials but is not registered. The client's
      own pause between two attempts grows to a week.
  type: bool
  returned: success
recovered:
  description: Whether an injection that was cut off earlier was undone first.
  type: bool
  returned: success
reasons:
  description: Why the board was not proven to hold the credentials already.
  type: list
  elements: str
  returned: success
  sample: [it holds none of the credentials]
reason_codes:
  description: The same as codes for scripts.
  type: list
  elements: str
  returned: success
  sample: [holds-nothing]
fingerprint:
  description: SHA-256 over what should be on the board.
  type: str
  returned: success
  sample: 9f2feb0f1ef425b292f2f94bdc8482494df430413ff97b19f3b0b1f5f0b2d5a5
before:
  description:
    - What the board held, whoever put it there.
    - These are RV(pelion.mbl.mbl_pelion_status#module:developer_certificate),
      RV(pelion.mbl.mbl_pelion_status#module:update_certificate), RV(pelion.mbl.mbl_pelion_status#module:provisioned_by)
      and RV(pelion.mbl.mbl_pelion_status#module:missing_items).
  type: dict
  returned: success
  sample: &held
    developer_certificate: {common_name: 0161dbbcdd660a580a010c3403c00000, not_after: '2036-11-20T07:00:00Z'}
    update_certificate: {common_name: example.com, not_after: '2046-11-18T07:00:00Z'}
    provisioned_by: pelion.mbl
    missing_items: []
after:
  description: What the board holds now, or would hold in check mode, in the same form.
  type: dict
  returned: success
  sample: *held
reason:
  description: A word for scripts that says why a board failed.
  type: str
  returned: failure
  sample: no-utility
undone:
  description: Whether the board put back what it held before.
  type: bool
  returned: failure
"""
