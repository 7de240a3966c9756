# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards that hang or never end: each is told by its name, and the others get what they are to have."""

from __future__ import annotations

from fleet import Fleet, Provision

IMPATIENT = ("-e", "provision_pelion_board_timeout=5")


def test_an_endless_answer_and_a_hanging_program_harm_their_own_boards_only(fleet: Fleet, provision: Provision) -> None:
    endless, hanging, good = fleet.boards
    fleet.answer_without_end(endless)
    fleet.write_program(hanging, "/opt/arm/odd", "exec sleep 1000")
    # The genuine one is put back by make_fresh.
    fleet.on(hanging, "cd /opt/arm && mv pelion-provisioning-util genuine && mv odd pelion-provisioning-util")
    play = provision(*IMPATIENT)
    assert {name: recap.failed for name, recap in play.recap.items()} == {endless: 1, hanging: 1, good: 0}
    assert "answer is longer than 1024 kB" in play.output
    assert "not run to its end" in play.output or "did not finish: it was killed" in play.output
    assert "a line of an answer that never ends" not in play.output
    assert fleet.on(good, "readlink /run/pelion-mbl/lock.*").split() == ["free"]
    assert fleet.on(hanging, "readlink /run/pelion-mbl/lock.*").split() == ["free"]
    assert "sleep 1000" not in fleet.on(hanging, "ps")
