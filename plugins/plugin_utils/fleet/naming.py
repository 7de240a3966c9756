# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fleet's devices are called in the Device Directory, by a table or a mapping."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cloud.api_answers import Device
from ..cloud.device_changes import DeviceNotes
from ..errors import PelionError
from .memory import Remembered

BOARD, SERIAL_NUMBER = "board", "serial_number"
ATTRIBUTE = "attribute_"
"""Begins the heading of a column with a custom attribute; the rest is the attribute's name."""
NOTES = ("name", "description", "groups")
COLUMNS = f"{BOARD}, {SERIAL_NUMBER}, {', '.join(NOTES)} and {ATTRIBUTE}NAME"
BETWEEN_GROUPS = "|"
LARGEST = 10_000_000
"""A table of more bytes than this is something else."""


@dataclass(frozen=True)
class Naming:
    """``notes`` (arguments of DeviceNotes) for the device of a board, or without ``board`` for that with
    ``serial_number``."""

    board: str
    serial_number: str
    notes: Mapping[str, Any]

    @property
    def whose(self) -> str:
        return f"board {self.board!r}" if self.board else f"serial number {self.serial_number!r}"


def read_table(path: Path) -> list[Naming]:
    """The rows of the CSV file ``path``: UTF-8, commas or semicolons between its columns, a first line that names
    them. An empty cell leaves a thing as it is. Raises PelionError that names the line."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise PelionError(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > LARGEST:
        raise PelionError(f"{path} has more than {LARGEST} bytes, so it is not a table of names.")
    try:
        # Spreadsheets begin a file with a byte order mark.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PelionError(f"{path}, line {line}: not UTF-8. Save the table as CSV in UTF-8.") from error
    try:
        return parse_table(text)
    except PelionError as error:
        raise PelionError(f"{path}, {error}", **error.facts) from error


def parse_table(text: str) -> list[Naming]:
    """As read_table, from the file's text."""
    first = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",", strict=True)
    columns: list[str] = []
    found: dict[tuple[str, str], Naming] = {}
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not columns:
                columns = _columns(cells)
                continue
            if any(cells[len(columns) :]):
                raise PelionError(
                    f"{len(cells)} cells, but only {len(columns)} columns. Put quotes around a cell that contains a "
                    "comma."
                )
            naming = _naming(dict(zip(columns, cells, strict=False)))
            key = (naming.board, "" if naming.board else naming.serial_number)
            if key in found:
                raise PelionError(f"a second row for {naming.whose}.")
            found[key] = naming
    except csv.Error as error:
        raise PelionError(f"line {rows.line_num} is not valid CSV: {error}.") from error
    except PelionError as error:
        raise PelionError(f"line {rows.line_num}: {error}") from error
    if not columns:
        raise PelionError(f"line 1: the table is empty. Its first line names the columns: {COLUMNS}.")
    return list(found.values())


def device_notes(
    namings: Iterable[Naming], known: Mapping[str, Remembered], devices: Iterable[Device] = ()
) -> list[DeviceNotes]:
    """What the directory should have, for boards that the team remembers (``known``) and the ``devices`` with the
    serial numbers of ``namings``. Raises PelionError that names all rows whose device is not clear."""
    by_serial: dict[str, list[Device]] = {}
    for device in devices:
        by_serial.setdefault(device.serial_number or "", []).append(device)
    found: dict[str, DeviceNotes] = {}
    problems = []
    for naming in namings:
        if naming.board:
            remembered = known.get(naming.board)
            ids = [remembered.device_id] if remembered and remembered.device_id else []
            why = "the team store remembers no device of it; provision it first"
        else:
            ids = [device.id for device in by_serial.get(naming.serial_number, ())]
            why = f"{len(ids)} devices of the Device Directory have it" if ids else "no device has it"
        if len(ids) != 1:
            problems.append(f"{naming.whose} ({why})")
        elif ids[0] in found:
            problems.append(f"{naming.whose} (the device {ids[0]} has another row)")
        else:
            found[ids[0]] = DeviceNotes(ids[0], **naming.notes)
    if problems:
        rows = ", ".join(problems)
        raise PelionError(f"It is not clear which devices these rows are for: {rows}. Nothing was changed.")
    return list(found.values())


def _columns(cells: list[str]) -> list[str]:
    columns = []
    for cell in cells:
        of_attribute = cell.lower().startswith(ATTRIBUTE)
        columns.append(f"{ATTRIBUTE}{cell[len(ATTRIBUTE) :]}" if of_attribute else cell.lower())
    for column in columns:
        if column not in (BOARD, SERIAL_NUMBER, *NOTES) and not column.startswith(ATTRIBUTE):
            raise PelionError(f"the column {column!r} is not known. The columns are {COLUMNS}.")
        if columns.count(column) > 1:
            raise PelionError(f"there are two columns {column!r}.")
    if BOARD not in columns and SERIAL_NUMBER not in columns:
        raise PelionError(f"no column {BOARD} or {SERIAL_NUMBER} says which device a row is for.")
    return columns


def _naming(row: Mapping[str, str]) -> Naming:
    board, serial_number = row.get(BOARD, ""), row.get(SERIAL_NUMBER, "")
    if not board and not serial_number:
        raise PelionError("the row names neither a board nor a serial number.")
    notes: dict[str, Any] = {column: row[column] for column in ("name", "description") if row.get(column)}
    if row.get("groups"):
        names = [name.strip() for name in row["groups"].split(BETWEEN_GROUPS)]
        notes["groups"] = [name for name in names if name]
    attributes = {name[len(ATTRIBUTE) :]: value for name, value in row.items() if name.startswith(ATTRIBUTE) and value}
    if attributes:
        notes["custom_attributes"] = attributes
    if board:
        notes.setdefault("name", board)
    return Naming(board, serial_number, notes)
