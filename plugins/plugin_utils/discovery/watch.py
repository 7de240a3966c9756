# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards over time: who appears, appears again, and leaves.

Boards announce themselves when they start, and say goodbye when they are shut down. One whose power was cut says
nothing: it is asked for at the end of its records' time to live, and gone when it does not answer (RFC 6762 section
5.2). When it is back before that, it is known by the questions with which it makes sure of its name (section 8.1).
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from ..errors import PelionError
from ..libraries import Absent, is_installed
from .discover import announcements, concerns, knowledge_for
from .fairness import in_turn
from .hosts import Host, Rules, select
from .knowledge import RECORD_OF, Address, Service
from .lifetimes import Lifetimes
from .links import Link, chosen, links
from .packets import PTR, SRV, KnownAnswer, Question, decode, encode, probed_names
from .wire import Datagram, Wire

if TYPE_CHECKING or is_installed("zeroconf"):
    from zeroconf import DNSAddress, DNSPointer, DNSService
else:
    DNSAddress = DNSPointer = DNSService = Absent()

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 60.0
"""Seconds between questions to all: they become rarer, as section 5.2 asks for."""
_LOOK_AT_LINKS = 1.0
"""Seconds between looks at this machine's interfaces: a board on USB brings one of its own."""
_RESTART = 120.0
"""Seconds within which a board that made sure of its name must have told all about itself."""
_ADDRESSES = 8
"""So many addresses are kept for each service."""
_POINTER_TTL = 4500

Key = tuple[int, str]
"""Of a service, as Knowledge has it: the link's index, and the name in small letters."""


class What(enum.Enum):
    APPEARED = "appeared"
    AGAIN = "again"
    """It was there, and has started anew, or is reached in another way than before."""
    LEFT = "left"


@dataclass(frozen=True)
class Change:
    what: What
    board: Host


