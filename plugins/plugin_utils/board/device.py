# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking with a board: one shell program out, its report back."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from shlex import quote

from ..credentials.certified import describe_certificate
from ..credentials.rules import sha256_hex
from ..errors import PelionError
from . import kcm
from .board import Board
from .client_log import ClientLog
from .items import ITEMS, Items

_PROGRAM = Path(__file__).with_name("device_program.sh")

UTILITY_TIMEOUT = 300
"""Seconds after which a hanging utility is ended. It took 10 ms on x86, but may wait for randomness."""

_WHAT_TO_DO = {
    "no-utility": "There is no /opt/arm/pelion-provisioning-util on this board, so it cannot be provisioned. "
    "Some MBL images of the 0.6 era lack it: update the board's image.",
    "no-mbl": "This host has no /config/user, so it is no MBL board. Was a board's task given to another host?",
    "no-scratch": "This board has no /scratch, where the utility reads its input. Is it an MBL device?",
    "no-run": "This board has no writable /run. Is it an MBL device, and is the user root?",
    "locked": "Another provisioning run is at work on this board (process {detail}). Run again when it has ended.",
    "stop-client": "mbl-cloud-client could not be stopped: {detail}",
    "snapshot": "The board's present KCM could not be saved, so nothing was changed. "
    "Is /config/user full or read-only? {detail}",
    "inputs": "The items could not be written to /scratch/provisioning-certs. Is /scratch full or read-only?",
    "inputs-taken": "/scratch/provisioning-certs exists and no memory could be mounted over it. "
    "Another tool left it there: remove it from the board, it may hold private keys.",
    "utility": "pelion-provisioning-util refused the credentials: {detail}",
    "check": "The injection did not hold: {detail}",
    "bootstrapped-since": "This board bootstrapped with other credentials after it was asked. Run again.",
    "terminated": "The work on this board was ended from outside.",
    "record": "The record could not be written to /config/user. Is it full or read-only?",
    "put-back": "An earlier injection on this board was cut off, and the KCM that it held before could not be put "
    "back. It is whole in /config/user/pal.before: move it to /config/user/pal, then run again.",
}


class DeviceError(PelionError):
    """A board could not do what was asked; the fact ``reason`` is a word for scripts."""

    @classmethod
    def of(cls, reason: str, detail: str = "", *, undone: bool | None = None) -> DeviceError:
        """For a reason of the device program. ``undone``: whether the board could put its old KCM back."""
        message = _WHAT_TO_DO[reason].format(detail=detail).strip()
        if undone:
            message += " The board's KCM is again as it was before."
        elif undone is False:
            message += " The board's old KCM is whole in /config/user/pal.before; the next run puts it back."
        return cls(message, reason=reason, undone=bool(undone))


class Device:
    """A board that is reached by ``run``, which sends a text to its `/bin/sh` and returns what that printed."""

    def __init__(self, run: Callable[[str], str], *, lock_timeout: int) -> None:
        self._run = run
        self._lock_timeout = lock_timeout

    def inspect(self, *, may_change: bool) -> Board:
        """One exchange, no secrets sent. Undoes what a cut-off run left, if it ``may_change`` the board.

        Raises DeviceError.
        """
        values = {"certificate_files": " ".join(kcm.file_name(name) for name in kcm.CERTIFICATES)}
        report = self._call("inspect", values, may_change=may_change)
        try:
            return _board(report)
        except (IndexError, ValueError) as error:
            text = "The board's answer makes no sense. Is it an MBL device?"
            raise DeviceError(text, reason="bad-answer") from error

    def inject(self, items: Items, *, found_digest: str | None, bootstrap: str, registration_timeout: int) -> ClientLog:
        """One exchange: put ``items`` in the place of what the board holds, and restart its client.

        ``found_digest`` is the inspection's, so that a repeated exchange is known for one. ``bootstrap`` is
        ``as-is``, ``not-yet`` (refuse when it has bootstrapped since), ``keep-identity`` or ``new-identity``.
        The answer is what the client said within ``registration_timeout`` seconds. Raises DeviceError, the
        board then holding what it held.
        """
        values = {
            "bootstrap": bootstrap,
            "found_digest": found_digest or "",
            "fingerprint": items.fingerprint,
            "registration_timeout": str(registration_timeout),
            "item_files": " ".join(kcm.file_name(name) for name in kcm.FACTORY_ITEMS),
            "lwm2m_files": " ".join(kcm.file_name(name) for name in kcm.LWM2M_ITEMS),
            "certificates": "\n".join(_expectations(items)),
            "record_text": "\n".join(f"{key}={value}" for key, value in record_of(items).items()),
        }
        return _client_log(self._call("inject", values, functions=_write_items(items)))

    def reconnect(self, *, registration_timeout: int) -> ClientLog:
        """One exchange: restart the client, whose own pause between attempts grows to a week."""
        return _client_log(self._call("reconnect", {"registration_timeout": str(registration_timeout)}))

    def _call(
        self, function: str, values: Mapping[str, str], *, functions: str = "", may_change: bool = True
    ) -> Report:
        values = {
            **values,
            "may_change": "yes" if may_change else "no",
            "lock_timeout": str(self._lock_timeout),
            "utility_timeout": str(UTILITY_TIMEOUT),
        }
        assignments = "".join(f"{name}={quote(value)}\n" for name, value in values.items())
        call = f"{{\n{assignments}{functions}{function}\n}}\n"
        return _report(self._run(_PROGRAM.read_text() + call))


