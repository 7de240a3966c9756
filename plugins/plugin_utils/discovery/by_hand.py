# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards whose addresses the user writes down, where multicast does not reach."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import PelionError
from .addresses import parse
from .hosts import Host
from .names import is_host_name

_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\](?::(?P<v6port>\d+))?|(?P<host>[^:]+):(?P<port>\d+)")
_DNS_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


def boards(addresses: Mapping[str, str]) -> tuple[Host, ...]:
    """Boards from names and addresses: `192.0.2.7`, `192.0.2.7:2222`, `fe80::1%eth0`, `[fe80::1%eth0]:2222`, or a name
    that the resolver knows. Raises PelionError.
    """
    return tuple(_board(str(name), str(text)) for name, text in addresses.items())


def _board(name: str, text: str) -> Host:
    if not is_host_name(name):
        raise PelionError(f"{name!r} in addresses is not the name of a host.")
    found = _WITH_PORT.fullmatch(text)
    address = (found["v6"] or found["host"]) if found else text
    port = int((found and (found["v6port"] or found["port"])) or 22)
    interface = None
    try:
        _parsed, interface = parse(address)
    except ValueError:
        if not _DNS_NAME.fullmatch(address):
            raise PelionError(f"The address {text!r} of {name} is neither an IP address nor a host name.") from None
    if not 0 < port < 65536:
        raise PelionError(f"The address {text!r} of {name} has no port from 1 to 65535.")
    return Host(name, name, address, (address,), port, interface, {}, None)
