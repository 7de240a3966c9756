# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The board of a task, reached through its Ansible connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..board.board import Board
from ..board.errors import BoardError
from .action import Action
from .bounds import bounded
from .turns import others_turn

# Documented in plugins/doc_fragments/board.py.
BOARD_ARGUMENTS = {
    "lock_timeout": {"type": "int", "default": 60},
    "board_timeout": {"type": "int", "default": 300},
}


def board_of(action: Action, arguments: Mapping[str, Any]) -> Board:
    """The board that ``action`` runs for, by BOARD_ARGUMENTS of its ``arguments``. Each call of its ``run`` is one
    exchange."""

    def run(program: str, seconds: float) -> str:
        # The program goes over standard input: it is in no argument list, log or file, on neither side.
        with others_turn(), bounded(action._connection, seconds):
            answer = action._low_level_execute_command("/bin/sh", in_data=program.encode())
        if "mbl:" not in answer["stdout"]:
            raise BoardError.of("no-answer", str(answer["rc"]))
        return str(answer["stdout"])

    return Board(run, **{name: arguments[name] for name in BOARD_ARGUMENTS})
