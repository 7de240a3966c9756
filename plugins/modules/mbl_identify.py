#!/usr/bin/python
# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: mbl_identify
short_description: Have an MBL board show people which one it is
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Blinks the LEDs that the board has (C(/sys/class/leds)), all of them, and writes a text to its consoles
    (C(/dev/console), C(/dev/tty1)).
  - The LEDs are then as they were before, also when the connection breaks or the board's program is killed.
options:
  seconds:
    description: How long the LEDs blink, 1 to 600.
    type: int
    default: 10
  message:
    description: The text for the consoles. Without it, the board's inventory name.
    type: str
extends_documentation_fragment:
  - pelion.mbl.attributes
attributes:
  check_mode:
    support: full
    details: The board is asked what it has, and shows nothing.
  diff_mode:
    support: N/A
    details: The board is not changed.
  idempotent:
    support: N/A
    details: The board is not changed. A second run blinks again.
seealso:
  - module: pelion.mbl.mbl_pelion_status
"""

EXAMPLES = r"""
- name: Which of them is it?
  pelion.mbl.mbl_identify:
    seconds: 30
"""

RETURN = r"""
leds:
  description: Names of the LEDs that blinked; in check mode, that would have.
  type: list
  elements: str
  returned: success
  sample: [beaglebone:green:usr0]
consoles:
  description: The consoles that showed the text.
  type: list
  elements: str
  returned: success
  sample: [/dev/console]
msg:
  description: The same as a sentence. It says so when the board has neither.
  type: str
  returned: success
  sample: 'mbed-linux-os-9709: beaglebone:green:usr0 blinked for 10 seconds and /dev/console showed its name.'
"""
