# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which board is which: its ssh host key and its device ID tell it from others, its name is what it is called today.

A host key is proven by ssh. A device ID is what a board says, so it makes no board known, and takes nothing from one
whose key is proven.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from ..reasons import Reason
from ..words import some
from .assignment import natural
from .memory import Remembered

MOST_NAMED = 10
"""Of the boards that one board is a copy of."""


@dataclass(frozen=True)
class Sighting:
    """A board as a run meets it: today's name, the proven ``host_keys``, empty where there are none, and the
    ``device_id`` that it says is its own. Its name makes it the device of a board that was remembered without a
    key only where it is meant to be in the fleet, and shows that it has bootstrapped (``by_name``)."""

    name: str
    host_keys: tuple[str, ...] = ()
    device_id: str | None = None
    by_name: bool = True


@dataclass(frozen=True)
class Identities:
    """The boards that a run meets (``sightings``, by name), what the team ``remembered`` of boards, by name, and the
    names of all boards that are ``there``, also those that the run is not about. What answered as the ``unproven`` ones
    has shown in no way that it is a board at all."""

    sightings: Mapping[str, Sighting]
    remembered: Mapping[str, Remembered]
    there: frozenset[str] = frozenset()
    unproven: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        sightings: Iterable[Sighting],
        remembered: Mapping[str, Remembered],
        there: Collection[str] = (),
        odd: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> Identities:
        """``odd`` are machines whose answers are of no use, with the host keys that are proven of them."""
        by_name = {sighting.name: sighting for sighting in sightings}
        by_name |= {name: Sighting(name, tuple(keys), by_name=False) for name, keys in odd.items() if keys}
        unproven = frozenset(name for name, keys in odd.items() if not keys)
        return cls(by_name, remembered, frozenset(there) | by_name.keys(), unproven)

    def before(self, name: str) -> Remembered | None:
        """What is remembered of the board that is called ``name`` now; None when its key makes it another one."""
        former = self.renamed.get(name)
        if former:
            return self.remembered[former]
        return None if self.is_changed(name) else self.remembered.get(name)

    def is_changed(self, name: str) -> bool:
        """Whether a board of that name is remembered, and not with all host keys that ssh accepts for it now."""
        keys, own = set(self.sightings[name].host_keys), self._keys_of(name)
        return bool(own) and not keys <= own and name not in self.renamed

    def is_known(self, name: str) -> bool:
        """Whether the team has provisioned this board before. Without a proven key its name stands for it."""
        return self.before(name) is not None

    @cached_property
    def renamed(self) -> Mapping[str, str]:
        """Boards that are remembered, by their host keys, under another name, which is not that of a board now or that
        of another one; with that name."""
        found = {}
        for name, sighting in self.sightings.items():
            keys = set(sighting.host_keys)
            if keys <= self._keys_of(name):
                continue
            former = [
                other
                for other in self._remembered_with_keys(keys)
                if keys <= self._keys_of(other) and not self._is_still(other)
            ]
            if former:
                same_device = [other for other in former if self.remembered[other].device_id == sighting.device_id]
                found[name] = min(same_device or former, key=natural)
        return found

    def device_id(self, name: str) -> str | None:
        """As the board says, else as it was when it was last proven."""
        before, sighting = self.before(name), self.sightings[name]
        is_it = before and (before.is_keyed or sighting.by_name)
        return sighting.device_id or (before.device_id if before and is_it else None)

    @cached_property
    def copies(self) -> Mapping[str, Copied]:
        """Boards that have a host key or a device ID in common with others that are there, by name.

        A board that is remembered with its proven key and its device ID keeps them, whatever other boards say.
        """
        keys, ids = self._groups()
        found: dict[str, Copied] = {}
        for name, sighting in self.sightings.items():
            same_key = {other for key in sighting.host_keys for other in keys[key]} - {name}
            device_id = self.device_id(name)
            same_device = set(ids[device_id]) - {name} if device_id else set()
            if device_id and not same_key and self._owns(name, device_id):
                mates = (other for other in same_device if other not in self.sightings or self._owns(other, device_id))
                same_device = set(mates)
            if same_key or same_device:
                shared = (["ssh host key"] if same_key else []) + ([f"device ID ({device_id})"] if same_device else [])
                others = sorted(same_key | same_device, key=natural)
                found[name] = Copied(tuple(others[:MOST_NAMED]), " and ".join(shared))
        return found

    def _groups(self) -> tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]]:
        """Boards that are there by host key and by device ID, of a large group as many as are named."""
        keys: dict[str, list[str]] = defaultdict(list)
        ids: dict[str, list[str]] = defaultdict(list)
        here = {name: (sighting.host_keys, self.device_id(name)) for name, sighting in self.sightings.items()}
        elsewhere = {
            name: (before.host_keys, before.device_id)
            for name in self.there - self.sightings.keys() - set(self.renamed.values())
            if (before := self.remembered.get(name))
        }
        for name, (host_keys, device_id) in {**here, **elsewhere}.items():
            for group in (*(keys[key] for key in host_keys), *([ids[device_id]] if device_id else ())):
                if len(group) <= MOST_NAMED:
                    group.append(name)
        return keys, ids

    def now(self, name: str, certificate: str | None, site: str = "") -> Remembered:
        """The board as it is to be remembered, proven just now."""
        device_id = self.device_id(name)
        noted = device_id if self.may_note_device(name, device_id) else None
        return Remembered.now(self.sightings[name].host_keys, noted, certificate, site)

    def former_names(self, names: Iterable[str]) -> list[str]:
        """Of those boards among ``names`` that were renamed."""
        return [self.renamed[name] for name in names if name in self.renamed]

    def may_note_device(self, name: str, device_id: str | None) -> bool:
        """Whether it has no keepers."""
        return not self.keepers(name, device_id)

    def keepers(self, name: str, device_id: str | None) -> list[str]:
        """The other remembered boards, as far as they are still these ones, that have the device."""
        mine = {name, self.renamed.get(name)}
        return [
            other
            for other in sorted(self.with_device(device_id) - mine, key=natural)
            if self._is_still_possible(other) and not self._may_be_former(other, name)
        ]

    def _may_be_former(self, other: str, name: str) -> bool:
        """Whether a remembered board that is not there may be the one that is called ``name`` now: no key of it was
        proven with its device, or the one that this board shows."""
        shown, known = set(self.sightings[name].host_keys), self._keys_of(other)
        return other not in self.there and (not self.remembered[other].is_keyed or bool(shown and shown <= known))

    def with_device(self, device_id: str | None) -> set[str]:
        """Names of remembered boards with that device."""
        return set(self._by_device.get(device_id, ())) if device_id else set()

    @cached_property
    def _by_device(self) -> Mapping[str | None, list[str]]:
        found: dict[str | None, list[str]] = defaultdict(list)
        for name, board in self.remembered.items():
            found[board.device_id].append(name)
        return found

    @cached_property
    def _by_key(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for name, board in self.remembered.items():
            for key in board.host_keys:
                found[key].append(name)
        return found

    def _remembered_with_keys(self, keys: Iterable[str]) -> set[str]:
        return {name for key in keys for name in self._by_key.get(key, ())}

    def _keys_of(self, name: str) -> set[str]:
        return set(self.remembered[name].host_keys) if name in self.remembered else set()

    def _is_still(self, name: str) -> bool:
        """Whether the board of that name may be there as the remembered one."""
        return name in self.there - self.unproven and self._is_still_possible(name)

    def _is_still_possible(self, name: str) -> bool:
        """Whether no board shows by its key that it is another than the remembered one of that name."""
        keys = set(self.sightings[name].host_keys) if name in self.sightings else set()
        return keys <= self._keys_of(name)

    def _owns(self, name: str, device_id: str) -> bool:
        """Whether the board is remembered with that device, and shows the key that was proven with it."""
        before = self.before(name)
        return bool(before and before.device_id == device_id and self.sightings[name].host_keys and before.is_keyed)


def changed_keys(names: Sequence[str]) -> str:
    """What to tell users of boards whose host keys are not those that are remembered."""
    return (
        "Their ssh host keys have changed since the team provisioned them, so they were flashed anew, or other "
        f"machines answer in their places: {some(names, MOST_NAMED)}."
    )


def kept_devices(keepers: Mapping[str, Sequence[str]]) -> str:
    """What to tell users of boards whose devices are remembered as those of others, their keepers."""
    boards = [f"{name} (as {', '.join(others)})" for name, others in keepers.items()]
    names = dict.fromkeys(other for others in keepers.values() for other in others)
    return (
        "The team knows the devices of these boards under other names, with other ssh host keys, and does not remember "
        f"them as theirs: {some(boards, MOST_NAMED)}. Where both are one board, run pelion.mbl.forget_host with "
        f"-e boards={','.join(names)}, then pelion.mbl.provision again."
    )


@dataclass(frozen=True)
class Copied:
    """The ``others`` that a board is one with, at most MOST_NAMED, and what is ``shared``, in words."""

    others: tuple[str, ...]
    shared: str

    @property
    def reason(self) -> Reason:
        return Reason("copied", {"others": list(self.others), "shared": self.shared})
