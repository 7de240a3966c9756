# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that a board runs, under the busybox that boards have, without a lab."""

from __future__ import annotations

import pytest
from board_box import DEVICE_ID, BoardBox
from board_samples import FIRST, SECOND, holds, inject

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError


def test_a_fresh_board_gets_a_set_and_registers(box: BoardBox) -> None:
    fresh = box.board().inspect(may_change=True)
    assert (fresh.configured, fresh.registered, fresh.provisioned_by) == (False, False, None)
    done = inject(box.board(), FIRST, "not-yet")
    assert (done.registered, done.device_id, done.way, done.warnings) == (True, DEVICE_ID, "beside", ())
    board = box.board().inspect(may_change=True)
    assert holds(board, FIRST)
    assert (board.registered, board.device_id) == (True, DEVICE_ID)
    assert box.files() == ["pal", "pelion-mbl.device", "pelion-mbl.record"]
    assert "scratch" not in box.run("cat /proc/mounts; ls /scratch")


@pytest.fixture
def provisioned(box: BoardBox) -> BoardBox:
    inject(box.board(), FIRST, "not-yet")
    return box


@pytest.mark.parametrize("name, counts", [("YBGSQ1nq", True), ("97LymtR#", True), ("uH9ZLyF9", False)])
def test_a_working_copy_that_is_not_the_injected_one_is_a_change(
    provisioned: BoardBox, name: str, counts: bool
) -> None:
    """As another tool leaves it whose work was cut short; the bootstrap URI is rewritten by the client itself."""
    with (provisioned.root / f"config/user/pal/WORKING/{name}").open("ab") as file:
        file.write(b"x")
    board = provisioned.board().inspect(may_change=True)
    assert (board.provisioned_by == "another tool") == counts


def test_the_digest_of_a_set_is_that_of_version_0_1_0(provisioned: BoardBox) -> None:
    """So that boards which that version has provisioned are unchanged."""
    former = "(cd /config/user/pal/BACKUP && sha256sum ./*) | sha256sum | cut -d' ' -f1"
    assert provisioned.run(former).strip() == provisioned.board().inspect(may_change=True).kcm_digest


def test_unchanged_is_proven_and_nothing_is_written(provisioned: BoardBox) -> None:
    before = provisioned.run("cd /config/user && find . -type f | xargs stat -c '%n %i %Y %Z'")
    assert holds(provisioned.board().inspect(may_change=True), FIRST)
    assert provisioned.run("cd /config/user && find . -type f | xargs stat -c '%n %i %Y %Z'") == before


@pytest.mark.parametrize("bootstrap", ["as-is", "keep-identity", "new-identity"])
def test_a_set_replaces_another(box: BoardBox, bootstrap: str) -> None:
    inject(box.board(), FIRST, "not-yet")
    former = box.content()
    (box.root / "config/user/pal/WORKING/0hG1cjMO").write_text("the identity")
    (box.root / "config/user/pal/WORKING/IfhptCHa").write_text("the former server")
    done = inject(box.board(), SECOND, bootstrap)
    assert (done.way, done.registered, done.warnings) == ("beside", True, ())
    assert holds(box.board().inspect(may_change=False), SECOND)
    assert not set(former.values()) & set(box.content().values()), "every file is a new one"
    kept = {name: (box.root / f"config/user/pal/WORKING/{name}").read_text() for name in ("0hG1cjMO", "IfhptCHa")}
    assert (kept["0hG1cjMO"] == "the identity") == (bootstrap != "new-identity")
    assert (kept["IfhptCHa"] == "the former server") == (bootstrap == "as-is")
    assert box.files() == ["pal", "pelion-mbl.device", "pelion-mbl.record"]


