# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of a board: what it holds, its client, and what board_program.sh does, with each step of the transaction as
a moment at which it may be cut.

test_models.py holds it to the real program. Not modelled: links, full disks, the texts of the utility.
"""

from __future__ import annotations

import functools
import hashlib
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

from actors import Actor, Hub
from cloud.links import Told
from cloud.state import RefusalError, State
from virtual import CLOCK

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import ITEMS
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials import rules

IDENTITY = kcm.file_name(kcm.IDENTITY)
EMPTY = hashlib.sha256(b"").hexdigest()
CERTIFICATES = {
    kcm.DEVELOPER_CERTIFICATE: rules.DEVICE_CERTIFICATE,
    kcm.BOOTSTRAP_CA: rules.SERVER_CA,
    kcm.UPDATE_CERTIFICATE: rules.UPDATE_CERTIFICATE,
}
BETWEEN_LOOKS = 0.5
ANOTHER_TRY = 60.0


@dataclass(frozen=True)
class Set:
    """A set of items as the utility stored it (``stored`` differs each time), and what the client added: the LwM2M
    certificate that it got ``by`` a developer certificate, and its ``identity``, its device's id. Without ``items``,
    two empty directories."""

    items: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    stored: int = 0
    lwm2m: bytes | None = None
    identity: str = ""
    by: bytes = b""

    @property
    def digest(self) -> str:
        return hashlib.sha256(str(self.stored).encode()).hexdigest() if self.items else EMPTY

    @property
    def files(self) -> list[str]:
        names = [kcm.file_name(name) for name in kcm.FACTORY_ITEMS] if self.items else []
        names += [kcm.file_name(name) for name in kcm.LWM2M_ITEMS] if self.lwm2m else []
        return names + ([IDENTITY] if self.identity else [])


@dataclass
class Disk:
    """What lies in /config/user, by the names that board_program.sh has for it."""

    kcm: Set | None = None
    beside: Set | None = None
    old: Set | None = None
    record: dict[str, str] = field(default_factory=dict)
    record_new: dict[str, str] = field(default_factory=dict)
    device: dict[str, str] = field(default_factory=dict)
    inputs: bool = False

    @property
    def digest(self) -> str:
        return self.kcm.digest if self.kcm else EMPTY

    @property
    def has_leftovers(self) -> bool:
        return bool(self.beside or self.old or self.record_new or self.inputs)

    def is_checked(self, held: Set | None) -> bool:
        return held is not None and bool(held.items) and self.record_new.get("kcm") == held.digest


class ProgramError(Exception):
    """What the program fails with: a reason of PROGRAM_REASONS."""


class Board:
    """``number`` tells it from all others, ``host_key`` is its fingerprint. Who watches it gets what its runs are sent
    (``delivered``), each set that gives way to another one (``replaced``) or to none (``emptied``), and what the cloud
    turns it away with. One that ``lies`` says that it is the device of that id."""

    def __init__(self, number: int, hub: Hub, cloud: State, *, odd: bool = False, stranger: bool = False) -> None:
        self.number, self.hub, self.cloud = number, hub, cloud
        self.odd, self.stranger, self.is_copy = odd, stranger, False
        self.host_key = f"SHA256:{number:043}"
        self.disk = Disk()
        self.powered = self.has_utility = self.online = True
        self.mounted = False
        self.clock = 0.0
        self.foreign_until = 0.0
        self.holder: Actor | None = None
        self.programs: list[Actor] = []
        self.delivered: Callable[[Any], None] = lambda delivery: None
        self.replaced: Callable[[Any, Set], None] = lambda delivery, old: None
        self.emptied: Callable[[Set], None] = lambda old: None
        self.turned_away: Callable[[str], None] = lambda why: None
        self.registered_with: dict[tuple[bytes, bytes], float] = {}
        self.lies = ""
        self.identities: set[str] = set()
        self._stored = number * 1000
        self.booted = CLOCK.seconds
        self.client: Actor | None = None
        self._client_is_ours = False
        self._client_began = 0.0
        self._log: list[tuple[float, str]] = []
        self._log_begin = 0
        self.start_client(ours=False)

    def __str__(self) -> str:
        return f"board {self.number}"

    # --- power, and the client ---

    def power_off(self) -> None:
        for actor in [*self.programs, *([self.client] if self.client else [])]:
            self.hub.kill(actor)
        self.powered, self.mounted, self.holder, self.client, self.programs = False, False, None, None, []

    def power_on(self) -> None:
        self.powered, self.disk.inputs, self.booted = True, False, CLOCK.seconds
        self.start_client(ours=False)

    def provision_by_another_tool(self, items: Mapping[str, bytes]) -> None:
        """Which knows neither record nor lock."""
        self._stored += 1
        self.shown = replace(self.shown or Set(), items=items, stored=self._stored)

    @property
    def shown(self) -> Set | None:
        """What is found under the KCM's name: the new set, while it is mounted there."""
        return self.disk.beside if self.mounted else self.disk.kcm

    @shown.setter
    def shown(self, held: Set) -> None:
        if self.mounted:
            self.disk.beside = held
        else:
            self.disk.kcm = held

    @property
    def identity(self) -> str:
        """The device that it is by now."""
        return self.shown.identity if self.shown else ""

    @property
    def client_runs(self) -> bool:
        return self.client is not None and not self.client.gone

    def start_client(self, *, ours: bool) -> None:
        self.stop_client()
        self._client_is_ours, self._client_began, self._log_begin = ours, CLOCK.seconds, len(self._log)
        self.client = self.hub.spawn(f"{self}'s client", self._register)

    def stop_client(self) -> None:
        if self.client and not self.client.gone:
            self.client.dead = True
        self.client = None

    def _say(self, text: str) -> None:
        self._log.append((CLOCK.seconds + self.clock, text))

    def _register(self) -> None:
        """Bootstrap where there are no LwM2M credentials, then register; once they are refused, bootstrap anew."""
        self.hub.exchange("starts")
        if not self.shown or not self.shown.items:
            self.shown = self.shown or Set()
            self._say("Device not configured for mbed Cloud - exit")
            return None
        while True:
            if self.online:
                try:
                    return self._connect()
                except RefusalError as refusal:
                    if self.shown.lwm2m:
                        self.shown = replace(self.shown, lwm2m=None)
                        continue
                    self.turned_away(str(refusal))
                    self._fail("ConnectBootstrapFailed", 257, str(refusal))
            else:
                self._fail("ConnectNetworkError", 261, "Client in reconnection mode NetworkError")
            self.hub.sleep(ANOTHER_TRY)

    def _connect(self) -> None:
        assert self.shown
        items = self.shown.items
        if not self.shown.lwm2m:
            account = parse_qs(urlsplit(items[rules.SERVER_URI].decode()).query)["aid"][0]
            device, credentials = self.cloud.bootstrap(
                items[rules.DEVICE_CERTIFICATE],
                items[rules.ENDPOINT_NAME].decode(),
                account,
                self.shown.identity,
            )
            self.shown = replace(
                self.shown,
                lwm2m=credentials.certificate,
                identity=device.id,
                by=items[rules.DEVICE_CERTIFICATE],
            )
            self.identities.add(device.id)
            self.hub.exchange("has bootstrapped, registers")
        if not self.shown or not self.shown.lwm2m:
            return  # emptied meanwhile, by who did not know that another tool had started this client
        vendor, kind = (items[name].hex() for name in (rules.VENDOR_ID, rules.CLASS_ID))
        told = Told(vendor_id=vendor, device_class=kind)
        device = self.cloud.register(self.shown.lwm2m, 10**7, "MBED_GW", told)
        self.registered_with[items[rules.DEVICE_CERTIFICATE], items[rules.UPDATE_CERTIFICATE]] = CLOCK.seconds
        self._say("Client registered")
        self._say(f"Device Id: {device.id}")
        while True:
            self.hub.sleep(10**6)

    def _fail(self, name: str, code: int, details: str) -> None:
        for text in (
            f"Error occurred : {name}",
            f"Error code : {code}",
            f"Error details : {details.replace(':', ' ')}",
        ):
            self._say(text)

    # --- the program ---

    def run(
        self,
        text: str,
        begin: Callable[[Actor], None],
        delivery: Callable[[Mapping[str, bytes], str], Any] = lambda items, bootstrap: None,
    ) -> str:
        """What it prints. It runs to its end, also when nobody waits for that any more: ``begin`` gets it when it
        starts. ``delivery`` makes of items, and of what is to become of a bootstrap, what its watchers get."""
        printed: list[str] = []
        call = Call.parsed(text)

        def work() -> None:
            try:
                _Program(self, call, printed, delivery).run()
            except ProgramError as error:
                printed.append(f"error={error}")
            finally:
                if self.holder is actor:
                    self.holder = None

        actor = self.hub.spawn(f"{self}'s program", work)
        actor.descriptors = set()
        self.programs = [program for program in self.programs if not program.gone] + [actor]
        begin(actor)
        return "\n" + "".join(f"mbl:{line}\n" for line in printed)

    def store_items(self, items: Mapping[str, bytes], former: Set) -> Set:
        self._stored += 1
        return replace(former, items=items, stored=self._stored)

    def log_lines(self, *, since_start: bool) -> list[str]:
        lines = self._log[self._log_begin :] if since_start else self._log
        if self.lies:
            lines = [(CLOCK.seconds, "Client registered"), (CLOCK.seconds, f"Device Id: {self.lies}")]
        return [
            f"{datetime.fromtimestamp(max(at, 0), timezone.utc):%Y-%m-%dT%H:%M:%S}+0000 [INFO][mbl ]: {text}"
            for at, text in lines[-20:]
        ]

    @property
    def client_is_ours(self) -> bool:
        return self._client_is_ours and self.client_runs

    @property
    def client_began(self) -> float:
        return self._client_began - self.booted


