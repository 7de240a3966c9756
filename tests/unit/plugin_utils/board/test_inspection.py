# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from what a board was found to hold."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.client_log import ClientLog
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection

DEVICE_ID = "0161dbbcdd660a580a010c3403c00000"


def described(name: str, begin: str = "2026-01-01T00:00:00Z", end: str = "2036-01-01T00:00:00Z") -> dict[str, str]:
    return {"fingerprint": f"of {name}", "common_name": name, "account_id": "a", "not_before": begin, "not_after": end}


HELD = {kcm.DEVELOPER_CERTIFICATE: described("first"), kcm.UPDATE_CERTIFICATE: described("update")}
GOOD = Inspection(
    has_utility=True,
    files=tuple(kcm.file_name(name) for name in (*kcm.FACTORY_ITEMS, kcm.LWM2M_SERVER_URI)),
    certificates=HELD,
    kcm_digest="d",
    record={"kcm": "d", "developer_certificate": "of first"},
    remembered={"kcm": "d", "device_id": DEVICE_ID},
    status_code=0,
    client_runs=True,
    log=ClientLog(True, DEVICE_ID),
    clock=1_800_000_000,
)


def test_it_survives_json() -> None:
    assert Inspection.from_json(json.loads(json.dumps(GOOD.to_json()))) == GOOD
    for wrong in ({}, {"log": {}, "files": []}, {**GOOD.to_json(), "more": 1}):
        with pytest.raises(ValueError, match="not what an inspection found"):
            Inspection.from_json(wrong)


@pytest.mark.parametrize(
    "change, registered, device_id",
    [
        ({}, True, DEVICE_ID),
        ({"log": ClientLog()}, None, DEVICE_ID),
        ({"log": ClientLog(True)}, True, DEVICE_ID),
        ({"log": ClientLog(True), "remembered": {}}, None, None),
        ({"log": ClientLog(), "kcm_digest": "of another tool"}, None, None),
        ({"log": ClientLog(False, None, "ConnectNetworkError")}, False, DEVICE_ID),
        ({"client_runs": False}, False, DEVICE_ID),
        ({"files": GOOD.files[:-1], "log": ClientLog()}, False, None),
    ],
)
def test_registered_and_as_what(change: dict[str, Any], registered: bool | None, device_id: str | None) -> None:
    board = replace(GOOD, **change)
    assert (board.registered, board.device_id) == (registered, device_id)


GOT = {kcm.LWM2M_CERTIFICATE: described("first")}


@pytest.mark.parametrize(
    "change, fingerprint, common_name",
    [
        ({"certificates": {**HELD, **GOT}}, "of first", "first"),
        # Our record says what was put there, which its client may have ignored.
        ({}, None, None),
        ({"certificates": {}}, None, None),
        ({"certificates": GOT}, None, "first"),
        ({"certificates": {**GOT, kcm.DEVELOPER_CERTIFICATE: described("other")}}, None, "first"),
        # Another tool put another one there: what the board got at its bootstrap tells whether it has used it.
        ({"kcm_digest": "changed", "certificates": {**HELD, **GOT}}, "of first", "first"),
        (
            {"kcm_digest": "changed", "certificates": {**GOT, kcm.DEVELOPER_CERTIFICATE: described("other")}},
            None,
            "first",
        ),
        ({"kcm_digest": "changed"}, None, None),
        ({"record": {}, "certificates": {**HELD, **GOT}}, "of first", "first"),
        ({"record": {}}, None, None),
    ],
)
def test_what_it_bootstrapped_with_is_proven_or_unknown(
    change: dict[str, Any], fingerprint: str | None, common_name: str | None
) -> None:
    board = replace(GOOD, **change)
    assert board.bootstrapped_with == {"fingerprint": fingerprint, "common_name": common_name}
    assert replace(board, files=GOOD.files[:-1]).bootstrapped_with is None


@pytest.mark.parametrize(
    "change, text",
    [
        ({"interrupted": True}, "was cut off"),
        ({"interrupted": True}, "other things than check mode tells"),
        ({"drift": 4000}, "1 hour and 6 minutes ahead of the controller's"),
        ({"drift": -90000}, "1 day and 1 hour behind the controller's"),
        ({"clock": 2_200_000_000}, "developer certificate ended on 2036"),
        ({"clock": 1_000_000_000}, "developer certificate is not valid before 2026"),
        ({"space": {"/var/log": {"free_kb": 0, "writable": True}}}, "/var/log is full"),
        ({"space": {"/var/log": {"free_kb": None, "writable": False}}}, "/var/log is full or read-only"),
    ],
)
def test_the_user_is_warned(change: dict[str, Any], text: str) -> None:
    assert not GOOD.warnings
    board = replace(GOOD, **change)
    assert any(text in warning for warning in board.warnings)
    assert not board.obstacles


def test_space_that_is_not_known_is_no_obstacle() -> None:
    board = replace(GOOD, space={"/config/user": {"free_kb": None, "writable": True}})
    assert not board.obstacles
    assert replace(GOOD, space={"/config/user": {"free_kb": 255, "writable": True}}).obstacles[0][0] == "no-space"
    assert not replace(GOOD, space={"/config/user": {"free_kb": 256, "writable": True}}).obstacles
