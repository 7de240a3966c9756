# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding MBL boards over multicast DNS.

MBL 0.7 and newer advertise `_ssh._tcp` through systemd-resolved with the TXT record `mblos` and the host name as
instance name; older releases do the same through avahi (meta-mbl, systemd-net-conf/ssh.dnssd).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from ..words import some
from .hosts import NAMED, Announcement, Host, Rules, select
from .knowledge import Knowledge, Service
from .links import Link
from .packets import text_strings
from .search import Search, run
from .wire import Wire


@dataclass(frozen=True)
class Found:
    """What a search found: complete ``announcements``; ``warnings`` on what is incomplete or contradicts itself;
    ``dropped``: how many datagrams this machine's receive buffers could not hold.
    """

    announcements: tuple[Announcement, ...]
    warnings: tuple[str, ...]
    dropped: int


def discover(
    rules: Rules,
    every_link: Sequence[Link],
    asked_links: Sequence[Link],
    *,
    timeout: float,
    quiet: float,
    kinds: Sequence[str] = ("_ssh._tcp",),
    by_name: Iterable[str] = (),
    expected: int = 0,
) -> Found:
    """Ask on ``asked_links`` for services of ``kinds`` that can be boards by ``rules``, ``timeout`` seconds at most.

    See search.Search for ``quiet`` and ``by_name``; with fewer than ``expected`` boards, the whole time is used. Raises
    PelionError when multicast DNS cannot be used here.
    """

    def is_wanted(service: Service) -> bool:
        return concerns(service, rules)

    def is_known(service: Service) -> bool:
        return rules.is_known(service.instance, service.link.name)

    knowledge = knowledge_for(rules, kinds)

    def found() -> Sequence[Host]:
        return select(announcements(knowledge, rules), rules, every_link).boards

    def is_enough() -> bool:
        return len(found()) >= expected

    remembered = {name.lower() for name in rules.seen_before}

    def is_as_ever() -> bool:
        return bool(remembered) and remembered <= {board.name.lower() for board in found()}

    with Wire(asked_links, rules.versions) as wire:
        run(
            Search(timeout, quiet, is_wanted, is_known, tuple(by_name), is_enough if expected else None, is_as_ever),
            wire,
            knowledge,
        )
        dropped = wire.dropped
    return Found(tuple(announcements(knowledge, rules)), tuple(_warnings(knowledge, rules)), dropped)


def knowledge_for(rules: Rules, kinds: Iterable[str]) -> Knowledge:
    """An empty one of services of ``kinds`` (`_ssh._tcp`), as large as ``rules`` need it."""
    return Knowledge(
        [f"{kind.lower().rstrip('.')}.local." for kind in kinds],
        rules.versions,
        rules.most_services,
        lambda service: rules.is_known(service.instance, service.link.name),
    )


def concerns(service: Service, rules: Rules) -> bool:
    """Whether ``service`` is a board, or can still turn out to be one."""
    if service.text is not None and not rules.has_mark(text_strings(service.text)):
        return False
    if "hostname" in rules.hostnames and service.server is None:
        return True
    name = rules.name_of(service.instance, service.server[0] if service.server else None)
    return name is not None and rules.allows(name, service.link.name)


def announcements(knowledge: Knowledge, rules: Rules) -> list[Announcement]:
    """The complete services that bear the mark of a board, whatever they are called."""
    return [
        _announcement(knowledge, service)
        for service in knowledge.present()
        if knowledge.is_complete(service) and rules.has_mark(text_strings(service.text or b""))
    ]


def _announcement(knowledge: Knowledge, service: Service) -> Announcement:
    server, port = service.server or ("", 0)
    told = knowledge.host(service).addresses
    # Who is at an address can tell it for itself; what only others tell comes behind.
    addresses = sorted(told, key=lambda address: str(address) not in told[address])
    return Announcement(
        instance=service.instance,
        hostname=server.removesuffix("."),
        port=port,
        txt=text_strings(service.text or b""),
        addresses=tuple(str(address) for address in addresses),
        interface=service.link.name,
        sender=service.sender,
        last_seen=datetime.fromtimestamp(service.seen, timezone.utc).isoformat(timespec="seconds"),
    )


def _warnings(knowledge: Knowledge, rules: Rules) -> list[str]:
    incomplete, conflicts = [], []
    for service in knowledge.present():
        if not concerns(service, rules):
            continue
        if not knowledge.is_complete(service):
            lacking = [what for what, there in _parts(knowledge, service) if not there]
            incomplete.append(f"{service.instance!r} (no {', no '.join(lacking)})")
        if len(service.servers) > 1 or len(service.texts) > 1 or knowledge.host(service).in_conflict:
            conflicts.append(repr(service.instance))
    warnings = []
    if incomplete:
        warnings.append(f"Announced, but with incomplete answers within the time: {some(sorted(incomplete), NAMED)}.")
    if conflicts:
        warnings.append(
            "Different senders on the network say different things, so somebody else may pretend to be that board: "
            f"{some(sorted(conflicts), NAMED)}. What was heard first is used."
        )
    return warnings


def _parts(knowledge: Knowledge, service: Service) -> Sequence[tuple[str, bool]]:
    return (
        ("TXT record", bool(service.texts)),
        ("SRV record", bool(service.servers)),
        ("address", bool(knowledge.host(service).addresses)),
    )
