# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultSecret

from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import (
    FILE,
    Remembered,
    forget,
    note_update_proofs,
    read_fleet,
    remember,
    write_fleet,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.update_proof import UpdateProof
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import Vault

KEY = "SHA256:" + "a" * 43
BOARD = Remembered.now((KEY,), "0161dbbcdd660a580a010c3403c00000", "bench")
PROOF = UpdateProof("f" * 64, "v" * 32, "c" * 32, "2026-11-01T00:00:00Z")
LONG_AGO, NEXT_YEAR = "2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z"


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
    [
        "",
        "[]",
        "{",
        '{"format": 2}',
        '{"format": 1, "boards": {"a": {}}}',
        '{"format": 1, "boards": {"a": 1}}',
        '{"format": 1, "boards": {"a": {"host_keys": [], "seen": "yesterday"}}}',
        '{"format": 1, "boards": {"a": {"host_keys": 5, "seen": "2026-01-01T00:00:00Z"}}}',
    ],
)
def test_a_damaged_file_is_told_and_never_taken_for_empty(store: Store, content: str) -> None:
    (store.directory / FILE).write_text(content)
    with pytest.raises(PelionError, match="damaged"):
        remember(store, {"one": BOARD})
    assert (store.directory / FILE).read_text() == content


def test_an_older_version_noted_less(store: Store) -> None:
    entry = {"host_keys": ["SHA256:k"], "seen": LONG_AGO}
    (store.directory / FILE).write_text(json.dumps({"format": 1, "boards": {"a": entry}}))
    assert read_fleet(store) == {"a": Remembered(("SHA256:k",), seen=LONG_AGO)}


def test_the_file_is_readable_without_a_secret(store: Store) -> None:
    remember(store, {"one": BOARD})
    assert json.loads((store.directory / FILE).read_text())["boards"]["one"]["certificate"] == "bench"


def test_known_keys_are_not_replaced_by_none(store: Store) -> None:
    remember(store, {"one": BOARD})
    remember(store, {"one": replace(BOARD, host_keys=(), certificate="next")})
    assert read_fleet(store)["one"] == replace(BOARD, certificate="next")
    anew = replace(BOARD, host_keys=("SHA256:" + "n" * 43,))
    remember(store, {"one": anew})
    assert read_fleet(store)["one"] == anew


def test_a_device_that_is_proven_without_a_key_does_not_belong_to_the_key_that_stays(store: Store) -> None:
    other = replace(BOARD, host_keys=(), device_id="f" * 32)
    remember(store, {"one": BOARD})
    for board, keyed in ((replace(BOARD, host_keys=()), True), (other, False), (other, False)):
        remember(store, {"one": board})
        assert read_fleet(store)["one"].host_keys == BOARD.host_keys
        assert read_fleet(store)["one"].is_keyed is keyed
    remember(store, {"one": replace(other, host_keys=BOARD.host_keys)})
    assert read_fleet(store)["one"].is_keyed
    assert not replace(BOARD, host_keys=()).is_keyed


def test_what_is_written_anyway_tells_when_each_board_was_seen(store: Store) -> None:
    remember(store, {"one": replace(BOARD, seen=LONG_AGO), "two": BOARD})
    later = "2026-01-01T01:00:00Z"
    remember(store, {"one": replace(BOARD, seen=later), "two": replace(BOARD, certificate="next")})
    assert read_fleet(store)["one"].seen == later


def test_a_proof_is_of_the_device_that_gave_it(store: Store) -> None:
    remember(store, {"one": BOARD, "two": BOARD})
    note_update_proofs(store, {"one": PROOF})
    note_update_proofs(store, {"one": PROOF, "two": PROOF, "never met": PROOF})
    assert [board.update_proof for board in read_fleet(store).values()] == [PROOF, PROOF]
    remember(store, {"one": replace(BOARD, certificate="next"), "two": replace(BOARD, device_id="2" * 32)})
    assert [board.update_proof for board in read_fleet(store).values()] == [PROOF, None]


def test_a_proof_that_is_noted_already_needs_no_writable_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(store, {"one": BOARD})
    note_update_proofs(store, {"one": PROOF})
    monkeypatch.setattr(Store, "locked", lambda store: pytest.fail("nothing is written"))
    note_update_proofs(store, {"one": PROOF, "never met": PROOF})


def test_a_renamed_board_is_remembered_once(store: Store) -> None:
    remember(store, {"one": BOARD, "two": BOARD})
    remember(store, {"today": BOARD}, ["one"])
    assert set(read_fleet(store)) == {"today", "two"}
    remember(store, {"two": BOARD, "today": replace(BOARD, certificate="next")}, ["two", "today"])
    assert set(read_fleet(store)) == {"today", "two"}, "they have swapped their names"


NORTH, SOUTH = replace(BOARD, site="north"), replace(BOARD, site="South/2", device_id="2" * 32)


