# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.hosts import Host
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.seen_boards import KEPT, SeenBoards
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError

NOW = datetime.now(timezone.utc)


def board(name: str, seen: datetime | None = NOW) -> Host:
    return Host(name, name, "", ("10.0.0.7",), 22, "eth0", {}, seen and seen.isoformat())


def test_boards_are_remembered_until_they_were_away_too_long(tmp_path: Path) -> None:
    seen_boards = SeenBoards(tmp_path / "deep/boards.json")
    assert seen_boards.recall() == {}
    old, recent = NOW - KEPT - timedelta(days=1), NOW - KEPT + timedelta(days=1)
    seen_boards.note([board("old", old), board("recent", recent), board("by-hand", None)])
    seen_boards.note([board("new")])
    assert seen_boards.recall() == {"recent": recent.isoformat(), "new": NOW.isoformat()}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["boards.json"]


def test_a_board_that_was_given_up_is_missed_no_longer(tmp_path: Path) -> None:
    seen_boards = SeenBoards(tmp_path / "boards.json")
    seen_boards.forget(["a"])
    assert not (tmp_path / "boards.json").exists()
    seen_boards.note([board("a"), board("B"), board("c")])
    seen_boards.forget(["a", "b", "unknown"])
    assert set(seen_boards.recall()) == {"c"}
    seen_boards.note([board("a")])
    assert set(seen_boards.recall()) == {"a", "c"}


@pytest.mark.parametrize("text", ["", "[]", "7", '{"a": 7}', '{"a": "never"}', "{"])
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "boards.json").write_text(text)
    with pytest.raises(PelionError, match=r"boards\.json.*Remove it"):
        SeenBoards(tmp_path / "boards.json").recall()


def test_names_in_the_file_are_checked(tmp_path: Path) -> None:
    (tmp_path / "boards.json").write_text(json.dumps({"-oProxyCommand=x": NOW.isoformat(), "ok": NOW.isoformat()}))
    assert set(SeenBoards(tmp_path / "boards.json").recall()) == {"ok"}


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PelionError, match="cannot be"):
        SeenBoards(tmp_path / "file/boards.json").note([board("a")])
