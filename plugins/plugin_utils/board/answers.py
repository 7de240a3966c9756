# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the board's program answers: lines `mbl:KEY=VALUE`, and what is made of them.

ANSWERS and PROGRAM_REASONS have all that it can say. Parser, documentation (docs/on-the-board.md) and tests go by them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import floor
from types import MappingProxyType
from typing import Any

from ..credentials.certified import describe_certificate
from . import kcm
from .client_log import ClientLog
from .errors import BoardError
from .inspection import Inspection
from .reasons import BOARD_WARNINGS, PROGRAM_REASONS

TICKS_PER_SECOND = 100
_OCTETS = {f"{octet:03o}": octet for octet in range(256)}
"""USER_HZ, in which /proc tells times; 100 on every architecture that MBL runs on."""

ANSWERS: Mapping[str, str] = MappingProxyType(
    {
        "done": "`yes`, the last line: all was done that was asked",
        "error": "a reason, when not all was done",
        "detail": "what is to be said with the reason, a line each",
        "undone": "`yes` or `no`: whether the set from before was put back",
        "committed": "`yes`: the new set is in its place",
        "recovered": "`yes`: what a run that was cut off had left was put in order",
        "interrupted": "`yes`: there is something of that kind, which a look does not touch",
        "way": "`already`: an earlier exchange did the work",
        "inputs": "`busy`: a process sat in the items' directory",
        "record": "a line of the record",
        "device": "a line of what was remembered of the registration",
        "kcm-digest": "the digest of the KCM",
        "item-file": "a file of the KCM, each",
        "certificate": "a certificate's file and its size in bytes, each",
        "octets": "octets of those files, one after the other, octal",
        "head-COPY-FILE": "the first octets, octal, of an item's file in COPY (`WORKING` or `BACKUP`), where the two "
        "copies are not the same; nothing when it is not there",
        "utility--help": "the exit code of the utility, asked for its help",
        "utility--get-pelion-status": "the exit code of the utility, asked for the status",
        "utility-code": "the exit code with which it failed",
        "utility-timeout": "the seconds for the whole exchange; they were over, and it was killed",
        "status": "a line of what the utility said",
        "space": "a directory, its free kB, and `rw` or `ro`",
        "kernel": "name and machine of the kernel",
        "image": "a line of /etc/os-release",
        "log-since": "`start`: the log's lines are those of the client that runs",
        "log": "a line of the client's log that tells its state",
        "client-start": "when the client was started, in ticks since the kernel",
        "client-runs": "`yes` or `no`",
        "client-error": "a line of what systemctl said, when it could not start the client",
        "uptime": "seconds since the kernel was started",
        "time": "the board's clock, in seconds since 1970",
    }
)
"""The keys of its answers, and what their values mean. Most come once or not at all."""


@dataclass(frozen=True)
class Restart:
    """How the board's client fares after a restart that this run has caused.

    ``way`` is how the items got there: ``beside`` the old ones, ``already`` (the exchange was repeated after it had
    done its work), or None for a restart alone. ``warnings`` are texts for the user.
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
        return self.log.error or (None if self.client_runs else "mbl-cloud-client has ended without a message")


Report = Mapping[str, list[str]]
"""The values of each key that the program reported, in order; an absent key has none."""


def lines_of(text: str) -> dict[str, list[str]]:
    """The values of each key in the ``text`` that was printed, also where it was cut off."""
    lines: dict[str, list[str]] = defaultdict(list)
    for line in text.split("\n"):
        found = re.fullmatch(r"mbl:([a-zA-Z0-9#_-]+)=(.*)", line.removesuffix("\r"))
        if found:
            lines[found[1]].append(found[2])
    return lines


def read_report(text: str) -> Report:
    """What the program reported in the ``text`` that was printed.

    Raises BoardError where it failed, or did not come to its end, and ValueError for a strange answer.
    """
    report = lines_of(text)
    undone = report["undone"][0] == "yes" if report["undone"] else None
    recovered, committed = bool(report["recovered"]), bool(report["committed"])
    if report["error"] and report["error"][0] in PROGRAM_REASONS:
        reason, detail = report["error"][0], _said(report["detail"])
        if fault := _ending(report):
            said = "" if reason == "too-slow" else detail
            reason, detail = "utility-ended", f"{fault}. {said}".strip()
        raise BoardError.of(reason, detail, undone=undone, recovered=recovered, committed=committed)
    if not report["done"]:
        raise BoardError.of("cut-off", undone=undone or None, recovered=recovered, committed=committed)
    return report


def _ending(report: Report) -> str:
    """Why the utility did not run to its end, empty when it did."""
    if report["utility-timeout"]:
        return f"it was killed when the {report['utility-timeout'][0]} seconds for the whole exchange were over"
    code = "".join(report["utility-code"][:1])
    return _fault(int(code)) if re.fullmatch("[0-9]{1,5}", code) else ""


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


def restart_of(report: Report, *, way: str | None) -> Restart:
    """How the client fares, after an exchange that restarted it. ``way``: see Restart."""
    log = ClientLog.of(report["log"])
    if report["client-error"]:
        log = ClientLog(registered=False, error=" ".join(report["client-error"]))
    return Restart(
        log=log,
        client_runs=report["client-runs"] == ["yes"],
        way=way,
        recovered=bool(report["recovered"]),
        warnings=tuple(kind.text for (key, value), kind in BOARD_WARNINGS.items() if value in report[key]),
    )


def inspection_of(report: Report, now: float) -> Inspection:
    """What an inspection found, at the controller's time ``now``.

    Raises ArithmeticError, LookupError or ValueError for a strange answer.
    """
    clock = int(report["time"][0])
    if not 0 <= clock < 2**33:
        raise ValueError("no time")
    started = report["client-start"]
    asked = report["utility--get-pelion-status"]
    return Inspection(
        has_utility=bool(asked or report["utility--help"]),
        utility_fault=_fault(int((asked or report["utility--help"] or ["0"])[0])),
        files=tuple(report["item-file"]),
        certificates=_certificates(report),
        damaged=tuple(_damaged(report)),
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


def _certificates(report: Report) -> dict[str, Any]:
    """Descriptions of those that the board holds, by complete name."""
    octets = _octets(report["octets"])
    contents = {}
    for line in report["certificate"]:
        file, size = line.split(" ")
        contents[file], octets = octets[: int(size)], octets[int(size) :]
    found = {}
    for name in (*kcm.CERTIFICATES, kcm.LWM2M_CERTIFICATE):
        der = kcm.read_certificate(name, contents.get(kcm.file_name(name), b""))
        if der is not None:
            found[name] = describe_certificate(der)
    return found


def _damaged(report: Report) -> Iterator[str]:
    """Items of which a copy is damaged: the item's name, and in which copy."""
    for name in kcm.FACTORY_ITEMS:
        heads = {copy: report[f"head-{copy}-{kcm.file_name(name)}"] for copy in kcm.COPIES}
        if not all(heads.values()):
            continue
        bad = [copy for copy, lines in heads.items() if not kcm.is_head_of(name, _octets(lines))]
        # The client writes one item anew. Of another one, it cannot be told which of two sound beginnings goes wrong.
        if bad or name != kcm.BOOTSTRAP_URI:
            yield f"{kcm.item_name(name)} ({' and '.join(bad) or ' or '.join(kcm.COPIES)})"


def _octets(lines: Iterable[str]) -> bytes:
    return bytes(map(_OCTETS.__getitem__, " ".join(lines).split()))


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
