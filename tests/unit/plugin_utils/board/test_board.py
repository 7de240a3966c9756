# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.answers import ANSWERS
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import Board
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.description import BoardStatus
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import ITEMS, Items
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.reasons import PROGRAM_REASONS
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.certified import describe_certificate

ITEM_BYTES = Items({name: f"value of {name}".encode() for name in ITEMS})


def board_saying(answer: str, programs: list[str] | None = None) -> Board:
    def run(program: str, _seconds: float) -> str:
        if programs is not None:
            programs.append(program)
        return answer

    return Board(run, lock_timeout=1, board_timeout=1, now=lambda: 1799999900.2)


def lines(**values: str) -> str:
    return "".join(f"mbl:{key.replace('_', '-')}={value}\n" for key, value in values.items())


def test_a_report_becomes_a_board() -> None:
    content = kcm.certificate_offset(kcm.UPDATE_CERTIFICATE) - 8 - len(kcm.UPDATE_CERTIFICATE)
    assert content == 0
    name = kcm.UPDATE_CERTIFICATE.encode()
    stored = b"\1\0\0\0" + len(name).to_bytes(2, "little") + name + b"\0\0" + b"DER" + b"M" * 16
    octal = " ".join(f"{byte:03o}" for byte in stored)
    answer = (
        "Welcome to MBL\n"
        + lines(time="1800000000", uptime="1000.50", client_start="90000", kcm_digest="d1")
        + lines(utility__get_pelion_status="0", space="/config/user 300 rw", kernel="5.4.0 armv7l")
        + 'mbl:image=NAME="MBL"\nmbl:image=VERSION="0.10.0"\nmbl:device=kcm=d1\nmbl:device=device_id=remembered\n'
        + f"mbl:certificate={kcm.file_name(kcm.DEVELOPER_CERTIFICATE)} 2\n"
        + f"mbl:certificate={kcm.file_name(kcm.UPDATE_CERTIFICATE)} {len(stored)}\nmbl:octets=001 002 {octal}\n"
        + "mbl:item-file=yF8c_T0h\nmbl:item-file=97LymtR#\nmbl:record=fingerprint=f1\nmbl:record=kcm=d1\n"
        + "mbl:status=Querying device status... \nmbl:status=Device is configured correctly.\n"
        + lines(done="yes")
    )
    found = board_saying(answer).inspect(may_change=True)
    assert found.has_utility
    assert found.client_runs
    assert found.drift == 100  # 1800000000.5 - 1799999900.2
    assert found.space == {"/config/user": {"free_kb": 300, "writable": True}}
    assert found.image == {"name": "MBL", "version": "0.10.0", "kernel": "5.4.0 armv7l"}
    assert found.remembered == {"kcm": "d1", "device_id": "remembered"}
    assert (found.obstacles, found.device_id) == ([], None), "it has not bootstrapped"
    assert found.certificates == {kcm.UPDATE_CERTIFICATE: describe_certificate(b"DER")}
    assert found.files == ("yF8c_T0h", "97LymtR#")
    assert found.record == {"fingerprint": "f1", "kcm": "d1"}
    assert found.status == "Device is configured correctly."
    assert found.provisioned_by == "pelion.mbl"
    assert "mbed.EndpointName" in found.missing_items
    assert Inspection.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    "answer, reason, text",
    [
        (lines(error="no-utility", done="yes"), "no-utility", "update the board's image"),
        (lines(error="locked", detail="77", done="yes"), "locked", "process 77"),
        (lines(error="utility", detail="Failed", undone="yes", done="yes"), "utility", "is as it was before"),
        (lines(utility_code="139", error="utility", undone="yes"), "utility-ended", "signal 11; with a full"),
        (lines(utility_timeout="9", utility_code="137", error="utility"), "utility-ended", "when the 9 seconds for"),
        (lines(utility_code="1", error="utility", detail="Failed to store"), "utility", "refused the credentials"),
        (lines(time="1"), "cut-off", "Run again"),
    ],
)
def test_what_went_wrong_becomes_an_error_that_tells_what_to_do(answer: str, reason: str, text: str) -> None:
    with pytest.raises(BoardError, match=re.escape(text)) as raised:
        board_saying(answer).inspect(may_change=True)
    assert raised.value.facts["reason"] == reason


KEYS = [key.replace("FILE", "97LymtR#").replace("COPY", "BACKUP") for key in ANSWERS]
ODD = st.sampled_from(
    [
        "",
        "yes",
        "inf",
        "nan",
        "-1",
        "0",
        "1e400",
        "9" * 30,
        "1 2 3",
        "777 000",
        "97LymtR# 3",
        "97LymtR# -3",
        "kcm=d1",
        "\0",
    ]
)
SAID = st.lists(st.tuples(st.sampled_from(KEYS), ODD | st.text(max_size=20)), max_size=30)


@given(said=SAID, error=st.sampled_from([*PROGRAM_REASONS, "", "no such reason"]))
def test_whatever_a_board_says_is_an_error_of_that_board_or_means_something(
    said: list[tuple[str, str]], error: str
) -> None:
    answer = "".join(f"mbl:{key}={value}\n" for key, value in said if key not in ("error", "time", "uptime"))
    answer += lines(error=error) if error else ""
    for clock in (lines(time="1800000000", uptime="1000.50"), lines(time="1", uptime="inf"), lines(time="x"), ""):
        board = board_saying(answer + clock + lines(done="yes"))
        with contextlib.suppress(BoardError):
            found = board.inspect(may_change=True)
            assert json.dumps([found.to_json(), found.warnings, found.obstacles, BoardStatus.of(found).to_json()])
        with contextlib.suppress(BoardError):
            board.inject(ITEM_BYTES, found_digest=None, bootstrap="as-is", registration_timeout=1)


def test_an_answer_that_is_cut_off_is_an_error() -> None:
    with pytest.raises(BoardError, match="Run again"):
        board_saying("mbl:time=1\nmbl:ut").inspect(may_change=True)


@settings(max_examples=25)
@given(values=st.lists(st.binary(max_size=400), min_size=len(ITEMS), max_size=len(ITEMS)))
def test_a_shell_writes_the_very_bytes(values: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("items")
    items = Items(dict(zip(ITEMS, values, strict=True)))
    programs: list[str] = []
    board_saying(lines(done="yes"), programs).inject(
        items, found_digest=None, bootstrap="as-is", registration_timeout=1
    )
    function = programs[0][programs[0].index("write_items() (") :]
    script = f"inputs={directory}\n{function[: function.index(chr(10) + ')') + 2]}\nwrite_items\n"
    subprocess.run(["sh"], input=script.encode(), check=True, timeout=10)
    assert {name: (directory / f"{name}.bin").read_bytes() for name in ITEMS} == items.values


def test_a_program_that_was_cut_off_on_its_way_does_nothing(tmp_path: Path) -> None:
    """The call stands in braces, so no beginning of the text runs it."""
    programs: list[str] = []
    board_saying(lines(done="yes"), programs).inject(
        ITEM_BYTES, found_digest=None, bootstrap="as-is", registration_timeout=1
    )
    whole = programs[0]
    called = whole.index("lock_timeout=")
    for end in range(called, len(whole.rstrip()), 97):
        ran = subprocess.run(["sh"], input=whole[:end].encode(), capture_output=True, timeout=10, check=False)
        assert b"mbl:" not in ran.stdout


def test_an_inspection_sends_no_secret() -> None:
    programs: list[str] = []
    board_saying(lines(time="1", done="yes"), programs).inspect(may_change=False)
    assert "printf '\\" not in programs[0]
