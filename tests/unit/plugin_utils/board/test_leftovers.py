# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs that were cut off have left on boards, those of version 0.1.0 included, and what others did since."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from board_box import BoardBox, item_set
from board_samples import FIRST, SECOND, holds, inject

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import record_of
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection

ITEM = "YBGSQ1nq"


@pytest.fixture
def off(box: BoardBox, tmp_path: Path) -> BoardBox:
    """A board that is off, holds FIRST, and beside it in the test's directory whole KCMs of FIRST and SECOND."""
    inject(box.board(), FIRST, "not-yet")
    storage = box.root / "config/user"
    shutil.copytree(storage / "pal", tmp_path / "first")
    shutil.copy(storage / "pelion-mbl.record", tmp_path / "record")
    inject(box.board(), SECOND)
    box.power_off()
    shutil.move(storage / "pal", tmp_path / "second")
    shutil.move(storage / "pelion-mbl.record", tmp_path / "second.record")
    shutil.copytree(tmp_path / "first", storage / "pal")
    shutil.copy(tmp_path / "record", storage / "pelion-mbl.record")
    return box


def put(box: BoardBox, tmp_path: Path, **content: str) -> None:
    """Let ``pal`` and its kin be copies of ``first``, ``second``, a mixture of both, or empty; or absent."""
    storage = box.root / "config/user"
    for name, kind in content.items():
        target = storage / name.replace("_", ".")
        shutil.rmtree(target, ignore_errors=True)
        if kind in ("first", "second"):
            shutil.copytree(tmp_path / kind, target)
        elif kind == "mixture":
            shutil.copytree(tmp_path / "second", target)
            shutil.copytree(tmp_path / "first/WORKING", target / "WORKING", dirs_exist_ok=True)
        elif kind == "half":
            shutil.copytree(tmp_path / "second", target)
            (target / "WORKING/97LymtR#").unlink()
        elif kind == "old item":
            shutil.copytree(tmp_path / "second", target)
            for copy in ("WORKING", "BACKUP"):
                shutil.copy(tmp_path / "first" / copy / ITEM, target / copy / ITEM)
        elif kind == "made by the client":
            for copy in ("WORKING", "BACKUP"):
                (target / copy).mkdir(parents=True)
        elif kind == "was absent":
            target.mkdir()
            (target / ".absent").touch()
        elif kind == "empty":
            target.mkdir()


NEW_RECORD, OLD_RECORD = "second.record", "record"


@pytest.mark.parametrize(
    "left, record, expected",
    [
        # 0.1.0, and where nothing can be mounted: pal.before is the journal of a change in place
        ({"pal_before": "first", "pal": "mixture"}, None, "first"),
        ({"pal_before": "first", "pal": "half"}, None, "first"),
        ({"pal_before": "first", "pal": "old item"}, None, "first"),
        ({"pal_before": "first", "pal": "absent"}, None, "first"),
        ({"pal_before": "first", "pal": "first"}, None, "first"),
        ({"pal_before": "first", "pal": "second"}, NEW_RECORD, "second"),
        ({"pal_before": "first", "pal": "second"}, None, "second of another tool"),
        ({"pal_before": "was absent", "pal": "half"}, None, "nothing"),
        ({"pal_before": "was absent", "pal": "second"}, NEW_RECORD, "second"),
        ({"pal_discard": "first", "pal": "second"}, NEW_RECORD, "second"),
        ({"pal_broken": "mixture", "pal": "first"}, None, "first"),
        ({"pal_before_part": "half", "pal": "first"}, None, "first"),
        # a set that was built beside
        ({"pal_new": "half", "pal": "first"}, None, "first"),
        ({"pal_new": "second", "pal": "first"}, NEW_RECORD, "first"),
        ({"pal_new": "second", "pal_old": "first", "pal": "absent"}, NEW_RECORD, "second"),
        ({"pal_new": "second", "pal_old": "first", "pal": "made by the client"}, NEW_RECORD, "second"),
        ({"pal_new": "half", "pal_old": "first", "pal": "made by the client"}, NEW_RECORD, "first"),
        ({"pal_new": "second", "pal_old": "first", "pal": "absent"}, None, "first"),
        ({"pal_new": "second", "pal_old": "empty", "pal": "absent"}, NEW_RECORD, "second"),
        ({"pal_old": "first", "pal": "second"}, NEW_RECORD, "second"),
        ({"pal_old": "first", "pal": "absent"}, None, "first"),
        # another tool was quicker
        ({"pal_new": "first", "pal_old": "first", "pal": "second"}, None, "second of another tool"),
    ],
    ids=str,
)
def test_what_was_left_is_put_in_order(off: BoardBox, tmp_path: Path, left: str, record: str, expected: str) -> None:
    put(off, tmp_path, **left)
    if record:
        shutil.copy(tmp_path / record, off.root / "config/user/pelion-mbl.record.new")
    off.boot()
    foreseen = off.board().inspect(may_change=False)
    assert foreseen.interrupted
    board = off.board().inspect(may_change=True)
    assert board.recovered
    assert board.client_runs == (expected != "nothing")
    for each in (foreseen, board):
        _assert_holds(each, expected)
    assert {name for name in off.files() if name.startswith("pal")} <= {"pal"}
    assert not off.board().inspect(may_change=True).recovered
    assert inject(off.board(), item_set(3)).registered


