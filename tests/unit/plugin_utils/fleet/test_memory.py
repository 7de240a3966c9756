# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultSecret

from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import FILE, Remembered, read_fleet, remember
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import Vault

KEY = "SHA256:" + "a" * 43
BOARD = Remembered.now((KEY,), "0161dbbcdd660a580a010c3403c00000", "bench")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "team").mkdir(mode=0o2770)
    return Store(tmp_path / "team", Vault([("default", VaultSecret(b"secret"))]), shared=True)


def test_what_is_remembered_is_read_again_beside_what_was_there(store: Store) -> None:
    assert read_fleet(store) == {}
    remember(store, {"one": BOARD})
    remember(store, {"two": BOARD})
    assert read_fleet(store) == {"one": BOARD, "two": BOARD}


def test_nothing_is_written_for_nothing(store: Store) -> None:
    remember(store, {"one": BOARD})
    before = (store.directory / FILE).stat().st_ino
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    remember(store, {"one": Remembered(BOARD.host_keys, BOARD.device_id, "bench", f"{later:%Y-%m-%dT%H:%M:%SZ}")})
    assert (store.directory / FILE).stat().st_ino == before
    remember(store, {"one": Remembered(BOARD.host_keys, BOARD.device_id, "other", BOARD.seen)})
    assert (store.directory / FILE).stat().st_ino != before
    inode = (store.directory / FILE).stat().st_ino
    remember(store, {"one": Remembered(BOARD.host_keys, BOARD.device_id, "other", BOARD.seen, "north")})
    assert (store.directory / FILE).stat().st_ino != inode, "it was moved"
    tomorrow = datetime.now(timezone.utc) + timedelta(days=2)
    remember(store, {"one": Remembered(BOARD.host_keys, BOARD.device_id, "other", f"{tomorrow:%Y-%m-%dT%H:%M:%SZ}")})
    assert read_fleet(store)["one"].seen.startswith(f"{tomorrow:%Y-%m-%d}")


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"format": 2}', '{"format": 1, "boards": {"a": {}}}', '{"format": 1, "boards": {"a": 1}}'],
)
def test_a_damaged_file_is_told_and_never_taken_for_empty(store: Store, content: str) -> None:
    (store.directory / FILE).write_text(content)
    with pytest.raises(PelionError, match="damaged"):
        remember(store, {"one": BOARD})
    assert (store.directory / FILE).read_text() == content


def test_the_file_is_readable_without_a_secret(store: Store) -> None:
    remember(store, {"one": BOARD})
    assert json.loads((store.directory / FILE).read_text())["boards"]["one"]["certificate"] == "bench"


def test_known_keys_are_not_replaced_by_none(store: Store) -> None:
    remember(store, {"one": BOARD})
    remember(store, {"one": replace(BOARD, host_keys=(), certificate="next")})
    assert read_fleet(store)["one"] == replace(BOARD, certificate="next")


def test_a_renamed_board_is_remembered_once(store: Store) -> None:
    remember(store, {"one": BOARD, "two": BOARD})
    remember(store, {"today": BOARD}, ["one"])
    assert set(read_fleet(store)) == {"today", "two"}
    remember(store, {"two": BOARD, "today": replace(BOARD, certificate="next")}, ["two", "today"])
    assert set(read_fleet(store)) == {"today", "two"}, "they have swapped their names"
