# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the collection's modules behave; each states its own support."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what would change, without changing it.
  diff_mode:
    description: Returns what changed, or in check mode would change, when run in diff mode. Never shows a secret.
  idempotent:
    description: Run a second time with the same options, it changes nothing.
"""

    # Modules that change something, and can do all of it.
    FULL = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

    # Modules that only read.
    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details: This module changes nothing.
  diff_mode:
    support: N/A
    details: This module changes nothing.
  idempotent:
    support: full
    details: This module changes nothing.
"""

    # The steps of the role, which do in check mode what they do, without changing boards, stores or cloud.
    STEP = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Where a board is changed.
  idempotent:
    support: full
notes:
  - Internal to the role P(pelion.mbl.provision_pelion#role), whose tasks show its use. Options and results may change
    with any release.
"""
