# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waves: a fleet in parts that follow one another, each begun only when the one before is whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import PelionError
from ..words import counted, nearest, some

DEFAULT_WAVES = ("1", "20%", "100%")
"""One board first, the canary; then a fifth of the fleet; then the rest."""


@dataclass(frozen=True)
class Wave:
    """The ``boards`` of a wave. ``gets`` is what is to be done on those of them that are not done yet."""

    boards: Sequence[str]
    gets: Mapping[str, str]

    @property
    def to_do(self) -> list[str]:
        return [board for board in self.boards if board in self.gets]

    def lines(self) -> list[str]:
        """For people: boards that get the same are told together."""
        told: dict[str, list[str]] = {}
        for board in self.boards:
            told.setdefault(self.gets.get(board, "done"), []).append(board)
        return [f"{what}: {some(boards)}" for what, boards in told.items()]


def divide(
    boards: Sequence[str],
    wanted: Iterable[str],
    named: Mapping[str, Collection[str]],
    listed: Callable[[str], Sequence[Sequence[str]] | None] = lambda path: None,
) -> list[list[str]]:
    """Divide ``boards`` into waves, in their order. Each has a board, and each board is in one wave.

    ``wanted`` are counts, percentages of all boards (``20%``, at least one board), names of ``named`` (groups of the
    inventory with their boards, and all its boards), and files: ``listed`` gives the names in one, by waves, None when
    there is no such file. The last count or percentage is repeated until no board is left; after a group or a file,
    those that are left are a wave together.

    It depends on nothing but these, so a second run has the same waves, whatever was done in the first one. Raises
    PelionError.
    """
    left = dict.fromkeys(boards)
    waves: list[list[str]] = []

    def begin(wave: Iterable[str]) -> None:
        chosen = [board for board in wave if board in left]
        for board in chosen:
            del left[board]
        if chosen:
            waves.append(chosen)

    size = 0
    for part in wanted:
        size = _size(part, len(boards))
        if size:
            begin(list(left)[:size])
        elif part in named:
            begin([board for board in boards if board in named[part]])
        else:
            for names in _in_file(part, named, listed):
                begin(board for board in boards if board in names)
    while left:
        begin(list(left)[: size or None])
    return waves


def _size(part: str, count: int) -> int:
    """How many boards a wave of that size has; 0 when it is not a size."""
    found = re.fullmatch(r"(-?[0-9]{1,9}) ?(%?)", part)
    if not found:
        return 0
    number = int(found[1])
    if number < 1 or (found[2] and number > 100):
        raise PelionError(f"waves has {part}: a wave has 1 board or more, or 1 to 100 percent of them.")
    return max(1, count * number // 100) if found[2] else number


def _in_file(
    part: str, named: Mapping[str, Collection[str]], listed: Callable[[str], Sequence[Sequence[str]] | None]
) -> list[set[str]]:
    found = listed(part)
    if found is None:
        near = nearest(part, named)
        raise PelionError(
            f"waves has {part!r}, which is neither a count, a percentage, a group or board of the inventory, nor a file"
            f"{f'. Did you mean {near}?' if near else '.'}"
        )
    names = [name for wave in found for name in wave]
    if unknown := sorted({name for name in names if name not in named}):
        near = nearest(unknown[0], named)
        raise PelionError(
            f"{part} names boards that the inventory does not have: {some(unknown, 10)}."
            f"{f' Did you mean {near}?' if near else ''}"
        )
    # A line may be a group as well.
    return [{board for name in wave for board in named[name]} for wave in found]


def names_in(text: str) -> list[list[str]]:
    """What a file of names says: one on each line, with an empty line between waves; what follows a # is passed
    over."""
    waves: list[list[str]] = [[]]
    for line in text.splitlines():
        name = line.partition("#")[0].strip()
        if name:
            waves[-1].append(name)
        elif not line.strip():
            waves.append([])
    return [wave for wave in waves if wave]


def plan(waves: Sequence[Wave]) -> list[str]:
    """Lines for people: which boards are in which wave, and what each gets."""
    lines = []
    for number, wave in enumerate(waves, 1):
        first, *more = wave.lines()
        lines += [f"Wave {number} of {len(waves)}, {counted(len(wave.boards), 'board')}. {_begun(first)}"]
        lines += [f"  {_begun(line)}" for line in more]
    return lines


def _begun(line: str) -> str:
    return line[:1].upper() + line[1:]
