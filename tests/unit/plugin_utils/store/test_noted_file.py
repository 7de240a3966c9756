# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cloud_access import held, store_at

from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import Remembered, read_fleet
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reservations import FILE, Reservations
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.noted_file import NotedFile
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store

BOARDS = {"b": {"x": 1}, "a": {"x": 2}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "team").mkdir(mode=0o770)
    return store_at(tmp_path / "team")


@pytest.fixture
def file(store: Store) -> NotedFile:
    return NotedFile(store, "noted.json", unknown="nothing is known", remedy="Remove it.")


def test_what_is_written_is_read(file: NotedFile) -> None:
    assert file.read() == {}
    file.write(BOARDS)
    assert file.read() == BOARDS
    assert json.loads(file.path.read_text())["format"] == 1
    assert file.path.stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "7", '{"format": 1}', '{"format": 0, "boards": {}}', "\xff", "[" * 9999]
)
def test_a_damaged_file_is_named_with_what_to_do(file: NotedFile, text: str) -> None:
    file.path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError, match=r"noted.json is damaged, so nothing is known. Remove it.$"):
        file.read()


def test_a_newer_format_is_not_damage(file: NotedFile) -> None:
    file.path.write_text('{"format": 2, "boards": [], "more": 1}')
    with pytest.raises(StoreError, match=r"written by a newer version .*Update the collection here.$") as raised:
        file.read()
    assert "emove" not in str(raised.value)


def test_a_conflict_of_git_is_named_as_such(file: NotedFile) -> None:
    file.write(BOARDS)
    text = file.path.read_text()
    file.path.write_text(f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> theirs\n")
    with pytest.raises(StoreError, match=r"both sides of a git conflict, so nothing is known. Resolve it") as raised:
        file.read()
    assert "Remove" not in str(raised.value)


def test_a_field_of_a_newer_version_is_passed_over(store: Store) -> None:
    known = {"host_keys": [], "device_id": None, "certificate": None, "seen": "2026-01-01T00:00:00Z", "site": ""}
    (store.directory / "fleet.json").write_text(
        json.dumps({"format": 1, "boards": {"a": {**known, "colour": "red"}}, "mood": "good"})
    )
    assert read_fleet(store) == {"a": Remembered(seen="2026-01-01T00:00:00Z")}


def test_a_place_that_is_held_for_longer_than_runs_take_is_not_held(store: Store) -> None:
    """A controller with a wrong clock, or a hand, must not block a certificate for a year."""
    now = datetime.now(timezone.utc)
    until = {"gone": timedelta(minutes=-1), "held": timedelta(minutes=30), "far": timedelta(days=400)}
    boards = {
        name: {"certificate": "bench", "until": f"{now + left:%Y-%m-%dT%H:%M:%SZ}"} for name, left in until.items()
    }
    (store.directory / FILE).write_text(json.dumps({"format": 1, "boards": boards}))
    with Reservations(store).locked() as places:
        assert held(places) == {"held": ["bench"]}