class Watch:
    """Watches for boards by ``rules``, of services of ``kinds`` (`_ssh._tcp`), on the interfaces of these names, or on
    all that lead out of this machine. Interfaces may come and go.
    """

    def __init__(self, rules: Rules, interfaces: Sequence[str], kinds: Sequence[str]) -> None:
        self._rules = rules
        self._interfaces = tuple(interfaces)
        self._knowledge = knowledge_for(rules, kinds)
        self._services: Lifetimes[Key] = Lifetimes()
        self._addresses: Lifetimes[tuple[int, str, Address]] = Lifetimes()
        self._restarting: dict[tuple[str | None, str], float] = {}
        self._told: dict[str, Host] = {}
        self._every_link: tuple[Link, ...] = ()
        self._links: tuple[Link, ...] = ()
        self._wire: Wire | None = None
        self._look_again = self._turn = 0.0
        self._pause = _FIRST_PAUSE
        self._asked = 0
        self._has_news = False
        self._link_warnings: tuple[str, ...] = ()
        self._board_warnings: tuple[str, ...] = ()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._wire:
            self._wire.close()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What stands in the way at the moment, and who is no board, for people."""
        return self._link_warnings + self._board_warnings

    def receive(self, seconds: float) -> list[Change]:
        """What has changed, after listening for ``seconds``."""
        now = time.monotonic()
        if now >= self._look_again:
            self._look_at_links(now)
            self._look_again = now + _LOOK_AT_LINKS
        if self._wire:
            self._ask(self._wire, now)
            for datagram in self._wire.receive(seconds):
                self._hear(datagram, time.monotonic())
        else:
            time.sleep(seconds)
        self._expire(time.monotonic())
        return self._changes() if self._has_news else []

    # Listening and asking

    def _hear(self, datagram: Datagram, now: float) -> None:
        for name in probed_names(datagram.data):
            self._note_restart((datagram.link.index, name.lower()), now)
        records = decode(datagram.data)
        if not records:
            return
        self._has_news = True
        news = self._knowledge.hear(datagram.link, datagram.sender, records, asked=self._asked)
        index = datagram.link.index
        for record in records:
            if isinstance(record, DNSAddress):
                if record.ttl:
                    self._addresses.told((index, record.key, ip_address(record.address)), record.ttl, now)
                continue
            name = record.alias if isinstance(record, DNSPointer) else record.name
            key = (index, name.lower())
            if key in self._knowledge.services:
                if isinstance(record, DNSService) and record.ttl:
                    self._services.told(key, record.ttl, now)
                else:
                    self._services.heard_of(key, now)
        if any(concerns(service, self._rules) for service in news):
            self._ask_soon(now)

    def _note_restart(self, key: Key, now: float) -> None:
        """Whoever asks whether a name is free is about to announce all of itself anew."""
        service = self._knowledge.services.get(key)
        if service and any(_place(board) == _place(service) for board in self._told.values()):
            self._restarting[_place(service)] = now + _RESTART
            self._forget([key])
            self._ask_soon(now)

    def _ask_soon(self, now: float) -> None:
        self._pause = _FIRST_PAUSE
        self._turn = min(self._turn, now + _FIRST_PAUSE)

    def _ask(self, wire: Wire, now: float) -> None:
        questions: dict[Link, list[Question]] = {}
        for key in self._services.to_ask(now):
            service = self._knowledge.services.get(key)
            if service and concerns(service, self._rules):
                questions.setdefault(service.link, []).append(Question(service.name, SRV))
        by_index = {link.index: link for link in wire.links}
        for index, host, address in self._addresses.to_ask(now):
            if index in by_index:
                questions.setdefault(by_index[index], []).append(Question(host, RECORD_OF[address.version]))
        one_shot = self._asked % 2 == 1
        if now >= self._turn:
            self._turn = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self._asked += 1
            services = self._concerning()
            for service in services:
                questions.setdefault(service.link, []).extend(self._knowledge.missing(service))
            for link in wire.links:
                known = [
                    KnownAnswer(service.kind, service.name, _POINTER_TTL)
                    for service in services
                    if service.link == link
                ]
                pointers = [Question(kind, PTR) for kind in self._knowledge.kinds]
                wire.send(link, encode(pointers, known), one_shot=one_shot)
        for link, each in questions.items():
            wire.send(link, encode(dict.fromkeys(each)), one_shot=one_shot)

    def _concerning(self) -> list[Service]:
        services = [service for service in self._knowledge.present() if concerns(service, self._rules)]
        return self._in_turn(services)[: self._rules.max_hosts]

    def _in_turn(self, services: Iterable[Service]) -> list[Service]:
        def is_known(service: Service) -> bool:
            return self._rules.is_known(service.instance, service.link.name)

        return in_turn(services, lambda service: service.sender, is_known)

    # What is over

    def _expire(self, now: float) -> None:
        services = self._knowledge.services
        said_goodbye = [key for key, service in services.items() if service.left]
        self._forget([*said_goodbye, *self._services.over(now)])
        for index, host, address in self._addresses.over(now):
            self._addresses.forget((index, host, address))
            self._knowledge.forget_address(index, host, address)
            self._has_news = True
        for place, until in list(self._restarting.items()):
            if until <= now:
                del self._restarting[place]
                self._has_news = True
        if len(self._services) > len(services):
            self._services.keep(services)  # Knowledge keeps so many only.
        if len(self._addresses) > _ADDRESSES * self._rules.most_services:
            self._addresses.keep(
                {
                    (service.link.index, service.server[0].lower(), address)
                    for service in services.values()
                    if service.server
                    for address in self._knowledge.host(service).addresses
                }
            )

    def _forget(self, keys: Sequence[Key]) -> None:
        if keys:
            for key in keys:
                self._services.forget(key)
            self._knowledge.forget(keys)
            self._has_news = True

    def _look_at_links(self, now: float) -> None:
        """Open sockets on the interfaces that there are now."""
        self._every_link = links()
        names = {link.name for link in self._every_link}
        missing = [name for name in self._interfaces if name not in names]
        here = [name for name in self._interfaces if name in names]
        wanted = chosen(self._every_link, here) if here or not self._interfaces else ()
        self._link_warnings = tuple(
            f"There is currently no network interface {name!r} with an address." for name in missing
        )
        if wanted == self._links:
            return
        if self._wire:
            self._wire.close()
        self._wire, self._links = None, ()
        try:
            if wanted:
                self._wire, self._links = Wire(wanted, self._rules.versions), wanted
        except PelionError as error:
            self._link_warnings += (str(error),)
        by_index = {link.index: link for link in self._links}
        for service in self._knowledge.services.values():
            service.link = by_index.get(service.link.index, service.link)
        self._forget([key for key in self._knowledge.services if key[0] not in by_index])
        self._turn, self._pause, self._has_news = now, _FIRST_PAUSE, True

    # What has changed

    def _changes(self) -> list[Change]:
        self._has_news = False
        selection = select(announcements(self._knowledge, self._rules), self._rules, self._every_link)
        self._board_warnings = selection.warnings
        boards = {board.name: board for board in selection.boards}
        changes = []
        for name, before in self._told.items():
            if name in boards:
                if self._restarting.pop(_place(boards[name]), None) or _is_elsewhere(before, boards[name]):
                    changes.append(Change(What.AGAIN, boards[name]))
            elif _place(before) not in self._restarting:
                changes.append(Change(What.LEFT, before))
        changes += [Change(What.APPEARED, board) for name, board in boards.items() if name not in self._told]
        for change in changes:
            if change.what is What.LEFT:
                del self._told[change.board.name]
            else:
                self._told[change.board.name] = change.board
        return changes


def _place(one: Host | Service) -> tuple[str | None, str]:
    """Who it is, whatever the address: its interface's name, and its own."""
    interface = one.interface if isinstance(one, Host) else one.link.name
    return interface, one.instance.lower()


def _is_elsewhere(before: Host, board: Host) -> bool:
    """Whether it is reached in another way. Some more addresses, or some less, are none."""
    if (before.interface, before.instance, before.hostname, before.port) != (
        board.interface,
        board.instance,
        board.hostname,
        board.port,
    ):
        return True
    return set(before.addresses).isdisjoint(board.addresses)
