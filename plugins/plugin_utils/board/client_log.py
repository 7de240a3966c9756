# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a board's mbl-cloud-client says of itself in /var/log/mbl-cloud-client.log."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_MESSAGE = re.compile(r"]: (?P<message>[^:]+?)(?: ?: ?(?P<value>.*))?$")


@dataclass(frozen=True)
class ClientLog:
    """The state that the last lines tell: ``registered`` is None when they tell nothing."""

    registered: bool | None = None
    device_id: str | None = None
    error: str | None = None

    @classmethod
    def of(cls, lines: Iterable[str]) -> ClientLog:
        """From log lines, oldest first (texts as in mbl-core's source/MblCloudClient.cpp)."""
        registered: bool | None = None
        device_id = error = None
        for line in lines:
            found = _MESSAGE.search(line.rstrip())
            message, value = found.groups() if found else ("", None)
            if message == "Client registered":
                registered, error = True, None
            elif message == "Device Id":
                device_id = value
            elif message == "Error occurred":
                registered, error = False, value
            elif message == "Error details" and error:
                error = f"{error} ({value})"
            elif message.startswith("Device not configured"):
                registered, error = False, message
        return cls(registered, device_id, error)