def test_each_site_has_a_file_of_its_own(store: Store) -> None:
    remember(store, {"one": BOARD, "two": NORTH, "three": SOUTH})
    assert read_fleet(store) == {"one": BOARD, "two": NORTH, "three": SOUTH}
    files = {path.name: path.stat().st_ino for path in store.directory.glob("fleet*")}
    assert files.keys() == {FILE, "fleet.north.json", "fleet._south~2f2.json"}
    remember(store, {"two": replace(NORTH, certificate="next")})
    now = {path.name: path.stat().st_ino for path in store.directory.glob("fleet*")}
    assert {name for name in now if now[name] != files[name]} == {"fleet.north.json"}
    # A board that was carried to another site.
    remember(store, {"two": replace(SOUTH, device_id=BOARD.device_id)})
    assert read_fleet(store)["two"].site == SOUTH.site
    assert json.loads((store.directory / "fleet.north.json").read_text())["boards"] == {}
    with store.locked():
        write_fleet(store, forget(read_fleet(store), ["two", "three", "one"]))
    assert read_fleet(store) == {}


def test_the_one_file_of_former_versions_is_taken_over_by_each_site(store: Store) -> None:
    all_boards = {"one": BOARD, "two": NORTH, "three": SOUTH, "four": SOUTH}
    former = json.dumps({"format": 1, "boards": {name: asdict(board) for name, board in all_boards.items()}})
    (store.directory / FILE).write_text(former)
    assert read_fleet(store) == all_boards
    with store.locked():
        write_fleet(store, forget(read_fleet(store), ["three"]))
    # Not even the former file is written, which another site may be about to take its boards from.
    assert (store.directory / FILE).read_text() == former
    assert read_fleet(store).keys() == {"one", "two", "four"}
    remember(store, {"one": replace(BOARD, certificate="next")})
    assert json.loads((store.directory / FILE).read_text())["boards"].keys() == {"one", "two"}
    assert read_fleet(store).keys() == {"one", "two", "four"}


@pytest.mark.parametrize(("former", "now"), [(NORTH, SOUTH), (SOUTH, NORTH)])
def test_a_board_that_two_sites_have_noted_is_where_it_was_seen_last(
    store: Store, former: Remembered, now: Remembered
) -> None:
    remember(store, {"one": replace(former, seen="2026-11-01T00:00:00Z")})
    [file] = store.directory.glob("fleet.*.json")
    kept = file.read_text()
    remember(store, {"one": replace(now, seen="2026-11-02T00:00:00Z")})
    file.write_text(kept)  # as git does for a site that did not know
    assert read_fleet(store)["one"].site == now.site


def test_five_sites_share_a_git_repository_without_a_conflict(tmp_path: Path) -> None:
    """Each works in its own clone from what all of them began with: the former file."""

    def git(where: Path, *arguments: str) -> None:
        me = ("-c", "user.name=me", "-c", "user.email=me@example.com")
        subprocess.run(["git", "-C", where, *me, *arguments], check=True, capture_output=True, text=True)

    sites = [f"site-{number}" for number in range(5)]
    known = {f"board-{number}": replace(BOARD, site=sites[number % 5], seen=LONG_AGO) for number in range(20)}
    shared = tmp_path / "shared"
    shared.mkdir()
    git(shared, "init", "--quiet", "--bare")
    stores = {}
    for site in sites:
        git(tmp_path, "clone", "--quiet", str(shared), site)
        stores[site] = Store(tmp_path / site, Vault([("default", VaultSecret(b"secret"))]), shared=True)
        if site == sites[0]:
            former = {"format": 1, "boards": {name: asdict(board) for name, board in known.items()}}
            (tmp_path / site / FILE).write_text(json.dumps(former, indent=2))
            (tmp_path / site / ".gitignore").write_text(".lock\n")
            git(tmp_path / site, "add", "--all")
            git(tmp_path / site, "commit", "--quiet", "--message", "as it was")
            git(tmp_path / site, "push", "--quiet")
    for site in sites[1:]:
        git(tmp_path / site, "pull", "--quiet")
    for again in (BOARD.seen, NEXT_YEAR):
        for site, store in stores.items():
            seen = {name: replace(board, seen=again) for name, board in known.items() if board.site == site}
            remember(store, {**seen, f"new-at-{site}": replace(BOARD, site=site, seen=again)})
            git(tmp_path / site, "add", "--all")
            git(tmp_path / site, "commit", "--quiet", "--message", "seen")
        for site in sites:
            git(tmp_path / site, "pull", "--quiet", "--rebase")
            git(tmp_path / site, "push", "--quiet")
        for site in sites:
            git(tmp_path / site, "pull", "--quiet", "--rebase")
            found = read_fleet(stores[site])
            assert len(found) == 25 and {board.seen for board in found.values()} == {again}
