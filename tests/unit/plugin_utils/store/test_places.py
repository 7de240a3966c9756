# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.store.places import (
    PlacesError,
    StorePlaces,
    find_places,
    write_places,
)


def test_defaults_are_written_once(tmp_path: Path) -> None:
    defaults = StorePlaces(tmp_path / ".mbl-store/team", tmp_path / ".mbl-store/user", by_default=True)
    assert find_places(tmp_path, {}) == defaults
    write_places(tmp_path, defaults)
    path = tmp_path / ".mbl-stores.json"
    assert json.loads(path.read_text()) == {"user": str(defaults.user), "team": str(defaults.team)}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert find_places(tmp_path, {}) == StorePlaces(defaults.team, defaults.user)
    path.write_text('{"team": "/elsewhere"}')
    write_places(tmp_path, defaults)  # another process was quicker
    assert path.read_text() == '{"team": "/elsewhere"}'
    assert [item.name for item in tmp_path.iterdir()] == [".mbl-stores.json"]


def test_order_of_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".mbl-stores.json").write_text('{"user": "~/u", "team": "/file/team"}')
    assert find_places(tmp_path, {}) == StorePlaces(Path("/file/team"), tmp_path / "u")
    environment = {"PELION_TEAM_STORE": "/env/team", "PELION_USER_STORE": ""}
    assert find_places(tmp_path, environment) == StorePlaces(Path("/env/team"), tmp_path / "u")
    assert find_places(tmp_path, environment, team=Path("/o/t"), user=Path("/o/u")) == StorePlaces(
        Path("/o/t"), Path("/o/u")
    )
    monkeypatch.chdir(tmp_path)
    assert find_places(tmp_path, {"PELION_TEAM_STORE": "rel"}).team == tmp_path / "rel"


def test_a_missing_key_means_the_default(tmp_path: Path) -> None:
    (tmp_path / ".mbl-stores.json").write_text('{"user": "/u"}')
    assert find_places(tmp_path, {}) == StorePlaces(tmp_path / ".mbl-store/team", Path("/u"))
    assert (tmp_path / ".mbl-stores.json").read_text() == '{"user": "/u"}'


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '"x"', '{"team": 3}', '{"team": "relative"}', '{"user": null}', "\udcff", "[" * 5000],
)
def test_a_damaged_file_is_an_error_and_never_overwritten(tmp_path: Path, content: str) -> None:
    path = tmp_path / ".mbl-stores.json"
    octets = content.encode("utf-8", "surrogateescape")
    path.write_bytes(octets)
    with pytest.raises(PlacesError, match=str(path)):
        find_places(tmp_path, {})
    assert path.read_bytes() == octets
    # What needs no file does not mind a damaged one.
    assert find_places(tmp_path, {}, team=Path("/t"), user=Path("/u")).team == Path("/t")


def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".mbl-stores.json").mkdir()
    with pytest.raises(PlacesError, match="cannot be read"):
        find_places(tmp_path, {})
