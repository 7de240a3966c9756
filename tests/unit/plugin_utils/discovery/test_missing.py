# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.hosts import Host
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.missing import missing_boards
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.roster import Roster

SEEN = "2026-01-01T00:00:00+00:00"


def found(name: str, instance: str | None = None) -> Host:
    return Host(name, instance or name, "", ("10.0.0.7",), 22, "eth0", {}, SEEN)


def test_boards_of_the_roster_and_of_earlier_runs_are_missed() -> None:
    roster = Roster.parse(["there", "absent", "both"])
    missing = missing_boards([found("there")], roster, {"there": SEEN, "both": SEEN, "a": SEEN})
    assert missing == {"a": f"last seen {SEEN}", "absent": "of the roster", "both": f"last seen {SEEN}"}
    assert list(missing) == sorted(missing)


@pytest.mark.parametrize("name", ["Board-7", "left-board-7"])
def test_a_board_is_there_by_its_name_or_its_instance_whatever_the_capitals(name: str) -> None:
    assert missing_boards([found(name, "board-7")], Roster.parse(["board-7"]), {"BOARD-7": SEEN}) == {}


def test_a_fingerprint_alone_names_no_board() -> None:
    assert missing_boards([], Roster.parse(["SHA256:" + "a" * 43]), {}) == {}
