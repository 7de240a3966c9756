# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From announcements to boards: who is one, what it is called, how it is reached."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from ..errors import PelionError
from ..words import some
from .addresses import in_order, objection, parse
from .fairness import in_turn
from .links import Link
from .names import MBL_NAME, is_host_name
from .roster import Roster

NAMED = 10
"""Names that a warning tells; of more, it tells how many."""
_KEPT_PER_HOST = 4
"""So many services are kept for each board that there may be."""


@dataclass(frozen=True)
class Announcement:
    """A complete service as it was heard on the link named ``interface``: plain values, which a cache can keep.

    ``addresses`` are without scope, those that their owner told of itself first; ``last_seen`` is ISO 8601, UTC.
    """

    instance: str
    hostname: str
    port: int
    txt: dict[str, str | None]
    addresses: tuple[str, ...]
    interface: str
    sender: str
    last_seen: str

    def to_plain(self) -> dict[str, object]:
        """As values of JSON, which ``from_plain`` reads."""
        return {**asdict(self), "addresses": list(self.addresses)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, object]) -> Announcement:
        """From plain values that anybody may have kept. Raises ValueError when they are not of that form."""
        try:
            found = cls(**{**plain, "addresses": tuple(plain["addresses"])})  # type: ignore[arg-type]
        except (TypeError, KeyError) as error:
            raise ValueError(str(error)) from error
        if not isinstance(found.port, int) or isinstance(found.port, bool) or not isinstance(found.txt, dict):
            raise ValueError("not of the form of an announcement")
        texts = [found.instance, found.hostname, found.interface, found.sender, found.last_seen, *found.addresses]
        texts += [*found.txt, *(value for value in found.txt.values() if value is not None)]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("not of the form of an announcement")
        for address in found.addresses:
            parse(address)
        return found


@dataclass(frozen=True)
class Host:
    """A board as a host: ``name`` in the inventory; ``addresses`` in the order of preference, link-local ones with
    their scope (`fe80::1%eth0`); the rest as in Announcement, ``last_seen`` None for one that the user wrote down.
    """

    name: str
    instance: str
    hostname: str
    addresses: tuple[str, ...]
    port: int
    interface: str | None
    txt: Mapping[str, str | None]
    last_seen: str | None


@dataclass(frozen=True)
class Rules:
    """What is a board. ``versions`` are the address families (4, 6) in the order of preference; ``txt`` is the key, or
    `key=value`, that a board's TXT record has; ``hostnames`` says what a board is called by, the first that can be a
    name of a host: `instance` or `hostname`; ``name_template`` makes the inventory's name of it.
    """

    versions: tuple[int, ...] = (6, 4)
    txt: str = "mblos"
    name_pattern: str = MBL_NAME
    roster: Roster = field(default_factory=Roster)
    seen_before: frozenset[str] = frozenset()
    hostnames: tuple[str, ...] = ("instance",)
    name_template: str = "{name}"
    max_hosts: int = 2000
    allow_routed: bool = False

    def __post_init__(self) -> None:
        try:
            re.compile(self.name_pattern)
        except re.error as error:
            raise PelionError(f"name_pattern {self.name_pattern!r} is not a regular expression: {error}.") from error
        if "{name}" not in self.name_template:
            raise PelionError(
                f"name_template {self.name_template!r} does not contain {{name}}: all boards would have the same name."
            )
        try:
            is_name = is_host_name(self.full_name("n", "eth0"))
        except (LookupError, ValueError, AttributeError) as error:
            raise PelionError(
                f"name_template {self.name_template!r} cannot be filled in; it knows {{name}} and {{interface}}."
            ) from error
        if not is_name:
            raise PelionError(f"name_template {self.name_template!r} does not give valid host names.")

    @property
    def most_services(self) -> int:
        """How many services are kept before it is known which are boards: a flood of names must not fill the memory."""
        return _KEPT_PER_HOST * self.max_hosts

    def full_name(self, name: str, interface: str) -> str:
        return self.name_template.format(name=name, interface=interface)

    def name_of(self, instance: str, hostname: str | None) -> str | None:
        """What a service is called by; None when nothing of it can be the name of a host."""
        ways = {"instance": instance, "hostname": (hostname or "").partition(".")[0]}
        return next((ways[way] for way in self.hostnames if is_host_name(ways[way])), None)

    def is_known(self, name: str, interface: str) -> bool:
        """Whether the roster or an earlier run knows a board of that name."""
        names = (name.lower(), self.full_name(name, interface).lower())
        return any(name in self.roster.names or name in self.seen_before for name in names)

    def allows(self, name: str, interface: str) -> bool:
        """Whether a board may have that name."""
        names = (name.lower(), self.full_name(name, interface).lower())
        return bool(re.fullmatch(self.name_pattern, name)) or not self.roster.names.isdisjoint(names)

    def has_mark(self, txt: Mapping[str, str | None]) -> bool:
        """Whether a TXT record is that of a board."""
        key, equals, value = self.txt.partition("=")
        return any(each.lower() == key.lower() and (not equals or told == value) for each, told in txt.items())