@dataclass(frozen=True)
class Call:
    """The end of a program's text: what it is to do, and with what."""

    function: str
    values: Mapping[str, str]
    items: Mapping[str, bytes]

    @classmethod
    def parsed(cls, text: str) -> Call:
        return _parsed(text[text.rindex("\n{\n") :])


_ASSIGNMENT = re.compile(r"^(\w+)=('(?:[^']|'\"'\"')*'|\S*)$", re.MULTILINE)
_ITEM = re.compile(r"printf '([^']*)' >(\w+)\.bin")


@functools.lru_cache(5000)
def _parsed(end: str) -> Call:
    values = {name: value.strip("'") for name, value in _ASSIGNMENT.findall(end)}
    items = {name: bytes(int(octet, 8) for octet in octal.split("\\")[1:]) for octal, name in _ITEM.findall(end)}
    assert not items or items.keys() == set(ITEMS)
    return Call(end.rstrip("\n}").rpartition("\n")[2], values, items)


class _Program:
    def __init__(self, board: Board, call: Call, printed: list[str], delivery: Callable[..., Any]) -> None:
        self.board, self.hub, self.disk, self.call, self.printed = board, board.hub, board.disk, call, printed
        self.delivery = delivery
        self.may_change = call.values["may_change"] == "yes"

    def say(self, key: str, value: object = "") -> None:
        self.printed.append(f"{key}={value}")

    def run(self) -> None:
        self.step("begins")
        self.take_lock()
        self.recover()
        getattr(self, self.call.function)()
        self.say("done", "yes")

    def step(self, what: str) -> None:
        """A moment at which everything may end."""
        self.hub.exchange(what)

    def take_lock(self) -> None:
        deadline = CLOCK.seconds + float(self.call.values["lock_timeout"])
        while self.board.holder and not self.board.holder.gone:
            self._wait_until(deadline, "locked")
        self.board.holder = self.hub.current
        while self.is_foreign():
            self._wait_until(deadline, "foreign-utility")

    def _wait_until(self, deadline: float, reason: str) -> None:
        if CLOCK.seconds >= deadline:
            raise ProgramError(reason)
        self.hub.sleep(1)

    def is_foreign(self) -> bool:
        return self.board.foreign_until > CLOCK.seconds

    # --- what a killed run or a power cut left ---

    def recover(self) -> None:
        disk = self.disk
        if not disk.has_leftovers:
            return
        if not self.may_change:
            self.say("interrupted", "yes")
            return
        disk.inputs = False
        if disk.beside or disk.old:
            self.board.stop_client()
        self.board.mounted = False
        if disk.old:
            if self.is_whole(disk.kcm):
                disk.old = None
            elif disk.is_checked(disk.beside):
                disk.kcm, disk.beside = disk.beside, None
                self.step("completes a swap")
                disk.old = None
            else:
                disk.kcm, disk.old = disk.old, None
        if disk.record_new and disk.kcm and disk.record_new.get("kcm") == disk.kcm.digest:
            disk.record = disk.record_new
        self.step("tidies up")
        disk.beside, disk.record_new = None, {}
        if not self.board.client_runs:
            self.board.start_client(ours=True)
        self.say("recovered", "yes")

    def is_whole(self, held: Set | None) -> bool:
        """Whoever stored it, the utility is content with it."""
        return held is not None and bool(held.items)

    # --- what the controller calls ---

    def inspect(self) -> None:
        board, disk = self.board, self.disk
        held = disk.kcm
        if disk.old and not disk.beside and not self.is_whole(disk.kcm):
            held = disk.old
        elif disk.old and not self.is_whole(disk.kcm):
            held = disk.beside if disk.is_checked(disk.beside) else disk.old
        digest = held.digest if held else EMPTY
        if board.client_is_ours:
            if self.may_change:
                self.remember_device(digest)
            self.say("log-since", "start")
        for line in board.log_lines(since_start=board.client_is_ours):
            self.say("log", line)
        if board.client_runs:
            self.say("client-start", round(board.client_began * 100))
        record = disk.record_new if held and disk.record_new.get("kcm") == digest else disk.record
        for name, lines in (("record", record), ("device", disk.device)):
            for key, value in lines.items():
                self.say(name, f"{key}={value}")
        if held is not None:
            self.say("kcm-digest", digest)
            for file in held.files:
                self.say("item-file", file)
            self.printed += _certificates_of(held)
        if board.has_utility:
            if held is not None and held is disk.kcm and not board.mounted:
                self.say("utility--get-pelion-status", 0 if held.items else 1)
            else:
                self.say("utility--help", 0)
        self.say("uptime", CLOCK.seconds - board.booted)
        self.say("time", int(CLOCK.seconds + board.clock))

    def inject(self) -> None:
        board, disk, values = self.board, self.disk, self.call.values
        self.delivery = self.delivery(self.call.items, values["bootstrap"])
        board.delivered(self.delivery)
        if not board.has_utility:
            raise ProgramError("no-utility")
        found, fingerprint = values["found_digest"], values["fingerprint"]
        recorded = disk.kcm is not None and disk.record.get("kcm") == disk.digest
        if recorded and disk.digest != found and disk.record.get("fingerprint") == fingerprint:
            self.say("way", "already")
            checked = disk.digest
        else:
            checked = self._transaction(found)
        self.prove(checked)

    def _transaction(self, found: str) -> str:
        board, disk, bootstrap = self.board, self.disk, self.call.values["bootstrap"]
        if disk.digest != found:
            raise ProgramError("changed-since")
        if self.call.values.get("server_host") and not board.online:
            raise ProgramError("cloud-connect")
        board.stop_client()
        try:
            self.require_not_bootstrapped()
            self.step("copies its KCM")
            disk.beside = Set() if bootstrap == "new-identity" else replace(disk.kcm or Set(), items={})
            board.mounted = disk.inputs = True
            self.step("runs the utility")
            new = board.store_items(self.call.items, disk.beside)
            disk.beside = replace(new, lwm2m=None) if bootstrap == "keep-identity" else new
            disk.inputs = False
            checked = disk.beside.digest
            self.step("has checked the new set")
            record = dict(line.split("=", 1) for line in self.call.values["record_text"].split("\n"))
            disk.record_new = {**record, "kcm": checked}
            self.step("mounts the old set again")
            board.mounted = False
            if disk.digest != found:
                raise ProgramError("changed-since")
            self.require_not_bootstrapped()
            if self.is_foreign():
                raise ProgramError("foreign-utility")
            if not disk.is_checked(disk.beside):
                raise ProgramError("changed-since")
        except ProgramError:
            disk.beside, disk.record_new, disk.inputs, board.mounted = None, {}, False, False
            board.start_client(ours=True)
            self.say("undone", "yes")
            raise
        board.replaced(self.delivery, disk.kcm or Set())
        disk.old, disk.kcm = disk.kcm or Set(), None
        self.step("is between the renames")
        disk.kcm, disk.beside = disk.beside, None
        self.say("committed", "yes")
        self.step("has the new set in its place")
        disk.record, disk.record_new = disk.record_new, {}
        self.step("throws the old set away")
        disk.old = None
        board.start_client(ours=True)
        return checked

    def require_not_bootstrapped(self) -> None:
        if self.call.values["bootstrap"] == "not-yet" and self.disk.kcm and self.disk.kcm.lwm2m:
            raise ProgramError("bootstrapped-since")

    def prove(self, checked: str) -> None:
        board = self.board
        board.holder = None
        deadline, absent = CLOCK.seconds + float(self.call.values["registration_timeout"]), 0
        self.step("waits for its client")
        while not any("Device Id: " in line for line in self._told()) and CLOCK.seconds < deadline and absent < 15:
            absent = 0 if board.client_runs else absent + 1
            self.hub.sleep(BETWEEN_LOOKS)
        for line in self._told():
            self.say("log", line)
        self.say("client-runs", "yes" if board.client_runs else "no")
        may_lock = not board.holder or board.holder.gone
        if self.disk.digest != checked and (may_lock or not (self.disk.beside or self.disk.old)):
            raise ProgramError("overwritten")
        if may_lock:
            self.remember_device(checked)

    def _told(self) -> list[str]:
        return self.board.log_lines(since_start=True)

    def remember_device(self, digest: str) -> None:
        named = [line for line in self._told() if "Device Id: " in line]
        if named:
            self.disk.device = {"kcm": digest, "device_id": named[-1].rpartition(": ")[2]}

    def empty(self) -> None:
        board, disk = self.board, self.disk
        if disk.kcm is not None:
            if disk.digest != self.call.values["found_digest"]:
                raise ProgramError("changed-since")
            if self.is_foreign():
                raise ProgramError("foreign-utility")
            board.stop_client()
            self.step("throws its set away")
            board.emptied(disk.kcm)
            disk.kcm = None
        self.step("removes its record")
        disk.record, disk.device = {}, {}

    def reconnect(self) -> None:
        if self.disk.digest != self.call.values["found_digest"]:
            raise ProgramError("changed-since")
        self.board.start_client(ours=True)
        self.prove(self.disk.digest)


@functools.lru_cache(5000)
def _file(name: str, der: bytes) -> tuple[str, str]:
    """The line that names a certificate's file, and its octets."""
    content = struct.pack("<HHH", 1, 0, len(name)) + name.encode() + b"\0\0" + der + bytes(16)
    return f"certificate={kcm.file_name(name)} {len(content)}", " ".join(f"{octet:03o}" for octet in content)


def _certificates_of(held: Set) -> list[str]:
    files = [_file(name, held.items[item]) for name, item in CERTIFICATES.items() if held.items]
    files += [_file(kcm.LWM2M_CERTIFICATE, held.lwm2m)] if held.lwm2m else []
    return [line for line, _octets in files] + [f"octets={octets}" for _line, octets in files]
