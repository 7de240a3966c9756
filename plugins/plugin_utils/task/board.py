# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The board of a task, reached through its Ansible connection."""

from __future__ import annotations

from ..board.board import Board
from ..board.errors import BoardError
from .action import Action
from .turns import others_turn

# Documented in plugins/doc_fragments/board.py.
BOARD_ARGUMENTS = {
    "lock_timeout": {"type": "int", "default": 60},
}


def board_of(action: Action, lock_timeout: int) -> Board:
    """The board that ``action`` runs for. Each call of its ``run`` is one exchange."""

    def run(program: str) -> str:
        # The program goes over standard input: it is in no argument list, log or file, on neither side.
        with others_turn():
            answer = action._low_level_execute_command("/bin/sh", in_data=program.encode())
        if "mbl:" not in answer["stdout"]:
            raise BoardError.of("no-answer", str(answer["rc"]))
        return str(answer["stdout"])

    return Board(run, lock_timeout=lock_timeout)
