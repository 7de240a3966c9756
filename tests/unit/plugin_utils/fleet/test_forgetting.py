# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards that are expected no longer, or that may come with another ssh host key."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from cloud_access import store_at

from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.forgetting import forget_boards
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.identity import Identities, Sighting
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import (
    Remembered,
    forget,
    forget_host_keys,
    read_fleet,
    remember,
    require_known,
    unknown_names,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store

OLD, NEW = "SHA256:" + "o" * 43, "SHA256:" + "n" * 43
BOARDS = {name: Remembered((OLD,), "1" * 32, "bench", "2026-11-01T00:00:00Z") for name in ("a", "b")}


def test_boards_are_forgotten_by_name_and_unknown_names_passed_over() -> None:
    assert forget(BOARDS, ["a", "never-met"]) == {"b": BOARDS["b"]}


def test_the_store_forgets_what_it_is_told_and_says_whom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    team = store_at(tmp_path / "team")
    remember(team, BOARDS)
    for dry_run in (True, False):
        keys = forget_boards(team, ["b", "never-met"], host_keys_only=True, dry_run=dry_run)
        assert (keys.names, keys.before, keys.after) == (["b"], BOARDS, forget_host_keys(BOARDS, ["b"]))
        assert read_fleet(team) == (keys.before if dry_run else keys.after)
    remember(team, {"c": BOARDS["a"], "a": replace(BOARDS["a"], site="north")})
    assert forget_boards(team, iter(["c", "b", "a"])).names == ["a", "b", "c"]
    assert read_fleet(team) == {}
    before = sorted(path.stat().st_mtime_ns for path in team.directory.glob("fleet*"))
    with monkeypatch.context() as patch:
        patch.setattr(Store, "locked", lambda store: pytest.fail("nothing is written"))
        assert forget_boards(team, ["a"]).names == []
    assert sorted(path.stat().st_mtime_ns for path in team.directory.glob("fleet*")) == before


def test_what_another_run_remembers_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    team = store_at(tmp_path / "team")
    remember(team, BOARDS)
    locked = Store.locked

    def late(store: Store) -> AbstractContextManager[None]:
        with monkeypatch.context() as patch:
            patch.setattr(Store, "locked", locked)
            remember(store, {"new": BOARDS["b"]})
        return locked(store)

    monkeypatch.setattr(Store, "locked", late)
    assert forget_boards(team, ["a"]).names == ["a"]
    assert read_fleet(team) == {"b": BOARDS["b"], "new": BOARDS["b"]}


def test_a_misspelt_name_is_told_with_the_one_that_is_meant() -> None:
    boards = {"mbed-linux-os-7919": BOARDS["a"]}
    asked = ["mbed-linux-os-7911", "mbed-linux-os-7919", "gateway", "gatewya", "something"]
    found = {"mbed-linux-os-7911": "mbed-linux-os-7919", "gatewya": "gateway", "something": ""}
    assert unknown_names(boards, asked, ["gateway"]) == found


def test_names_that_nobody_has_are_refused_with_those_that_may_be_meant() -> None:
    boards = {"mbed-linux-os-7919": BOARDS["a"]}
    require_known(boards, ["mbed-linux-os-7919", "here"], ["here"])
    with pytest.raises(PelionError) as refused:
        require_known(boards, ["mbed-linux-os-7991", "herr", "something", "here"], ["here"])
    assert str(refused.value) == (
        "mbed-linux-os-7991, herr, something: neither in the inventory nor among the boards that the team remembers. "
        "Did you mean mbed-linux-os-7919? Did you mean here? Nothing was done."
    )
    with pytest.raises(PelionError, match=r"remembers\. Nothing"):
        require_known(boards, ["herr"], ["here"], suggested=[])


def test_a_board_that_was_flashed_anew_is_known_again_once_its_key_is_forgotten() -> None:
    sighting = Sighting("a", (NEW,))
    assert Identities.of([sighting], BOARDS).is_changed("a")
    after = forget_host_keys(BOARDS, ["a", "never-met"])
    assert Identities.of([sighting], after).is_known("a")
    assert (after["a"].device_id, after["b"]) == (BOARDS["a"].device_id, BOARDS["b"])
