# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board as an inspection found it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from ..times import parse_time, span_text
from . import kcm
from .client_log import ClientLog

Description = Mapping[str, Any]
"""What credentials.certified.describe_certificate tells of a certificate."""

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

STORAGE, INPUTS, LOGS = "/config/user", "/scratch", "/var/log"
ROOM_FOR_A_SET = 256
"""kB on STORAGE for an injection. A set takes 128 on blocks of 4; 100 were too few for the utility, 200 were not."""
ROOM_FOR_A_LITTLE = 64
"""kB on INPUTS, where a directory is made, and on LOGS."""
CLOCK_TOLERANCE = timedelta(hours=1)


@dataclass(frozen=True)
class Inspection:
    """What a board holds and how it is.

    ``utility_fault`` is why the utility cannot be run, empty when it can. ``certificates`` maps the complete KCM
    names of kcm.CERTIFICATES and kcm.LWM2M_CERTIFICATE to descriptions; ``files`` are the KCM's file names;
    ``damaged`` names the items of which a copy is damaged, and which copy: `mbed.Manufacturer (BACKUP)`;
    ``record`` is the record's lines as a mapping, empty without one; ``remembered`` likewise the ``device_id`` that
    was seen to register and the ``kcm`` digest that it had. ``status_code`` is the utility's for
    `--get-pelion-status`, None when it was not asked; ``clock`` is the board's own time in seconds since 1970, and
    ``drift`` what it is ahead of the controller's, in seconds. ``space`` maps directories to their free kB (None:
    unknown) and whether they can be written. ``image`` is what /etc/os-release and the kernel say. ``interrupted``
    tells that a run was cut off and has left something to undo, to complete or to tidy up; what the board holds
    after that is then what is described.
    """

    has_utility: bool
    utility_fault: str = ""
    files: tuple[str, ...] = ()
    certificates: Mapping[str, Description] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()
    kcm_digest: str | None = None
    record: Mapping[str, str] = field(default_factory=dict)
    remembered: Mapping[str, str] = field(default_factory=dict)
    status_code: int | None = None
    status: str = ""
    client_runs: bool = False
    log: ClientLog = field(default_factory=ClientLog)
    clock: int = 0
    drift: int = 0
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    image: Mapping[str, str] = field(default_factory=dict)
    recovered: bool = False
    interrupted: bool = False

    def to_json(self) -> dict[str, Any]:
        """All of it, for ``from_json`` in a later task of the same run."""
        return {**vars(self), "log": asdict(self.log)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Inspection:
        """Raises ValueError for what ``to_json`` did not make."""
        try:
            files, damaged = tuple(found["files"]), tuple(found["damaged"])
            return cls(**{**found, "log": ClientLog(**found["log"]), "files": files, "damaged": damaged})
        except (KeyError, TypeError) as error:
            raise ValueError("not what an inspection found") from error

    @property
    def developer_certificate(self) -> Description | None:
        return self.certificates.get(kcm.DEVELOPER_CERTIFICATE)

    @property
    def update_certificate(self) -> Description | None:
        return self.certificates.get(kcm.UPDATE_CERTIFICATE)

    @property
    def missing_items(self) -> list[str]:
        """Names of the items that a provisioned board has and this one lacks."""
        return [kcm.item_name(name) for name in kcm.FACTORY_ITEMS if kcm.file_name(name) not in self.files]

    @property
    def configured(self) -> bool:
        """Whether the utility is content and no item is missing (it overlooks missing update items).

        A set that is not in its place yet cannot be shown to it; then what we recorded says that it was content.
        """
        content = self.status_code == 0 or (self.status_code is None and self.provisioned_by == "pelion.mbl")
        return content and not self.missing_items

    @property
    def bootstrapped(self) -> bool:
        """Whether the client holds LwM2M credentials, so that it registers and does not bootstrap."""
        return kcm.file_name(kcm.LWM2M_SERVER_URI) in self.files

    @property
    def has_identity(self) -> bool:
        """Whether it is a device, or will be the same one again when it has bootstrapped anew."""
        return self.bootstrapped or kcm.file_name(kcm.IDENTITY) in self.files

    @property
    def bootstrapped_with(self) -> dict[str, str | None] | None:
        """The developer certificate that is proven to be the one it bootstrapped with.

        ``fingerprint`` and ``common_name``, each None where nothing proves it; None when it has not bootstrapped.
        What proves it is the certificate that it got at its bootstrap. What it holds now, or what was recorded when
        that was put there, does not: a client that has bootstrapped ignores another one.
        """
        if not self.bootstrapped:
            return None
        held = self.developer_certificate
        got = self.certificates.get(kcm.LWM2M_CERTIFICATE)
        name = got["common_name"] if got else None
        is_held = held and name and held["common_name"] == name
        return {"fingerprint": held["fingerprint"] if held and is_held else None, "common_name": name}

    @property
    def device_id(self) -> str | None:
        """The board's ID in the Device Directory: from its client's log, else as it was remembered."""
        if self.log.device_id or not self.bootstrapped:
            return self.log.device_id
        return self.remembered.get("device_id") if self.remembered.get("kcm") == self.kcm_digest else None

    @property
    def registered(self) -> bool | None:
        """True: the log proves it. None: the client runs and has bootstrapped, its log tells nothing. Else False."""
        if not self.client_runs or not self.bootstrapped:
            return False
        if self.log.registered and not self.device_id:
            return None
        return self.log.registered

    @property
    def registered_since_injection(self) -> bool:
        """Whether it is proven to have registered since what it holds was put there."""
        return self.kcm_digest is not None and self.remembered.get("kcm") == self.kcm_digest

    @property
    def provisioned_by(self) -> str | None:
        """Who put the present content there: ``pelion.mbl``, ``another tool``, or None for no items."""
        if self.record and self.record.get("kcm") == self.kcm_digest:
            return "pelion.mbl"
        return "another tool" if self.certificates else None

    @property
    def time(self) -> datetime:
        """The board's own."""
        return EPOCH + timedelta(seconds=self.clock)

    @property
    def obstacles(self) -> list[tuple[str, str]]:
        """What would make an injection fail: reasons of BoardError with their details, none when it can be tried."""
        found = []
        if not self.has_utility:
            found.append(("no-utility", ""))
        elif self.utility_fault:
            found.append(("utility-broken", self.utility_fault))
        for directory, room in ((STORAGE, ROOM_FOR_A_SET), (INPUTS, ROOM_FOR_A_LITTLE)):
            if not self._is_writable(directory):
                found.append(("read-only", directory))
            elif not self._has_room(directory, room):
                free = self.space[directory]["free_kb"]
                found.append(("no-space", f"{directory} has {free} kB free, but {room} kB are needed"))
        return found

    def _is_writable(self, directory: str) -> bool:
        return bool(self.space.get(directory, {}).get("writable", True))

    def _has_room(self, directory: str, kilobytes: int) -> bool:
        """As far as the board could tell."""
        free = self.space.get(directory, {}).get("free_kb")
        return free is None or free >= kilobytes

    @property
    def unforeseen(self) -> list[str]:
        """What check mode cannot foresee of a board, also of one that gets nothing: texts."""
        if not self.interrupted:
            return []
        return [
            "An injection was cut off on this board. A run without --check completes or undoes it and starts the "
            "client. If that bootstraps or registers before the run has decided, the run may do other things than "
            "check mode tells, and make another developer certificate."
        ]

    @property
    def warnings(self) -> list[str]:
        """What the user should know of a board that can be worked with: texts."""
        found = self.unforeseen
        if self.damaged:
            found.append(
                f"Damaged copies of items in the board's KCM: {', '.join(self.damaged)}. An injection makes them anew."
            )
        if not self._is_writable(LOGS) or not self._has_room(LOGS, ROOM_FOR_A_LITTLE):
            found.append(f"{LOGS} is full or read-only, so the client's log cannot show whether the board registers.")
        if abs(self.drift) > CLOCK_TOLERANCE.total_seconds():
            direction = "ahead of" if self.drift > 0 else "behind"
            found.append(
                f"The board's clock is {span_text(abs(self.drift))} {direction} the controller's. Its client "
                "goes by the time that a server gives it."
            )
        for title, held in (("developer", self.developer_certificate), ("update", self.update_certificate)):
            if held and held["not_after"] and held["not_before"]:
                if self.time > parse_time(held["not_after"]):
                    found.append(f"By the board's clock, the {title} certificate ended on {held['not_after']}.")
                elif self.time < parse_time(held["not_before"]):
                    found.append(
                        f"By the board's clock, the {title} certificate is not valid before {held['not_before']}."
                    )
        return found

    def describe(self) -> dict[str, Any]:
        """JSON-able, without secrets: what the board holds, whoever put it there."""
        return {
            "developer_certificate": self.developer_certificate,
            "update_certificate": self.update_certificate,
            "provisioned_by": self.provisioned_by,
            "missing_items": self.missing_items,
        }
