# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why ssh did not reach a board, from what ssh said."""

from __future__ import annotations

import re

from ..fleet.host_keys import refused_key
from ..reasons import Reason

_SIGNS = {
    "host-key-refused": r"host key verification failed",
    "login-refused": r"permission denied|too many authentication failures|invalid/incorrect password",
    "ssh-timeout": r"timed out|timeout",
    "connection-refused": r"connection refused",
    "no-route": r"no route to host|network is (unreachable|down)|host is down",
    "address-unknown": r"could not resolve hostname|name or service not known",
    "connection-lost": r"connection (was )?(closed|reset)|closed by|broken pipe",
}
"""By the reason's code, what OpenSSH says then, the surest sign first."""


def why_unreachable(board: str, said: str) -> Reason:
    """``said`` is Ansible's text with ssh's in it, of any length.

    A changed host key is not a matter of trying again, and ssh's own advice would leave the team's memory as it was.
    """
    refused = refused_key(said)
    if refused is not None:
        return Reason("host-key-changed", {"board": board, "fingerprint": refused or "not known"})
    for code, sign in _SIGNS.items():
        if re.search(sign, said, re.IGNORECASE):
            return Reason(code)
    return Reason("unreachable")
