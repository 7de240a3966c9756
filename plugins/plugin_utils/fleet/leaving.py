# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices leave the Device Directory with boards that leave the fleet.

A board's device is the one that the team has proven to be its. What a board says of itself is no proof: it may be a
copy of another one, or lie.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..errors import PelionError
from ..words import some
from .memory import Remembered, require_known


@dataclass(frozen=True)
class Leaving:
    """``devices`` has the IDs of the devices that leave, by board; ``notes`` say which ones stay, and why."""

    devices: Mapping[str, str]
    notes: tuple[str, ...] = ()


def leaving(
    names: Collection[str],
    remembered: Mapping[str, Remembered],
    says: Mapping[str, str | None],
    inventory: Collection[str] = (),
    shows: Mapping[str, Collection[str]] = MappingProxyType({}),
    seen: Collection[str] = (),
) -> Leaving:
    """For the boards of those ``names``; ``says`` has the device IDs that boards say are their own, of boards that
    leave and of others that are there, None of one that could not be asked; ``shows`` the host keys that ssh has
    proven of boards that are there; ``seen`` are the names of boards that this user's inventories would miss.

    Raises PelionError for names that nobody has, for boards that are there under another name, and for names that are
    by now another board's.
    """
    # A board that is there is not to be removed by mistake.
    require_known(remembered, names, {*inventory, *seen}, remembered.keys() - set(inventory))
    devices, notes = dict[str, str](), []
    for name in names:
        before = remembered.get(name, Remembered())
        proven = before.device_id
        there = [f"{other} has its ssh host key" for other in _with_keys(shows, before.host_keys) if other not in names]
        if proven:
            there += [
                f"{other} says that it is its device, {proven}"
                for other, told in says.items()
                if told == proven and other not in names
            ]
        if there:
            raise PelionError(
                f"{name} is there: {there[0]}. Nothing was removed. If the board was renamed, run "
                "pelion.mbl.provision, and the team knows it by its new name."
            )
        shown = {name: shows.get(name, ())}
        owners = [other for other, board in remembered.items() if _with_keys(shown, board.host_keys)]
        # Of a name without keys nothing is known: a copy of a board, whose keys were forgotten, may leave.
        if before.host_keys and owners and not set(names) & set(owners):
            raise PelionError(
                f"{name} shows the ssh host key by which the team knows {some(owners)}. Nothing was removed. If the "
                "board was renamed, run pelion.mbl.provision, and the team knows it by its new name."
            )
        if proven:
            others = _with_device(proven, remembered, names)
            if others:
                notes.append(f"The device of {name}, {proven}, stays, since it is that of {', '.join(others)} as well.")
            else:
                devices[name] = proven
        told = says.get(name)
        if told and told != proven:
            others = _with_device(told, remembered, names)
            whose = f"It is that of {', '.join(others)}" if others else "The team has not proven that"
            has = f", though the team knows it as {proven}" if proven else ""
            notes.append(
                f"{name} says that it is device {told}{has}. {whose}, so the device {told} stays in the Device "
                "Directory. If it should go, run `ansible localhost -m pelion.mbl.pelion_device -a "
                f"'ids={told} state=absent'`."
            )
    unasked = [name for name, told in says.items() if told is None and not shows.get(name) and name not in names]
    if unasked:
        notes.append(f"New to the team and without an answer, so perhaps one of these boards: {', '.join(unasked)}.")
    return Leaving(devices, tuple(notes))


def _with_keys(shows: Mapping[str, Collection[str]], keys: Collection[str]) -> list[str]:
    """Boards of which ssh accepts no other than these keys."""
    return [name for name, shown in shows.items() if shown and set(shown) <= set(keys)]


def _with_device(device_id: str, remembered: Mapping[str, Remembered], names: Collection[str]) -> list[str]:
    return [name for name, board in remembered.items() if board.device_id == device_id and name not in names]