Report = Mapping[str, list[str]]
"""The values of each key that the program reported, in order; an absent key has none."""


def _report(text: str) -> Report:
    report: dict[str, list[str]] = defaultdict(list)
    for line in text.split("\n"):
        found = re.fullmatch(r"mbl:([a-zA-Z0-9#_-]+)=(.*?)\r?", line)
        if found:
            report[found[1]].append(found[2])
    undone = report["undone"][0] == "yes" if report["undone"] else None
    if report["error"] and report["error"][0] in _WHAT_TO_DO:
        raise DeviceError.of(report["error"][0], " ".join(filter(None, report["detail"])), undone=undone)
    if not report["done"]:
        raise DeviceError(
            "The board's answer ended early. What was under way there is completed or undone by the board, "
            "now or at the next run: run again.",
            reason="cut-off",
            undone=bool(undone),
        )
    return report


def _client_log(report: Report) -> ClientLog:
    log = ClientLog.of(report["log"])
    return replace(log, error=" ".join(report["client-error"])) if report["client-error"] else log


def _board(report: Report) -> Board:
    clock = int(report["time"][0])
    if not 0 <= clock < 2**33:
        raise ValueError("no time")
    certificates = {}
    for name in kcm.CERTIFICATES:
        octets = " ".join(report[f"content-{kcm.file_name(name)}"]).split()
        der = kcm.read_certificate(name, bytes(int(octet, 8) for octet in octets))
        if der is not None:
            certificates[name] = describe_certificate(der)
    return Board(
        has_utility=report["utility"] == ["yes"],
        files=tuple(report["item-file"]),
        certificates=certificates,
        kcm_digest=next(iter(report["kcm-digest"]), None),
        record=dict(line.split("=", 1) for line in report["record"] if "=" in line),
        status_code=int(report["status-code"][0]) if report["status-code"] else None,
        status=" ".join(line.strip() for line in report["status"][1:]),
        client_runs=report["client-runs"] == ["yes"],
        log=ClientLog.of(report["log"]),
        clock=clock,
        recovered=bool(report["recovered"]),
        interrupted=bool(report["interrupted"]),
    )


def record_of(items: Items) -> dict[str, str]:
    """The record for ``items``, but for the digest of the KCM, which the board adds."""
    return {
        "format": "1",
        "fingerprint": items.fingerprint,
        "developer_certificate": sha256_hex(items.developer_certificate),
        "update_certificate": sha256_hex(items.update_certificate),
    }


def _expectations(items: Items) -> list[str]:
    """For each certificate: KCM file, offset and length of its DER there, SHA-256 of it."""
    wanted = {
        kcm.DEVELOPER_CERTIFICATE: items.developer_certificate,
        kcm.BOOTSTRAP_CA: items.values["MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE"],
        kcm.UPDATE_CERTIFICATE: items.update_certificate,
    }
    return [
        f"{kcm.file_name(name)} {kcm.certificate_offset(name)} {len(der)} {sha256_hex(der)}"
        for name, der in wanted.items()
    ]


def _write_items(items: Items) -> str:
    """A shell function that writes the items' files.

    The bytes are octal escapes for `printf`, which is built into the shell: no process shows them in its
    arguments, and no board has `base64`.
    """
    lines = [
        "printf '{}' >{}.bin".format("".join(f"\\{byte:03o}" for byte in items.values[name]), name) for name in ITEMS
    ]
    return 'write_items() (\ncd "$inputs" &&\n{}\n)\n'.format(" &&\n".join(lines))
