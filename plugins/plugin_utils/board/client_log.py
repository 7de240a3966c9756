# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a board's mbl-cloud-client says of itself in /var/log/mbl-cloud-client.log."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..times import time_text

_MESSAGE = re.compile(r"]: (?P<message>[^:]+?)(?: ?: ?(?P<value>.*))?$")
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}\b", re.ASCII)
_DEVICE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)

MOST_ANSWERS = 5
_OF_UPDATE = re.compile(r"Update\w+|Unknown", re.ASCII)
"""Names of errors that are an answer to an update manifest, not trouble with the connection. "Unknown" was seen for
manifests only."""

_MEANINGS = {
    "ConnectBootstrapFailed": "The bootstrap server refused the board: does its developer certificate belong to this "
    "account, and is it still there?",
    "ConnectNetworkError": "The server could not be reached: is the board's network up, and does a firewall let it "
    "connect to the server?",
    "ConnectSecureConnectionFailed": "TLS failed: was the certificate deleted, has it expired, does it belong to "
    "another account, or does something else answer in the server's place?",
    "ConnectDnsResolvingFailed": "The server's name could not be resolved: does the board have a name server?",
}
"""By name; the codes that go with the first three are 257, 261 and 266 (seen on mbed-cloud-client 4.1.0)."""

_UPDATE_MEANINGS = {
    "UpdateWarningRollbackProtection": "It was given an update that is not newer than what it has, and would have "
    "taken a newer one: key, certificate, vendor and class are right. A proof by pelion.mbl.prove_updates leaves this.",
    "UpdateWarningSignatureInvalid": "It was given an update that its certificate's key did not sign, or that was "
    "changed.",
    "UpdateWarningCertificateNotFound": "It was given an update that was signed for another update certificate.",
    "UpdateWarningVendorMismatch": "It was given an update of another vendor.",
    "UpdateWarningClassMismatch": "It was given an update for another class of device.",
    "UpdateWarningIdentityNotFound": "It was given an update for another device.",
    "UpdateWarningURINotFound": "It was given an update with an address that it cannot read.",
    "Unknown": "It was given an update that it cannot read.",
}
"""By name, as mbed-cloud-client 3.0.0 and 4.1.0 say it; the codes are 520, 515, 512, 516, 517, 513, 519 and 1."""


@dataclass(frozen=True)
class ClientLog:
    """The state that the last lines show: ``registered`` is None when they show none.

    ``error`` is the last error since the last registration, ``error_code`` its number. ``registered_at`` is the
    time of the last registration in the lines, by the board's clock. ``update_answers`` are the latest errors that are
    of an update, the oldest first, and so say nothing of the registration: each with ``name``, ``code`` and ``at``, of
    which the latter two may be None.
    """

    registered: bool | None = None
    device_id: str | None = None
    error: str | None = None
    error_code: int | None = None
    registered_at: str | None = None
    update_answers: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, lines: Iterable[str], *, since: float | None = None, until: float | None = None) -> ClientLog:
        """From log lines, oldest first (texts as in mbl-core's source/MblCloudClient.cpp).

        With ``since`` and ``until`` (seconds since 1970), only lines that are stamped in between count for the state.
        """
        registered: bool | None = None
        device_id = error = code = registered_at = expired = None
        answers: list[dict[str, Any]] = []
        of_update = False
        for line in lines:
            stamp = _time_of(line)
            found = _MESSAGE.search(line.rstrip())
            message, value = found.groups() if found else ("", None)
            # After a connection that dropped there is no second "Client registered".
            online = message == "Client registered" or "registration_updated" in line
            if online and stamp:
                registered_at = time_text(stamp)
            if since is not None and until is not None and not (stamp and since <= stamp.timestamp() <= until):
                continue
            if online:
                registered, error, code = True, None, None
            elif message == "Device Id":
                if value and _DEVICE_ID.fullmatch(value):
                    device_id = value
                else:
                    registered, error = (
                        False,
                        f"it names a device ID that is not 32 hexadecimal digits: {value!r}",
                    )
            elif message == "Error occurred":
                of_update = bool(value and _OF_UPDATE.fullmatch(value))
                if of_update:
                    answers.append({"name": value, "code": None, "at": time_text(stamp)})
                else:
                    registered, error, code = False, value, None
            elif message == "Error code" and of_update and value and value.isdecimal():
                answers[-1]["code"] = int(value)
            elif message == "Error code" and error and value and value.isdecimal():
                code = int(value)
            elif message == "Error details" and error and not of_update:
                error = f"{error} ({value})"
            elif "Certificate expired" in line:
                expired = line.rpartition("]: ")[2].strip()
            elif message.startswith("Device not configured"):
                registered, error, code = False, f"{message} ({expired})" if expired else message, None
        return cls(registered, device_id, error, code, registered_at, answers[-MOST_ANSWERS:])

    @property
    def error_meaning(self) -> str | None:
        """What ``error`` means and what to look at, None where that is not known."""
        return _MEANINGS.get(self.error.partition(" ")[0]) if self.error else None

    def describe_update_answers(self) -> list[dict[str, Any]]:
        """``update_answers``, each with its ``meaning``, None where that is not known."""
        return [{**answer, "meaning": _UPDATE_MEANINGS.get(answer["name"])} for answer in self.update_answers]


def _time_of(line: str) -> datetime | None:
    found = _STAMP.match(line)
    try:
        # Beside UTC's first and last year there is no time in UTC.
        return datetime.strptime(found[0], "%Y-%m-%dT%H:%M:%S%z").astimezone(timezone.utc) if found else None
    except (ValueError, OverflowError):
        return None
