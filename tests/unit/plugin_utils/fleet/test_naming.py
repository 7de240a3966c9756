# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_answers import Device
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.device_changes import DeviceNotes
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet import naming
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import Remembered
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.naming import (
    Naming,
    device_notes,
    parse_table,
    read_table,
)

IDS = [f"{number:032x}" for number in range(4)]
KNOWN = {"one": Remembered((), IDS[0]), "two": Remembered((), IDS[1]), "lost": Remembered()}


def device(device_id: str, serial_number: str) -> Device:
    return Device.from_answer({"id": device_id, "state": "registered", "serial_number": serial_number})


@pytest.mark.parametrize("comma", [",", ";"])
def test_a_table(comma: str) -> None:
    text = (
        'Board,serial_number,name,description,groups,attribute_Shelf\none,,gate,"at the, gate",A|B c,3\n\n,S-1,,,,\ntwo'
    )
    text = text.replace('"at the, gate"', f'"at the{comma} gate"') if comma == "," else text.replace(",", ";")
    first, second, third = parse_table(text)
    notes: dict[str, Any] = {"name": "gate", "description": f"at the{comma} gate", "groups": ["A", "B c"]}
    assert first == Naming("one", "", notes | {"custom_attributes": {"Shelf": "3"}})
    assert second == Naming("", "S-1", {})
    assert third == Naming("two", "", {"name": "two"})
    found = device_notes([first, second, third], KNOWN, [device(IDS[2], "S-1"), device(IDS[3], "S-2")])
    assert found == [DeviceNotes(IDS[0], **first.notes), DeviceNotes(IDS[2]), DeviceNotes(IDS[1], name="two")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1: the table is empty"),
        ("name\nx\n", "line 1: no column board or serial_number"),
        ("board,nmae\n", "line 1: the column 'nmae' is not known"),
        ("board,name,name\n", "line 1: there are two columns 'name'"),
        ("board,name\none,a\none,b\n", "line 3: a second row for board 'one'"),
        ("board,serial_number\none,S-1\none,S-2\n", "line 3: a second row for board 'one'"),
        ("serial_number\nS-1\nS-2\nS-1\n", "line 4: a second row for serial number 'S-1'"),
        ("board,name\n,a\n", "line 2: the row names neither a board nor a serial number"),
        ("board,name\none,a,b\n", "line 2: 3 cells, but only 2 columns"),
        ("board,name\none,a,,b\n", "line 2: 4 cells, but only 2 columns"),
        ('board,name\none,"a"b\n', "line 2 is not valid CSV"),
    ],
)
def test_what_is_no_table_of_names_is_told_with_its_line(text: str, why: str) -> None:
    with pytest.raises(PelionError) as caught:
        parse_table(text)
    assert str(caught.value).startswith(why)


def test_all_that_cannot_be_told_are_named_at_once() -> None:
    namings = [
        *(Naming(board, "", {}) for board in ("one", "lost", "unknown")),
        *(Naming("", serial, {}) for serial in ("0", "gone", "S-1")),
    ]
    devices = [device(IDS[2], "0"), device(IDS[3], "0"), device(IDS[0], "S-1")]
    with pytest.raises(PelionError) as caught:
        device_notes(namings, KNOWN, devices)
    text = str(caught.value)
    assert "board 'one'" not in text
    for part in (
        "board 'lost' (the team store",
        "board 'unknown' (the team store",
        "serial number '0' (2 devices",
        "serial number 'gone' (no device",
        f"serial number 'S-1' (the device {IDS[0]} has another row",
    ):
        assert part in text


def test_a_file_as_spreadsheets_write_it(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_bytes("\ufeffboard;name\r\none;Kühlraum\r\n".encode())
    assert read_table(path) == [Naming("one", "", {"name": "Kühlraum"})]
    path.write_bytes(b"Board;Attribute_Shelf\rone;3\r")
    assert read_table(path) == [Naming("one", "", {"name": "one", "custom_attributes": {"Shelf": "3"}})]
    path.write_bytes("board;name\none;Kühlraum\n".encode("latin-1"))
    with pytest.raises(PelionError, match=r"names.csv, line 2: not UTF-8"):
        read_table(path)
    with pytest.raises(PelionError, match=r"other.csv cannot be read: No such file"):
        read_table(tmp_path / "other.csv")
    path.write_text("board\none\none\n")
    with pytest.raises(PelionError, match=r"names.csv, line 3: a second row"):
        read_table(path)


def test_a_file_that_is_too_large_is_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "LARGEST", 10)
    path = tmp_path / "names.csv"
    path.write_bytes(b"board\n1234")
    assert [row.board for row in read_table(path)] == ["1234"]
    path.write_bytes(b"board\n12345")
    with pytest.raises(PelionError, match="more than 10 bytes"):
        read_table(path)


def test_blanks_around_cells_and_empty_cells_behind_them_mean_nothing() -> None:
    assert parse_table(" serial_number , groups\n S-1 , a || b ,,\n") == [Naming("", "S-1", {"groups": ["a", "b"]})]


CELLS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="|"), min_size=1, max_size=8).filter(
    lambda text: text == text.strip() != ""
)


@given(st.lists(st.tuples(CELLS, CELLS, st.lists(CELLS, max_size=3)), max_size=5, unique_by=lambda row: row[0]))
def test_what_csv_writes_is_read_again(rows: list[tuple[str, str, list[str]]]) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["board", "name", "groups"])
    writer.writerows((board, name, "|".join(groups)) for board, name, groups in rows)
    read = [
        (naming.board, naming.notes["name"], naming.notes.get("groups", [])) for naming in parse_table(file.getvalue())
    ]
    assert read == rows


@given(st.text(max_size=60))
def test_whatever_a_file_holds_it_is_a_table_or_told(text: str) -> None:
    try:
        parse_table("board,name\n" + text)
    except PelionError as error:
        assert str(error).startswith("line ")
