# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..plugin_utils.board.board import Board
from ..plugin_utils.board.errors import BoardError
from ..plugin_utils.board.inspection import Inspection
from ..plugin_utils.board.way import Server, server_of
from ..plugin_utils.durable_file import replace_file
from ..plugin_utils.errors import PelionError
from ..plugin_utils.reasons import Reason
from ..plugin_utils.report.diagnosis import Diagnosis, file_stem
from ..plugin_utils.report.entries import BoardReport
from ..plugin_utils.report.files import read_report
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.board import BOARD_ARGUMENTS, board_of


class ActionModule(Action):
    ARGUMENTS = {
        **BOARD_ARGUMENTS,
        "dest": {"type": "path", "required": True},
        "server": {"type": "str"},
        "report": {"type": "path"},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        name, board = str(self._task_vars["inventory_hostname"]), board_of(self, arguments)
        server = _server(arguments["server"]) if arguments["server"] else None
        found, why_not = _inspect(board)
        seen = board.look_around(server)
        diagnosis = Diagnosis(name, datetime.now(timezone.utc), found, why_not, seen, self._told(name, arguments))
        archive = Path(arguments["dest"]).absolute() / f"{file_stem(name)}.tar.gz"
        if not self.check_mode:
            _write(archive, diagnosis.archive())
        redactor = diagnosis.redactor()
        first, *others = redactor.value(diagnosis.summary())
        return {
            "changed": False,
            "archive": str(archive),
            "findings": redactor.value([why.to_json() for why in diagnosis.findings]),
            "summary": [f"{name}: {first}", *(f"  {line}" for line in others), f"  Archive: {archive}"],
        }

    def _told(self, name: str, arguments: dict[str, Any]) -> BoardReport | None:
        """What the last report says of the board, if there is one."""
        directory = Path(arguments["report"] or "").absolute()
        if not arguments["report"] or not (directory / "fleet.json").exists():
            return None
        try:
            return next((told for told in read_report(directory).boards if told.name == name), None)
        except PelionError as error:
            self.warn(str(error))
            return None


def _inspect(board: Board) -> tuple[Inspection | None, Reason | None]:
    """Or why it cannot be known what the board holds, which is worth telling."""
    try:
        return board.inspect(may_change=False), None
    except BoardError as error:
        return None, Reason(error.facts["reason"], error.facts["reason_facts"])


def _server(text: str) -> Server:
    server = server_of(text if "://" in text else f"coaps://{text}")
    if server is None:
        raise PelionError(f"server is {text!r}, but must be HOST, HOST:PORT or a coaps:// address.")
    return server


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content, 0o600)
    except OSError as error:
        raise PelionError(f"The archive {path} cannot be written: {error.strerror}.") from error