@dataclass(frozen=True)
class Selection:
    """``boards``, and ``warnings`` about what is not one, or was left out; ``is_capped`` when there were too many."""

    boards: tuple[Host, ...]
    warnings: tuple[str, ...]
    is_capped: bool


def select(announcements: Iterable[Announcement], rules: Rules, links: Sequence[Link]) -> Selection:
    """The boards among ``announcements``, heard on ``links`` of this machine. What they say is anybody's to choose."""
    by_name = {link.name: link for link in links}
    candidates: list[tuple[str, Announcement]] = []
    no_names: list[str] = []
    unknown_names: list[str] = []
    no_addresses: list[str] = []
    strange_addresses: list[str] = []
    for heard in announcements:
        if not rules.has_mark(heard.txt):
            continue
        name = rules.name_of(heard.instance, heard.hostname)
        link = by_name.get(heard.interface)
        if name is None:
            no_names.append(repr(heard.instance))
        elif not rules.allows(name, heard.interface):
            unknown_names.append(name)
        elif link is None:
            no_addresses.append(f"{name} (the interface {heard.interface} no longer exists)")
        else:
            addresses = []
            for text in heard.addresses:
                address, _scope = parse(text)
                if address.version not in rules.versions:
                    continue
                why = objection(address, link, links, allow_routed=rules.allow_routed)
                if why:
                    strange_addresses.append(f"{address} of {name} ({why})")
                else:
                    addresses.append(str(address))
            if addresses and 0 < heard.port < 65536:
                candidates.append((name, replace(heard, addresses=tuple(addresses))))
            else:
                no_addresses.append(name)

    fair = in_turn(
        candidates,
        sender=lambda each: each[1].sender,
        is_known=lambda each: rules.is_known(each[0], each[1].interface),
    )
    kept, left_out = fair[: rules.max_hosts], fair[rules.max_hosts :]
    boards, shared = _boards(kept, rules)
    too_many = [name for name, _heard in left_out]
    warnings = [
        f"{text}: {_enumerate(names)}."
        for text, names in (
            ("Left out, because a service's name is not a host name", no_names),
            ("Left out, because the name neither matches name_pattern nor is in the roster", unknown_names),
            ("Left out, because no usable address was announced", no_addresses),
            ("Addresses that are not used", strange_addresses),
            ("The same name was announced on several network interfaces, so each is a separate host", shared),
            (f"Left out, because there are more than max_hosts ({rules.max_hosts})", too_many),
        )
        if names
    ]
    return Selection(tuple(sorted(boards, key=lambda board: board.name)), tuple(warnings), bool(left_out))


def _boards(candidates: Iterable[tuple[str, Announcement]], rules: Rules) -> tuple[list[Host], list[str]]:
    """Boards with names that differ, and the names that several had.

    Boards choose one of 10,000 names at random, and those on links of their own (USB) do not see each other, so two
    boards of one name are more likely than one board on two links. What has an address in common is one board.
    """
    by_name: dict[str, list[Host]] = {}
    for name, heard in candidates:
        found = _board(name, heard, rules)
        same = by_name.setdefault(found.name.lower(), [])
        twin = next((board for board in same if _is_same(board, found)), None)
        if twin is None:
            same.append(found)
    boards = [same[0] for same in by_name.values() if len(same) == 1]
    taken = {board.name.lower() for board in boards}
    shared = []
    for same in by_name.values():
        if len(same) > 1:
            for board in sorted(same, key=lambda board: board.interface or ""):
                name = f"{board.name}-{board.interface}"
                while name.lower() in taken:
                    name += f"-{board.interface}"
                taken.add(name.lower())
                shared.append(name)
                boards.append(replace(board, name=name))
    return boards, shared


def _board(name: str, heard: Announcement, rules: Rules) -> Host:
    return Host(
        name=rules.full_name(name, heard.interface),
        instance=heard.instance,
        hostname=heard.hostname,
        addresses=in_order((_scoped(address, heard.interface) for address in heard.addresses), rules.versions),
        port=heard.port,
        interface=heard.interface,
        txt=heard.txt,
        last_seen=heard.last_seen,
    )


def _scoped(text: str, interface: str) -> str:
    address, _scope = parse(text)
    return f"{text}%{interface}" if address.version == 6 and address.is_link_local else text


def _is_same(one: Host, other: Host) -> bool:
    if one.interface == other.interface:
        return True
    plain = {address.partition("%")[0] for address in one.addresses}
    return not plain.isdisjoint(address.partition("%")[0] for address in other.addresses)


def _enumerate(names: Sequence[str]) -> str:
    return some(sorted(set(names)), NAMED)
