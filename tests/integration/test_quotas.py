# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the account allows is asked before any board is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet import Fleet, Provision


@pytest.fixture
def certificate(fleet: Fleet, home: Path, request: pytest.FixtureRequest) -> str:
    """A developer certificate with room for one more device; ``provision`` uses the one of that name."""
    return make_certificate(fleet, home, request.node.name, devices=99)


def make_certificate(fleet: Fleet, home: Path, name: str, *, devices: int) -> str:
    """The id of a new developer certificate that so many devices hold."""
    arguments = ["--vault-password-file", home / "vault-password", "-m", "pelion.mbl.pelion_dev_cert"]
    made = fleet.run("ansible", "localhost", *arguments, "-a", f"name={name}", environment={"HOME": str(home)})
    assert made.returncode == 0, made.output
    certificates = fleet.cloud.call("GET", "/state")["certificates"]
    certificate_id = next(found["id"] for found in certificates if found["name"] == name)
    fleet.cloud.call("POST", "/devices", count=devices, certificate_id=certificate_id)
    return certificate_id


def test_boards_without_a_place_are_refused_and_the_others_get_theirs(
    fleet: Fleet, provision: Provision, certificate: str
) -> None:
    play = provision()
    assert play.returncode != 0
    assert "no room for this board" in play.output
    assert "99 of 100 devices" in play.output
    assert sum(recap.failed for recap in play.recap.values()) == 2
    assert sum(1 for board in fleet.boards if fleet.content(board)) == 1


def test_a_fleet_is_spread_and_each_board_keeps_its_own(
    fleet: Fleet, provision: Provision, home: Path, request: pytest.FixtureRequest
) -> None:
    name = request.node.name
    make_certificate(fleet, home, f"{name}-01", devices=98)
    spread = ["-e", "provision_pelion_spread=true"]
    first = provision(*spread)
    assert first.returncode == 0, first.output
    held = [fleet.on(board, "grep developer_certificate /config/user/pelion-mbl.record") for board in fleet.boards]
    assert sorted(held.count(certificate) for certificate in set(held)) == [1, 2]
    assert f"{name}-02" in {found["name"] for found in fleet.cloud.call("GET", "/state")["certificates"]}
    second = provision(*spread)
    assert second.returncode == 0, second.output
    assert not any(recap.changed for recap in second.recap.values())
