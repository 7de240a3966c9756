# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an odd or hostile board answers ends in one error about that board, or in facts that can be judged."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.answers import ANSWERS
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import Board
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.description import BoardStatus
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection

GOOD = {
    "time": "1795000000",
    "uptime": "12.5",
    "client-start": "700",
    "utility--get-pelion-status": "0",
    "space": "/config/user 4000 rw",
    "log": "2026-11-18T11:06:38+0000 tracing.c [INFO][mbl ]: Client registered",
}
NUMBERS = ["inf", "-inf", "nan", "1e999", "9" * 400, "-1", "0", "8589934591", "8589934592", "1_0", "²"]
STAMPS = [f"{year}-01-01T00:00:00{zone}" for year in ("0001", "9999") for zone in ("+1400", "-1400")]
ODD = ["", "x y z", *NUMBERS, *(f"{stamp} x [mbl ]: Client registered" for stamp in STAMPS)]


def look(**different: str) -> Inspection:
    lines = [f"mbl:{key}={value}" for key, value in {**GOOD, **different}.items()]
    return Board(lambda *_sent: "\n".join([*lines, "mbl:done=yes"]), lock_timeout=1).inspect(may_change=False)


def test_a_good_answer_is_one() -> None:
    assert look().log.registered


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("uptime", "inf"),
        ("uptime", "nan"),
        ("client-start", "9" * 400),
        ("time", "8589934592"),
        ("utility--get-pelion-status", "x"),
    ],
)
def test_an_impossible_number_is_a_bad_answer(key: str, number: str) -> None:
    with pytest.raises(BoardError) as caught:
        look(**{key: number})
    assert caught.value.facts["reason"] == "bad-answer"


@given(st.dictionaries(st.sampled_from(sorted(set(ANSWERS) - {"error"})), st.sampled_from(ODD)))
def test_whatever_it_answers_can_be_judged_or_is_a_bad_answer(different: dict[str, str]) -> None:
    try:
        found = look(**different)
    except BoardError:
        return
    again = Inspection.from_json(json.loads(json.dumps(found.to_json())))
    assert BoardStatus.from_json(json.loads(json.dumps(BoardStatus.of(again).to_json())))
    assert again.warnings == found.warnings
