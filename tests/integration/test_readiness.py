# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether boards take updates, as provision and status tell of boards in several states."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fleet import ROOT, Fleet, Provision


def read(directory: Path) -> dict[str, dict[str, Any]]:
    """The boards of a report by name."""
    return {board["name"]: board for board in json.loads((directory / "fleet.json").read_text())["boards"]}


def answers(boards: dict[str, dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {name: (board["takes_updates"]["answer"], board["takes_updates"]["code"]) for name, board in boards.items()}


def test_provision_and_status_say_whether_boards_take_updates(
    fleet: Fleet, provision: Provision, home: Path, tmp_path: Path
) -> None:
    first, second, third = fleet.boards
    report = ("-e", f"report={tmp_path / 'report'}")

    def status(*options: str) -> tuple[dict[str, tuple[str, str]], str]:
        play = fleet.run(
            *("ansible-playbook", ROOT / "playbooks" / "status.yml", *report),
            *("--vault-password-file", home / "vault-password", *options),
            environment={"HOME": str(home)},
        )
        assert play.returncode == 0, play.output
        return answers(read(tmp_path / "report")), play.output

    fresh = provision(*report, "--limit", f"{first},{second}")
    assert fresh.returncode == 0, fresh.output
    assert answers(read(tmp_path / "report")) == {first: ("yes", ""), second: ("yes", "")}
    assert "Takes updates: 2 yes" in fresh.stderr
    again = provision(*report, "--limit", f"{first},{second}")
    assert (answers(read(tmp_path / "report")), again.recap[first].changed) == (
        {first: ("yes", ""), second: ("yes", "")},
        0,
    )

    told, output = status()
    assert told == {first: ("yes", ""), second: ("yes", ""), third: ("no", "holds-no-credentials")}
    assert "Takes updates: 2 yes, 1 no" in output
    held = read(tmp_path / "report")[first]
    assert held["takes_updates"]["rotate_by"] < held["update_certificate"]["not_after"]
    assert '<th scope="col">Takes updates</th>' in (tmp_path / "report/fleet.html").read_text()

    # Far longer than the certificate is valid: a rotation is due at once.
    _told, output = status("-e", "provision_pelion_longest_absence_days=7300")
    assert "so run pelion.mbl.rotate by" in output

    # As a board that was provisioned without waiting for its registration.
    fleet.on(second, "rm -f /config/user/pelion-mbl.device")
    device_id = read(tmp_path / "report")[first]["device_id"]
    fleet.cloud.call("PATCH", f"/devices/{device_id}", state="deregistered")
    told, output = status()
    assert told[first] == ("no", "device-not-registered")
    assert told[second] == ("not_known", "registration-older")
    assert f"{second}: it is not known whether it takes updates (registration-older)" in output
