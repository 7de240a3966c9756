# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the network has told about services so far, link by link, and what is still to be asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from ..libraries import Absent, is_installed
from .fairness import in_turn
from .links import Link
from .packets import AAAA, PTR, SRV, TXT, A, Question

if TYPE_CHECKING or is_installed("zeroconf"):
    from zeroconf import DNSAddress, DNSNsec, DNSPointer, DNSRecord, DNSService, DNSText
else:
    DNSAddress = DNSNsec = DNSPointer = DNSRecord = DNSService = DNSText = Absent()

Address = IPv4Address | IPv6Address
RECORD_OF = {4: A, 6: AAAA}

_VALUES = 64
"""So many values are kept of what there should be one of, so many addresses of a host, and so many senders of each."""


@dataclass
class Service:
    """An instance of a service type on one link.

    ``servers`` (host name and port) and ``texts`` map what was told to the addresses of who told it, in the order
    heard; more than one is a conflict. ``sender`` told of it first, after ``asked`` questions; until the next one it
    was heard in the families ``versions``.
    """

    link: Link
    kind: str
    instance: str
    sender: str
    asked: int
    since: float
    seen: float
    versions: set[int] = field(default_factory=set)
    left: bool = False
    servers: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    texts: dict[bytes, set[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.instance}.{self.kind}"

    @property
    def key(self) -> tuple[int, str]:
        """Its link's index, and its name in small letters."""
        return self.link.index, self.name.lower()

    @property
    def server(self) -> tuple[str, int] | None:
        return next(iter(self.servers), None)

    @property
    def text(self) -> bytes | None:
        return next(iter(self.texts), None)


@dataclass
class KnownHost:
    """A host name on one link: its addresses, each with who told it, and the types of record that it says to lack."""

    addresses: dict[Address, set[str]] = field(default_factory=dict)
    lacking: set[int] = field(default_factory=set)

    def has(self, version: int) -> bool:
        return any(address.version == version for address in self.addresses)

    @property
    def in_conflict(self) -> bool:
        """Whether two senders tell addresses of one family that have nothing in common."""
        told: dict[tuple[int, str], set[Address]] = {}
        for address, senders in self.addresses.items():
            for sender in senders:
                told.setdefault((address.version, sender), set()).add(address)
        first: dict[int, set[Address]] = {}
        return any(
            not addresses & first.setdefault(version, addresses) for (version, _sender), addresses in told.items()
        )


class Knowledge:
    """What is known of services of ``kinds`` (`_ssh._tcp.local.`), with addresses of the families ``versions``.

    No more than ``most`` services and as many hosts are kept, so that a flood of names does not fill the memory: those
    for which ``is_known`` is true come first, then the first of each sender.
    """

    def __init__(
        self,
        kinds: Sequence[str],
        versions: Sequence[int],
        most: int = 8000,
        is_known: Callable[[Service], bool] = lambda _service: False,
    ) -> None:
        self.kinds = tuple(kinds)
        self.versions = tuple(versions)
        self._most = most
        self._is_known = is_known
        self.services: dict[tuple[int, str], Service] = {}
        self._hosts: dict[tuple[int, str], KnownHost] = {}

    def hear(self, link: Link, sender: str, records: Iterable[DNSRecord], *, asked: int = 0) -> list[Service]:
        """Take in what ``sender`` told on ``link``, after ``asked`` questions; what services are told of anew.

        A record that is told with no time to live says goodbye (RFC 6762 section 10.1).
        """
        news: list[Service] = []
        for record in records:
            if isinstance(record, DNSPointer):
                kind = self._kind(record.alias)
                if record.type == PTR and kind and kind == record.key:
                    service, is_new = self._service(link, record.alias, kind, sender, asked)
                    is_new = is_new or (service.left and record.ttl > 0)
                    service.left = record.ttl == 0
                    if is_new and not service.left:
                        news.append(service)
            elif isinstance(record, (DNSService, DNSText)):
                if kind := self._kind(record.name):
                    service, _is_new = self._service(link, record.name, kind, sender, asked)
                    if isinstance(record, DNSService):
                        is_new = _tell(service.servers, (record.server, record.port), sender, record)
                    else:
                        is_new = _tell(service.texts, record.text, sender, record)
                    if is_new:
                        news.append(service)
            elif isinstance(record, DNSAddress):
                address = ip_address(record.address)
                if RECORD_OF[address.version] == record.type:
                    host = self._hosts.setdefault((link.index, record.key), KnownHost())
                    if record.ttl:
                        _add(host.addresses, address, sender)
                    else:
                        host.addresses.pop(address, None)
            elif isinstance(record, DNSNsec):
                host = self._hosts.setdefault((link.index, record.key), KnownHost())
                host.lacking |= {A, AAAA} - set(record.rdtypes)
        if max(len(self.services), len(self._hosts)) > self._most:
            self._shrink()
        return news

    def _shrink(self) -> None:
        """Keep the best services and what is used of the hosts, with room for some more until the next time."""
        kept = in_turn(self.services.values(), lambda service: service.sender, self._is_known)
        self.forget([service.key for service in kept[self._most * 3 // 4 :]])

    def forget(self, keys: Iterable[tuple[int, str]]) -> None:
        """Forget the services of these keys, and hosts that none is known to run on any more."""
        for key in keys:
            self.services.pop(key, None)
        used = {(service.link.index, service.server[0].lower()) for service in self.services.values() if service.server}
        self._hosts = {key: host for key, host in self._hosts.items() if key in used}

    def forget_address(self, index: int, name: str, address: Address) -> None:
        """Forget that the host called ``name``, in small letters, on the link of ``index`` has ``address``."""
        if host := self._hosts.get((index, name)):
            host.addresses.pop(address, None)

    def present(self) -> Iterator[Service]:
        """The services that are there, in the order heard."""
        return (service for service in self.services.values() if not service.left)

    def host(self, service: Service) -> KnownHost:
        """What is known of the host that ``service`` runs on."""
        if service.server is None:
            return KnownHost()
        return self._hosts.get((service.link.index, service.server[0].lower()), KnownHost())

    def has_any(self, link: Link, kind: int) -> bool:
        """Whether anybody on ``link`` told a record of type ``kind``; of addresses only."""
        versions = [version for version, record in RECORD_OF.items() if record == kind]
        return not versions or any(
            host.has(versions[0]) for (index, _name), host in self._hosts.items() if index == link.index
        )

    def is_any_half_heard(self, services: Iterable[Service]) -> bool:
        """Whether one of ``services`` has addresses of both families, and its first answer came in only one of them.

        Where a family is silent on a link, it says nothing.
        """
        services = list(services)
        heard = {(service.link.index, version) for service in services for version in service.versions}
        return any(
            version not in service.versions
            for service in services
            for version in self.versions
            if (service.link.index, version) in heard and self.host(service).has(version)
        )

    def missing(self, service: Service) -> list[Question]:
        """What to ask to know all of ``service``: its server, its text, its host's addresses in each family."""
        questions = []
        if not service.texts:
            questions.append(Question(service.name, TXT))
        if service.server is None:
            questions.append(Question(service.name, SRV))
        else:
            host = self.host(service)
            for version in self.versions:
                kind = RECORD_OF[version]
                if not host.has(version) and kind not in host.lacking:
                    questions.append(Question(service.server[0], kind))
        return questions

    def is_complete(self, service: Service) -> bool:
        """Whether enough is known to reach it: its server, its text, one address."""
        return bool(service.servers and service.texts and self.host(service).addresses)

    def _kind(self, name: str) -> str | None:
        lower = name.lower()
        return next((kind for kind in self.kinds if lower.endswith(f".{kind}")), None)

    def _service(self, link: Link, name: str, kind: str, sender: str, asked: int) -> tuple[Service, bool]:
        key = (link.index, name.lower())
        service = self.services.get(key)
        is_new = service is None
        if service is None:
            instance = name[: -len(kind) - 1]
            service = Service(link, kind, instance, sender, max(asked, 1), time.monotonic(), time.time())
            self.services[key] = service
        service.seen = time.time()
        if asked <= service.asked:
            service.versions.add(6 if ":" in sender else 4)
        return service, is_new


def _tell(told: dict[Any, Any], value: object, sender: str, record: DNSRecord) -> bool:
    """Note that ``sender`` told ``value``; whether that is new. What it told before, it has changed or taken back."""
    if not record.ttl:
        told.pop(value, None)
        return False
    is_new = value not in told
    for other, senders in list(told.items()):
        if other != value:
            senders.discard(sender)
            if not senders:
                del told[other]
    return _add(told, value, sender) and is_new


def _add(told: dict[Any, set[str]], value: Any, sender: str) -> bool:
    """Note that ``sender`` told ``value``, unless too much is known already; whether it is noted."""
    if value not in told and len(told) >= _VALUES:
        return False
    senders = told.setdefault(value, set())
    if len(senders) < _VALUES:
        senders.add(sender)
    return True