# What --provision does, as observed on the real one: it stops half-way and leaves a mixture, or worse.
FAILURES = {
    "it fails after the first group": ("$genuine --provision; rm -f $pal/WORKING/97LymtR#; exit 1", "utility"),
    "it says yes but leaves an item out": ("$genuine --provision; rm -f $pal/WORKING/GDSoyydx", "check"),
    "it says yes but leaves a factory item out": ("$genuine --provision; rm -f $pal/BACKUP/GDSoyydx", "check"),
    "it says yes but stores another certificate": (
        "$genuine --provision; for copy in WORKING BACKUP; do cp $pal/$copy/4iiZZ2xW $pal/$copy/97LymtR#; done",
        "check",
    ),
    "it says yes but stores nothing": ("exit 0", "check"),
    "it says yes but leaves old factory items": (
        "$genuine --provision; rm -rf $pal/BACKUP; cp -a /tmp/former $pal/BACKUP",
        "check",
    ),
    "it says yes but leaves an old item": (
        "$genuine --provision; for copy in BACKUP WORKING; do cp /tmp/former/YBGSQ1nq $pal/$copy/YBGSQ1nq; done",
        "check",
    ),
    "it dies": ("rm -rf $pal/WORKING; kill -9 $$", "utility-ended"),
    "it crashes": ("rm -rf $pal/WORKING; kill -11 $$", "utility-ended"),
    "it aborts": ("$genuine --provision; kill -6 $$", "utility-ended"),
    "it removes everything and fails": ("rm -rf $pal/* $pal; echo 'FCC init failed!' >&2; exit 1", "utility"),
    "it does not end": ("$genuine --provision; exec sleep 1000", "utility-ended"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_injection_leaves_the_old_set(box: BoardBox, failure: str) -> None:
    inject(box.board(), FIRST, "not-yet")
    box.run("cp -a /config/user/pal/BACKUP /tmp/former")
    before = box.content()
    script, reason = FAILURES[failure]
    box.utility(f"pal=/config/user/pal\n{script}")
    board_timeout, timeout = (4, 0) if failure == "it does not end" else (60, 20)
    with pytest.raises(BoardError, match="is as it was before") as raised:
        inject(box.board(board_timeout=board_timeout), SECOND, timeout=timeout)
    facts = raised.value.facts
    assert (facts["reason"], facts["undone"], facts["changed"]) == (reason, True, False)
    assert box.content() == before
    assert box.files() == ["pal", "pelion-mbl.device", "pelion-mbl.record"]
    assert "scratch" not in box.run("cat /proc/mounts; ls /scratch")
    assert "pelion-provisio" not in box.processes(), "no utility is left"

    box.mend_utility()
    again = box.board().inspect(may_change=True)
    assert holds(again, FIRST)
    assert again.client_runs
    assert not again.recovered, "nothing was left to recover"
    assert inject(box.board(), SECOND).registered


def test_a_failing_injection_of_a_fresh_board_leaves_it_fresh(box: BoardBox) -> None:
    box.utility(FAILURES["it fails after the first group"][0])
    with pytest.raises(BoardError):
        inject(box.board(), FIRST, "not-yet")
    assert box.files() in ([], ["pal"])
    assert box.content() == {}


def test_a_utility_that_talks_without_end_is_ended(provisioned: BoardBox) -> None:
    before = provisioned.content()
    provisioned.utility("exec yes")
    with pytest.raises(BoardError, match="ended by signal 25") as raised:
        inject(provisioned.board(), SECOND)
    assert (raised.value.facts["reason"], raised.value.facts["undone"]) == ("utility-ended", True)
    assert len(str(raised.value)) < 3000
    assert provisioned.content() == before


@pytest.mark.parametrize(
    "signal, text",
    [("11", "ended by signal 11; with a full /config/user it crashes"), ("9", "ended by signal 9")],
)
def test_a_crash_is_no_refusal(provisioned: BoardBox, signal: str, text: str) -> None:
    provisioned.utility(f"kill -{signal} $$")
    with pytest.raises(BoardError, match=text) as raised:
        inject(provisioned.board(), SECOND)
    assert "refused" not in str(raised.value)


def test_what_the_utility_says_of_randomness_is_no_status(provisioned: BoardBox) -> None:
    assert provisioned.run("/opt/arm/pelion-provisioning-util --get-pelion-status").count("/dev/random") == 1
    assert provisioned.board().inspect(may_change=False).status == (
        "Device is configured correctly. You can connect to Pelion Cloud!"
    )