def _assert_holds(board: Inspection, expected: str) -> None:
    if expected == "first":
        assert board.interrupted or holds(board, FIRST)
        assert board.record["kcm"] == board.kcm_digest
    elif expected == "second":
        assert board.interrupted or holds(board, SECOND)
    elif expected == "nothing":
        assert not board.certificates
    else:
        assert board.provisioned_by == "another tool"
        assert board.interrupted or board.configured
    if expected.startswith("second"):
        assert board.developer_certificate["fingerprint"] == record_of(SECOND)["developer_certificate"]


def test_a_look_sees_through_what_a_killed_run_has_mounted(off: BoardBox, tmp_path: Path) -> None:
    put(off, tmp_path, pal_new="half")
    off.boot()
    off.run("mount -o bind /config/user/pal.new /config/user/pal")
    board = off.board().inspect(may_change=False)
    assert (board.interrupted, board.kcm_digest) == (True, board.record["kcm"])
    assert "/run/pelion-mbl/under" not in off.run("cat /proc/mounts")
    assert holds(off.board().inspect(may_change=True), FIRST)


def test_a_set_that_was_spoilt_after_its_check_is_not_put_in_its_place(off: BoardBox, tmp_path: Path) -> None:
    put(off, tmp_path, pal_new="second", pal_old="first", pal="absent")
    shutil.copy(tmp_path / NEW_RECORD, off.root / "config/user/pelion-mbl.record.new")
    for copy in ("WORKING", "BACKUP"):
        (off.root / f"config/user/pal.new/{copy}/{ITEM}").write_bytes(b"")
    off.boot()
    assert holds(off.board().inspect(may_change=True), FIRST)


def test_a_journal_of_a_set_that_the_utility_does_not_like_is_undone(off: BoardBox, tmp_path: Path) -> None:
    put(off, tmp_path, pal_before="first", pal="second")
    off.utility("exit 1", f"sha256sum /config/user/pal/BACKUP/{ITEM} | grep -q {_digest(tmp_path / 'first')}; exit $?")
    off.boot()
    assert holds(off.board().inspect(may_change=True), FIRST)


def _digest(kcm_directory: Path) -> str:
    return hashlib.sha256((kcm_directory / "BACKUP" / ITEM).read_bytes()).hexdigest()


def test_a_failure_after_a_recovery_tells_of_it(off: BoardBox, tmp_path: Path) -> None:
    put(off, tmp_path, pal_before="first", pal="half")
    off.boot()
    off.utility("exit 1")
    with pytest.raises(Exception, match="refused") as raised:
        off.board().inject(SECOND, found_digest=_kcm_digest(off), bootstrap="as-is", registration_timeout=0)
    assert (raised.value.facts["recovered"], raised.value.facts["changed"]) == (True, True)


def _kcm_digest(box: BoardBox) -> str:
    record = (box.root / "config/user/pelion-mbl.record").read_text()
    return record.partition("kcm=")[2].strip()


def test_a_client_is_not_started_with_what_could_not_be_put_in_order(off: BoardBox, tmp_path: Path) -> None:
    put(off, tmp_path, pal_before="first", pal="half")
    off.without("mv")
    off.boot()
    with pytest.raises(Exception, match="could not be put in order") as raised:
        off.board().inspect(may_change=True)
    assert raised.value.facts["reason"] == "put-back"
    assert "mbl-cloud-clien" not in off.processes()
