# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking with a board: one shell program out, its report back."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import floor
from pathlib import Path
from shlex import quote

from ..credentials.certified import describe_certificate
from ..credentials.rules import sha256_hex
from . import kcm
from .client_log import ClientLog
from .errors import BoardError
from .inspection import Inspection
from .items import ITEMS, Items
from .reasons import BOARD_REASONS

_PROGRAM = Path(__file__).with_name("board_program.sh")

UTILITY_TIMEOUT = 300
"""Seconds after which a hanging utility is ended. It took 10 ms on x86, but may wait for randomness."""

TICKS_PER_SECOND = 100
"""USER_HZ, in which /proc tells times; 100 on every architecture that MBL runs on."""

_WARNINGS = (("inputs", "disk"), ("inputs", "busy"), ("way", "journal"))
"""Keys and values of the report that make a warning, of the reason ``KEY-VALUE``."""


@dataclass(frozen=True)
class Restart:
    """How the board's client fares after a restart that this run has caused.

    ``way`` is how the items got there: ``beside`` the old ones, by ``journal`` (in place), ``already`` (the exchange
    was repeated after it had done its work), or None for a restart alone. ``warnings`` are texts for the user.
    """

    log: ClientLog = field(default_factory=ClientLog)
    client_runs: bool = False
    way: str | None = None
    recovered: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def device_id(self) -> str | None:
        return self.log.device_id

    @property
    def registered(self) -> bool | None:
        """True: proven since the restart. False: an error, or the client has ended. None: nothing was heard so far."""
        if not self.client_runs:
            return False
        return None if self.log.registered and not self.device_id else self.log.registered

    @property
    def error(self) -> str | None:
        """What the client said, or that it died without a word."""
        return self.log.error or (None if self.client_runs else "mbl-cloud-client has ended without a word")


class Board:
    """A board that is reached by ``run``, which sends a text to its `/bin/sh` and returns what that printed."""

    def __init__(self, run: Callable[[str], str], *, lock_timeout: int, now: Callable[[], float] = time.time) -> None:
        self._run = run
        self._lock_timeout = lock_timeout
        self._now = now

    def inspect(self, *, may_change: bool) -> Inspection:
        """One exchange, no secrets sent. Puts in order what a cut-off run left, if it ``may_change`` the board.

        Raises BoardError.
        """
        report = self._call("inspect", {}, may_change=may_change)
        try:
            return _board(report, self._now())
        except (IndexError, ValueError) as error:
            text = "The board's answer makes no sense. Is it an MBL device?"
            raise BoardError(text, reason="bad-answer") from error

    def inject(self, items: Items, *, found_digest: str | None, bootstrap: str, registration_timeout: int) -> Restart:
        """One exchange: put ``items`` in the place of what the board holds, and restart its client.

        ``found_digest`` is the inspection's: a repeated exchange is known by it, and what another tool did since is
        not overwritten. ``bootstrap`` is ``as-is``, ``not-yet`` (refuse when it has bootstrapped since),
        ``keep-identity`` or ``new-identity``. The answer is what the client said within ``registration_timeout``
        seconds, 0 not to wait. Raises BoardError, the board then holding what it held, unless the error's
        ``changed`` says otherwise.
        """
        values = {
            "bootstrap": bootstrap,
            "found_digest": found_digest or sha256_hex(b""),
            "fingerprint": items.fingerprint,
            "registration_timeout": str(registration_timeout),
            "input_files": " ".join(f"{name}.bin" for name in ITEMS),
            "inputs_digest": sha256_hex(b"".join(items.values[name] for name in ITEMS)),
            "certificates": "\n".join(_expectations(items)),
            "record_text": "\n".join(f"{key}={value}" for key, value in record_of(items).items()),
        }
        report = self._call("inject", values, functions=_write_items(items))
        return _restart(report, way="".join(report["way"][:1]) or "beside")

    def empty(self, *, found_digest: str | None) -> None:
        """One exchange: stop the client and take away all that the board holds for it, its identity included.

        ``found_digest`` is the inspection's: what another tool did since is not taken away. Raises BoardError.
        """
        self._call("empty", {"found_digest": found_digest or sha256_hex(b"")})

    def reconnect(self, *, registration_timeout: int) -> Restart:
        """One exchange: restart the client, whose own pause between attempts grows to a week."""
        return _restart(self._call("reconnect", {"registration_timeout": str(registration_timeout)}), way=None)

    def _call(
        self, function: str, values: Mapping[str, str], *, functions: str = "", may_change: bool = True
    ) -> Report:
        values = {
            **values,
            **_KCM_FILES,
            "may_change": "yes" if may_change else "no",
            "lock_timeout": str(self._lock_timeout),
            "utility_timeout": str(UTILITY_TIMEOUT),
        }
        assignments = "".join(f"{name}={quote(value)}\n" for name, value in values.items())
        call = f"{{\n{assignments}{functions}{function}\n}}\n"
        return _report(self._run(_PROGRAM.read_text() + call))


def _files(names: Iterable[str]) -> str:
    return " ".join(kcm.file_name(name) for name in names)


_KCM_FILES = {
    "item_files": _files(kcm.FACTORY_ITEMS),
    "encrypted_files": _files(kcm.ENCRYPTED_ITEMS),
    "client_writes": kcm.file_name(kcm.BOOTSTRAP_URI),
    "certificate_files": _files((*kcm.CERTIFICATES, kcm.LWM2M_CERTIFICATE)),
    "lwm2m_files": _files(kcm.LWM2M_ITEMS),
}

