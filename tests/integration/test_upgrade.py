# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the first release left behind, in stores and on boards, is this version's own: it finds nothing to do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import ROOT, Fleet
from own_directory import Bench

FIRST = "651bcdc5eee40226b54cdb73cc86690b1fd8bb86"
"""The commit of 0.1.0."""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of collections with the first release in it, built and installed."""
    place = tmp_path_factory.mktemp("first")
    archive = subprocess.run(["git", "-C", ROOT, "archive", FIRST], capture_output=True, check=False)
    if archive.returncode:
        pytest.skip("the history of this clone does not go back to 0.1.0")
    (place / "source").mkdir()
    subprocess.run(["tar", "-x", "-C", place / "source"], input=archive.stdout, check=True)
    for command in (["build", "source"], ["install", "pelion-mbl-0.1.0.tar.gz", "--force", "-p", "collections"]):
        subprocess.run(["ansible-galaxy", "collection", *command], cwd=place, check=True, capture_output=True)
    return place / "collections"


@pytest.fixture(scope="module")
def bench(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """What a run of the first release left."""
    fleet = Fleet.up(tmp_path_factory.mktemp("lab") / "state", "--devices", "3")
    bench = Bench(fleet, tmp_path_factory.mktemp("bench"))
    play = bench.run(f"ANSIBLE_COLLECTIONS_PATH={first} ansible-playbook -i inventory/ pelion.mbl.provision")
    assert play.returncode == 0 and len(play.recap) == 3, play.output
    assert all(recap.changed for recap in play.recap.values())
    yield bench
    fleet.down()


def test_a_fleet_of_the_first_release_is_taken_over_as_it_is(bench: Bench) -> None:
    held = {name: bench.fleet.content(name) for name in bench.addresses}
    stored = {file.name: file.read_bytes() for file in (bench.home / ".mbl-store/team").glob("*.yml")}
    assert len(stored) == 2
    play = bench.play("provision", "-e", "report=reports")
    assert play.returncode == 0, play.output
    assert not any(recap.changed for recap in play.recap.values()), play.output
    assert bench.report()["counts"] == {"ok": 3}
    assert held == {name: bench.fleet.content(name) for name in bench.addresses}
    assert stored == {file.name: file.read_bytes() for file in (bench.home / ".mbl-store/team").glob("*.yml")}
    status = bench.play("status", "-e", "report=reports")
    assert status.returncode == 0, status.output
    assert bench.report()["counts"] == {"ok": 3}
