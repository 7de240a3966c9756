# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a lab that is up: a file in its state directory, readable by its user only."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .board import Board
from .errors import LabError

# In the state directory, for pelion_lab/power.py.
POWER_SOCKET = "power"
# There, too: the team store and the user store of what `lab run` runs.
STORES = "stores"


@dataclass
class BoardRecord:
    """A board of the lab; its process as the lab's own process namespace numbers it."""

    board: Board
    process: int
    running: bool = True


@dataclass
class Record:
    """A lab. ``process`` is the machine's id of its first process, ``started`` tells it from a later namesake.

    ``sites`` are processes in the places of the sites' own controllers, none in a lab of one site.
    """

    id: str
    process: int
    started: str
    owner: int
    environment: dict[str, str] = field(repr=False)
    boards: list[BoardRecord]
    sites: list[int]
    cloud_running: bool = True

    def write(self, state: Path) -> None:
        draft = _place(state).with_suffix(".new")
        draft.touch(mode=0o600)
        os.chown(draft, self.owner, -1)
        draft.write_text(json.dumps(asdict(self), indent=1) + "\n")
        draft.replace(_place(state))

    @classmethod
    def read(cls, state: Path) -> Record | None:
        """The record of the lab in a state directory, or None when there is none.

        Raises LabError when it can't be read.
        """
        try:
            document = json.loads(_place(state).read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise LabError(f"the lab's record can't be read: {error}") from error
        boards = [BoardRecord(**{**entry, "board": Board(**entry["board"])}) for entry in document.pop("boards")]
        return cls(**document, boards=boards)

    def is_up(self) -> bool:
        return start_of(self.process) == self.started

    def board(self, name: str) -> BoardRecord:
        """The board called NAME. Raises LabError."""
        for entry in self.boards:
            if entry.board.name == name:
                return entry
        names = ", ".join(entry.board.name for entry in self.boards)
        raise LabError(f"no board is called {name}; there are: {names}")


def start_of(process: int) -> str | None:
    """When a process was started, in the kernel's words; None when there is no such process."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = text.rpartition(")")[2].split()
    return fields[18] if state != "Z" else None


def _place(state: Path) -> Path:
    return state / "lab.json"