Report = Mapping[str, list[str]]
"""The values of each key that the program reported, in order; an absent key has none."""


def _report(text: str) -> Report:
    report: dict[str, list[str]] = defaultdict(list)
    for line in text.split("\n"):
        found = re.fullmatch(r"mbl:([a-zA-Z0-9#_-]+)=(.*?)\r?", line)
        if found:
            report[found[1]].append(found[2])
    undone = report["undone"][0] == "yes" if report["undone"] else None
    recovered, committed = bool(report["recovered"]), bool(report["committed"])
    if report["error"] and report["error"][0] in BOARD_REASONS:
        reason, detail = report["error"][0], _said(report["detail"])
        if fault := _ending(report):
            reason, detail = "utility-ended", f"{fault}. {detail}".strip()
        raise BoardError.of(reason, detail, undone=undone, recovered=recovered, committed=committed)
    if not report["done"]:
        raise BoardError(
            "The board's answer ended early. What was under way there is completed or undone by the board, "
            "now or at the next run: run again.",
            reason="cut-off",
            undone=bool(undone),
            recovered=recovered,
            changed=recovered or committed,
        )
    return report


def _ending(report: Report) -> str:
    """Why the utility did not run to its end, empty when it did."""
    if report["utility-timeout"]:
        return f"it took more than {report['utility-timeout'][0]} seconds and was killed"
    return _fault(int(report["utility-code"][0])) if report["utility-code"] else ""


def _fault(code: int) -> str:
    """Why a program with this exit code did not run to its end; empty when it did."""
    if code in (126, 127):
        return f"exit code {code}: it cannot be executed"
    if code > 128:
        hint = "; with a full /config/user it crashes" if code - 128 in (6, 11) else ""
        return f"it was ended by signal {code - 128}{hint}"
    return ""


def _said(lines: Iterable[str]) -> str:
    """What the utility said, without the lines that tell nothing: what it is about to do, and of randomness."""
    noise = ("Querying device status", "Provisioning device.", "Generating random from")
    return " ".join(line.strip() for line in lines if line.strip() and not line.startswith(noise))


def _restart(report: Report, *, way: str | None) -> Restart:
    log = ClientLog.of(report["log"])
    if report["client-error"]:
        log = ClientLog(registered=False, error=" ".join(report["client-error"]))
    return Restart(
        log=log,
        client_runs=report["client-runs"] == ["yes"],
        way=way,
        recovered=bool(report["recovered"]),
        warnings=tuple(BOARD_REASONS[f"{key}-{value}"].text for key, value in _WARNINGS if value in report[key]),
    )


def _board(report: Report, now: float) -> Inspection:
    clock = int(report["time"][0])
    if not 0 <= clock < 2**33:
        raise ValueError("no time")
    certificates = {}
    for name in (*kcm.CERTIFICATES, kcm.LWM2M_CERTIFICATE):
        octets = " ".join(report[f"content-{kcm.file_name(name)}"]).split()
        der = kcm.read_certificate(name, bytes(int(octet, 8) for octet in octets))
        if der is not None:
            certificates[name] = describe_certificate(der)
    started = report["client-start"]
    asked = report["utility--get-pelion-status"]
    return Inspection(
        has_utility=bool(asked or report["utility--help"]),
        utility_fault=_fault(int((asked or report["utility--help"] or ["0"])[0])),
        files=tuple(report["item-file"]),
        certificates=certificates,
        kcm_digest=next(iter(report["kcm-digest"]), None),
        record=_mapping(report["record"]),
        remembered=_mapping(report["device"]),
        status_code=int(asked[0]) if asked else None,
        status=_said(report["status"]) if asked else "",
        client_runs=bool(started),
        log=_client_log(report, started and clock - float(report["uptime"][0]) + int(started[0]) / TICKS_PER_SECOND),
        clock=clock,
        drift=round(clock + 0.5 - now),  # it tells whole seconds
        space=_space(report["space"]),
        image=_image(report),
        recovered=bool(report["recovered"]),
        interrupted=bool(report["interrupted"]),
    )


def _client_log(report: Report, started: float | list[str]) -> ClientLog:
    """The state of the client that runs now, since ``started`` (seconds since 1970; empty when none runs).

    Where the lines are not known to be its own, their stamps decide. The clock may have jumped since: lines that were
    written before it was right, or that lie in the future, then tell nothing, which is the safe side.
    """
    if report["log-since"]:
        return ClientLog.of(report["log"])
    if not isinstance(started, float):
        log = ClientLog.of(report["log"])
        return ClientLog(error=log.error, error_code=log.error_code, registered_at=log.registered_at)
    return ClientLog.of(report["log"], since=floor(started), until=int(report["time"][0]) + 1)


def _mapping(lines: Iterable[str]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _space(lines: Iterable[str]) -> dict[str, dict[str, int | bool | None]]:
    found: dict[str, dict[str, int | bool | None]] = {}
    for line in lines:
        directory, free, options = line.split(" ")
        found[directory] = {"free_kb": int(free) if free else None, "writable": options != "ro"}
    return found


def _image(report: Report) -> dict[str, str]:
    """What the image is called, as far as it says so: ``name``, ``version``, ``kernel``."""
    release = {key: value.strip("\"'") for key, value in _mapping(report["image"]).items()}
    facts = {"name": release.get("NAME"), "version": release.get("VERSION"), "kernel": " ".join(report["kernel"])}
    return {key: value for key, value in facts.items() if value}


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
