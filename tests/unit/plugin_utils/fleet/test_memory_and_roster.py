# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultSecret
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.member import Member
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import FILE, Remembered, read_fleet, remember
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reasons import FLEET_REASONS
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.refusals import turned_away
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.roster import concerning, is_new, misspelt
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.wishes import NewBoards, UpdateWish, Wishes
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


def why_refused(
    name: str, host_keys: Iterable[str], roster: Sequence[str], new_boards: NewBoards, known: Mapping[str, Remembered]
) -> str | None:
    """The code, and what is said of it."""
    wishes = Wishes("bench", UpdateWish("update"), roster=tuple(roster), new_boards=new_boards)
    refused = turned_away([Member(name, wishes, Inspection(has_utility=True), tuple(host_keys))], known)
    return f"{refused[name].code}: {refused[name].message(FLEET_REASONS)}" if refused else None


@pytest.mark.parametrize("entry", ["bench-1", KEY])
def test_a_roster_names_boards_or_their_keys(entry: str) -> None:
    assert why_refused("bench-1", [KEY], ["other", entry], "allow", {}) is None


words = st.sampled_from(["bench-1", "bench-11", "other", KEY, "SHA256:" + "b" * 43, "SHA256:short"])
entries = st.lists(words, max_size=3).map(" ".join)


@given(st.lists(entries, max_size=6), st.sets(st.sampled_from([KEY, "SHA256:" + "b" * 43])), st.booleans())
def test_the_part_of_a_roster_that_concerns_a_board_judges_it_as_the_whole_one(
    roster: list[str], keys: set[str], known: bool
) -> None:
    part = concerning("bench-1", keys, roster)
    memory = {"bench-1": BOARD} if known else {}
    reasons = [why_refused("bench-1", keys, each, "refuse", memory) for each in (part, roster)]
    assert reasons[0] == reasons[1]
    assert set(misspelt(part)) == set(misspelt(roster))
    assert len(part) <= 2


def test_a_name_with_keys_is_both() -> None:
    assert why_refused("bench-1", [KEY], [f"bench-1 SHA256:{'b' * 43} {KEY}"], "allow", {}) is None
    assert why_refused("bench-1", [KEY], [f"bench-1 SHA256:{'b' * 43}"], "allow", {})
    assert why_refused("bench-1", [], [f"bench-1 {KEY}"], "allow", {})
    assert why_refused("other", [KEY], [f"bench-1 {KEY}"], "allow", {})


def test_a_board_outside_the_roster_is_told_how_to_get_in() -> None:
    reason = why_refused("stranger", [KEY], ["bench-1", "SHA256:" + "b" * 43], "allow", {"stranger": BOARD})
    assert "'stranger'" in reason
    assert KEY in reason
    assert reason.startswith("not-in-roster: ")
    assert "not known here" in why_refused("stranger", [], ["bench-1"], "allow", {})


def test_without_a_roster_the_remembered_boards_are_known() -> None:
    assert why_refused("new", [KEY], [], "allow", {}) is None
    assert why_refused("known", [KEY], [], "refuse", {"known": BOARD}) is None
    assert "new-board: This board was never provisioned" in why_refused("new", [KEY], [], "refuse", {"known": BOARD})


def test_another_host_key_makes_a_board_new() -> None:
    assert not is_new("known", [KEY, "SHA256:other"], {"known": BOARD})
    assert is_new("known", ["SHA256:other"], {"known": BOARD})
    assert not is_new("known", [], {"known": BOARD})


def test_a_fingerprint_that_is_none_is_told() -> None:
    assert misspelt(["board", KEY, "SHA256:short"]) == ["SHA256:short"]
