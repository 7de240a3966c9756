# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of a board, from its inspection to the report that reads it."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.client_log import ClientLog
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.description import BoardStatus
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection

MODULE = Path(__file__).parents[4] / "plugins/modules/mbl_pelion_status.py"
CERTIFICATE = {
    "common_name": "cn",
    "account_id": "a",
    "fingerprint": "f" * 64,
    "not_before": None,
    "not_after": "2036-11-23T23:42:14Z",
}
FULL = Inspection(
    has_utility=False,
    files=(kcm.file_name(kcm.LWM2M_SERVER_URI),),
    certificates={kcm.DEVELOPER_CERTIFICATE: CERTIFICATE},
    damaged=("mbed.Manufacturer (BACKUP)",),
    kcm_digest="d" * 64,
    record={"kcm": "d" * 64, "developer_certificate": "f" * 64},
    remembered={"kcm": "d" * 64},
    status_code=3,
    status="Not configured.",
    client_runs=True,
    log=ClientLog(
        *(False, "1" * 32, "ConnectNetworkError", 261, "2026-11-24T23:42:14Z"),
        [{"name": "Unknown", "code": 1, "at": "2026-11-24T23:42:14Z"}],
    ),
    clock=1_795_000_000,
    drift=-7,
    space={"/config/user": {"free_kb": None, "writable": False}},
    image={"name": "Mbed Linux OS"},
    interrupted=True,
)


@pytest.mark.parametrize("found", [FULL, Inspection(has_utility=True)])
def test_a_status_is_read_as_it_was_written(found: Inspection) -> None:
    status = BoardStatus.of(found, ["SHA256:k"])
    assert BoardStatus.from_json(json.loads(json.dumps(status.to_json()))) == status


def test_each_field_says_something_of_a_board_that_has_it() -> None:
    """So that none is forgotten on the way through JSON."""
    status, nothing = BoardStatus.of(FULL, ["SHA256:k"]), BoardStatus(configured=True)
    alike = {field.name for field in fields(BoardStatus) if getattr(status, field.name) == getattr(nothing, field.name)}
    assert alike == {"has_utility", "update_certificate"}


def test_the_fields_are_those_that_the_module_documents() -> None:
    documented = MODULE.read_text().partition('RETURN = r"""')[2].partition('"""')[0]
    assert {field.name for field in fields(BoardStatus)} | {"failure"} == yaml.safe_load(documented).keys()


def test_what_never_came_to_ask_the_board_is_not_a_status() -> None:
    assert BoardStatus.from_json({"failed": True, "msg": "no"}) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"configured": "yes"},
        {"configured": True, "registered": 1},
        {"configured": True, "missing_items": "mbed.UpdateAuthCert"},
        {"configured": True, "missing_items": [3]},
        {"configured": True, "developer_certificate": []},
        {"configured": True, "clock_drift": True},
        [],
    ],
)
def test_a_damaged_status_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="has "):
        BoardStatus.from_json(wrong)
