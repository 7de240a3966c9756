# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board that is taken out of service holds what a board holds that was just flashed."""

from __future__ import annotations

import pytest
from board_box import DEVICE_ID, BoardBox, item_set

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection

SET = item_set(1)


@pytest.fixture
def provisioned(box: BoardBox) -> BoardBox:
    inject(box)
    return box


def inject(box: BoardBox) -> Inspection:
    found = box.board().inspect(may_change=True)
    box.board().inject(SET, found_digest=found.kcm_digest, bootstrap="not-yet", registration_timeout=20)
    return box.board().inspect(may_change=True)


def test_it_is_as_if_it_had_just_been_flashed(box: BoardBox) -> None:
    fresh = box.board().inspect(may_change=True)
    held = inject(box)
    assert held.configured and held.client_runs
    box.board().empty(found_digest=held.kcm_digest)
    board = box.board().inspect(may_change=True)
    assert box.files() == []
    assert not board.client_runs
    assert (board.describe(), board.files, board.device_id) == (fresh.describe(), fresh.files, None)
    assert inject(box).device_id == DEVICE_ID, "and it can come back"


def test_an_exchange_that_is_repeated_changes_nothing(provisioned: BoardBox) -> None:
    digest = provisioned.board().inspect(may_change=True).kcm_digest
    for _time in range(2):
        provisioned.board().empty(found_digest=digest)
        assert provisioned.files() == []


def test_what_another_tool_did_since_is_not_taken_away(provisioned: BoardBox) -> None:
    with pytest.raises(BoardError) as raised:
        provisioned.board().empty(found_digest="0" * 64)
    assert raised.value.facts["reason"] == "changed-since"
    board = provisioned.board().inspect(may_change=True)
    assert board.configured and board.client_runs


def test_what_a_power_cut_behind_the_rename_leaves_is_deleted_at_the_next_contact(provisioned: BoardBox) -> None:
    provisioned.run("mv /config/user/pal /config/user/pal.discard")
    asked = provisioned.board().inspect(may_change=False)
    assert asked.interrupted and not asked.certificates
    board = provisioned.board().inspect(may_change=True)
    assert board.recovered and "pal.discard" not in provisioned.files()
    provisioned.board().empty(found_digest=board.kcm_digest)
    assert provisioned.files() == []
