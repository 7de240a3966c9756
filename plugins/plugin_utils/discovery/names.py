# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which announced names can be names of hosts. Anybody can announce anything."""

from __future__ import annotations

import ast
import re
import socket
from functools import lru_cache

MBL_NAME = r"mbed-linux-os-[0-9]+"
"""What MBL calls a board at its first boot (mbl-hostname.sh in meta-mbl)."""

_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@lru_cache(maxsize=4096)
def is_host_name(name: str) -> bool:
    """Whether ``name`` can be a host of an inventory, and means nothing else anywhere.

    Ansible takes a host named like an address of this machine for the machine itself. What reads as a value in Python
    or YAML (`True`, `null`, `1e5`) turns into that value in a template.
    """
    return bool(_HOST_NAME.fullmatch(name)) and not (
        name.lower() == "localhost" or name.lower().startswith("localhost.") or _is_address(name) or _is_value(name)
    )


def _is_address(name: str) -> bool:
    """Also the forms that only the C library knows, such as `127.1` and `0x7f000001`."""
    try:
        socket.inet_aton(name)
    except OSError:
        return False
    return True


def _is_value(name: str) -> bool:
    if name.lower() in ("true", "false", "yes", "no", "on", "off", "null", "none", "nan", "inf", "infinity"):
        return True
    try:
        ast.literal_eval(name)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return True
