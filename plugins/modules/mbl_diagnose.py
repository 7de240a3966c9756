#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: mbl_diagnose
short_description: Say what is wrong with an MBL board, and pack what a colleague needs to help
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Looks at the board and writes an archive on the controller, which can be sent to somebody. In it are a page that
    says what is wrong, the most likely cause first, the client's log with its rotations, what the board holds and what
    its utility says of it, image, kernel, mounts, space, clock and network, and how far a connection to the cloud
    comes, as the board sees it.
  - No key, certificate, API key, account ID or password is in it, and device IDs are shortened. What may be one is
    taken out, so harmless text that looks like one is gone as well.
  - The way to the cloud is tried with the tools that the board has. Where one is missing, that is said, and nothing is
    guessed.
  - The board is not changed, and a board that another run is at work on is looked at as well.
options:
  dest:
    description: The directory for the archive, which is called as the board.
    type: path
    required: true
  server:
    description:
      - The cloud's server, C(HOST:PORT). Without it, the one that the client's log names last.
    type: str
  report:
    description: A directory with the report of an earlier run. What it says of the board goes into the archive.
    type: path
extends_documentation_fragment:
  - pelion.mbl.attributes
  - pelion.mbl.board
attributes:
  check_mode:
    support: full
    details: The board is asked all of it, and no archive is written.
  diff_mode:
    support: N/A
    details: The board is not changed.
  idempotent:
    support: N/A
    details: The board is not changed. A second run replaces the archive.
seealso:
  - module: pelion.mbl.mbl_pelion_status
"""

EXAMPLES = r"""
- name: Say what is wrong, and pack it
  pelion.mbl.mbl_diagnose:
    dest: diagnoses
"""

RETURN = r"""
archive:
  description: The archive, a tar.gz of up to a few 100 kB.
  type: str
  returned: success
  sample: /home/me/bench/diagnoses/mbed-linux-os-9709.tar.gz
findings:
  description: What is wrong, the most likely cause first, each as a code of C(docs/reasons.md) with its facts; none
    where nothing was found.
  type: list
  elements: dict
  returned: success
  sample: [{code: name-not-resolved, facts: {host: bootstrap.example.com}}]
summary:
  description: The same in lines for people.
  type: list
  elements: str
  returned: success
  sample:
    - 'mbed-linux-os-9709: Nothing was found that is wrong.'
    - '  Archive: /home/me/bench/diagnoses/mbed-linux-os-9709.tar.gz'
"""
