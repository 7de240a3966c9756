# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that go wrong at any time: the board holds one whole set, no key is left, and the next run ends well.

FAULTS tells how often each is tried (default 2). The moments are drawn from the number of the round; `-rP` shows
what they met.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from board_box import BoardBox, item_set
from board_samples import FIRST, SECOND, holds, inject

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import Board, _write_items, record_of
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import Items

ROUNDS = range(int(os.environ.get("FAULTS", "2")))
THIRD = item_set(3)
WHOLE_RUN = 0.6
"""Seconds that an injection takes about; the moments of faults are drawn from them."""

Strike = Callable[[BoardBox, float], BoardError | None]
"""Gives SECOND to a board, lets something go wrong at a moment of that, and returns what the board said to it."""


def _cut_connection(box: BoardBox, moment: float) -> BoardError | None:
    """The board's program goes on, with nobody to talk to."""
    texts: list[str] = []
    found = box.board().inspect(may_change=True)

    def keep(text: str, _seconds: float) -> str:
        texts.append(text)
        return "mbl:done=yes\n"

    board = Board(keep, lock_timeout=0, board_timeout=60)
    board.inject(SECOND, found_digest=found.kcm_digest, bootstrap="as-is", registration_timeout=5)
    with box.open_shell() as shell:
        assert shell.stdin
        shell.stdin.write(texts[0].encode())
        shell.stdin.close()
        time.sleep(moment)
        shell.kill()
    return None


def _meanwhile(command: str, mend: str = "") -> Strike:
    """Let the board do something at a moment of the injection."""

    def strike(box: BoardBox, moment: float) -> BoardError | None:
        with ThreadPoolExecutor() as pool:
            injection = pool.submit(inject, box.board(), SECOND)
            time.sleep(moment)
            box.run(command)
            error = injection.exception()
        box.run(mend)
        assert error is None or isinstance(error, BoardError)
        return error

    return strike


def _signal_program(name: str) -> Strike:
    return _meanwhile(f"holder=$(readlink /run/pelion-mbl/lock.*); holder=${{holder#*:}}; kill -{name} ${{holder%:*}}")


def _break_utility(end: str) -> Strike:
    def strike(box: BoardBox, moment: float) -> BoardError | None:
        box.utility(f"$genuine --provision & usleep {int(moment * 20000)}; kill -9 $!; wait; {end}")
        with pytest.raises(BoardError) as raised:
            inject(box.board(board_timeout=4), SECOND, timeout=0)
        box.mend_utility()
        return raised.value

    return strike


FAULTS: dict[str, Strike] = {
    "the connection is cut": _cut_connection,
    "the program is killed": _signal_program("KILL"),
    "the program is ended": _signal_program("TERM"),
    "the utility is killed": _break_utility("kill -9 $$"),
    "the utility aborts": _break_utility("kill -6 $$"),
    "the utility hangs": _break_utility("exec sleep 1000"),
    "the utility stops half-way": _break_utility("exit 1"),
    "the storage fills up": _meanwhile("cat /dev/zero >/config/user/filler", "rm /config/user/filler"),
    "the storage becomes read-only": _meanwhile("mount -o remount,ro /config/user", "mount -o remount,rw /config/user"),
}


@pytest.fixture
def provisioned(box: BoardBox) -> BoardBox:
    """Its storage is of its own, and small."""
    box.run("mount -t tmpfs -o size=2m tmpfs /config/user")
    inject(box.board(), FIRST, "not-yet")
    return box


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_time_leaves_one_whole_set(provisioned: BoardBox, fault: str) -> None:
    met: Counter[str] = Counter()
    for number in ROUNDS:
        error = FAULTS[fault](provisioned, random.Random(f"{fault} {number}").uniform(0, WHOLE_RUN))
        board = provisioned.board(lock_timeout=30).inspect(may_change=True)
        assert holds(board, FIRST) or holds(board, SECOND), (fault, number)
        # What the board could still say is true. (One that was killed says nothing.)
        if error and error.facts["reason"] != "cut-off":
            assert error.facts["changed"] == holds(board, SECOND), (fault, number)
        met[_outcome(board)] += 1
        _assert_tidy(provisioned)
        before = board.record["fingerprint"]
        after = provisioned.board().inspect(may_change=True)
        assert (after.recovered, after.record["fingerprint"]) == (False, before)
        assert inject(provisioned.board(), FIRST).registered, (fault, number)
    _print(fault, met)


def test_what_cannot_be_undone_is_told_and_no_client_starts_with_it(provisioned: BoardBox) -> None:
    provisioned.utility("exit 1")
    provisioned.replaced("umount", '#!/bin/sh\ncase "$*" in *pal) exit 1 ;; esac\nexec /bin/busybox umount "$@"\n')
    with pytest.raises(BoardError) as raised:
        inject(provisioned.board(), SECOND)
    assert raised.value.facts["undone"] is False
    assert "mbl-cloud-clien" not in provisioned.processes()
    provisioned.in_place("umount")
    provisioned.mend_utility()
    board = provisioned.board().inspect(may_change=True)
    assert holds(board, FIRST) and board.client_runs


def _print(fault: str, met: Counter[str]) -> None:
    print(f"{fault}: {met.total()}: " + ", ".join(f"{outcome} {count}" for outcome, count in met.most_common()))


def _outcome(board: Inspection) -> str:
    return ("new set" if holds(board, SECOND) else "old set") + (", put in order" if board.recovered else "")


def _assert_tidy(box: BoardBox) -> None:
    assert not [name for name in box.run("ls -A /config/user").split() if name.startswith("pal.")]
    assert "scratch" not in box.run("cat /proc/mounts; ls /scratch")
    assert "pelion-provisio" not in box.processes()


def test_two_controllers_with_different_wishes_do_not_mix(provisioned: BoardBox) -> None:
    met: Counter[str] = Counter()
    for number in ROUNDS:
        moments = random.Random(number)

        def provision(items: Items) -> bool:
            time.sleep(moments.uniform(0, 0.2))  # noqa: B023
            try:
                return bool(inject(provisioned.board(lock_timeout=30), items).registered)
            except BoardError as error:
                assert error.facts["reason"] in ("changed-since", "overwritten")
                return False

        with ThreadPoolExecutor() as pool:
            done = list(pool.map(provision, (SECOND, THIRD)))
        board = provisioned.board(lock_timeout=30).inspect(may_change=True)
        assert holds(board, SECOND) or holds(board, THIRD)
        assert any(done)
        met["both did it, one after the other" if all(done) else "one was told of the other"] += 1
        _assert_tidy(provisioned)
    _print("two controllers", met)


def _sequence_of_mbl_cli(utility: str) -> str:
    """It puts its files, runs the utility and removes the directory, and knows no lock."""
    return (
        f"inputs=/scratch/provisioning-certs\nmkdir -p $inputs\n{_write_items(THIRD)}write_items\n"
        f"{utility} --provision >/dev/null 2>&1\n{utility} --get-pelion-status >/dev/null 2>&1\nrm -rf $inputs\n"
    )


def test_another_tool_that_provisions_between_check_and_record_is_noticed(provisioned: BoardBox) -> None:
    """The certificates were compared already: the record is of what was compared, not of what is there by then."""
    provisioned.utility(
        'exec $genuine "$@"',
        "if [ -d /config/user/pal.new ] && [ ! -e /config/user/other ]; then\n: >/config/user/other\n"
        f'{_sequence_of_mbl_cli("$genuine")}fi\nexec $genuine "$@"',
    )
    with pytest.raises(BoardError) as raised:
        inject(provisioned.board(), SECOND)
    assert raised.value.facts["reason"] == "changed-since"
    provisioned.mend_utility()
    assert holds(provisioned.board().inspect(may_change=True), FIRST)


def test_another_tool_that_provisions_before_the_new_set_is_built_is_noticed(provisioned: BoardBox) -> None:
    """What it wrote, nobody has looked at, so it must not give way."""
    sequence = _sequence_of_mbl_cli("/opt/arm/pelion-provisioning-util")
    provisioned.replaced(
        "systemctl",
        f'#!/bin/sh\nif [ "$1" = stop ] && [ ! -e /config/user/other ]; then\n: >/config/user/other\n{sequence}fi\n'
        'exec /usr/bin/systemctl "$@"\n',
    )
    with pytest.raises(BoardError) as raised:
        inject(provisioned.board(), SECOND)
    assert (raised.value.facts["reason"], raised.value.facts["changed"]) == ("changed-since", False)
    board = provisioned.board().inspect(may_change=True)
    assert board.developer_certificate and board.configured
    assert board.developer_certificate["fingerprint"] == record_of(THIRD)["developer_certificate"]


def test_mbl_cli_at_the_same_time_is_noticed(provisioned: BoardBox) -> None:
    sequence = _sequence_of_mbl_cli("/opt/arm/pelion-provisioning-util")
    met: Counter[str] = Counter()
    for number in ROUNDS:
        with ThreadPoolExecutor() as pool:
            injection = pool.submit(inject, provisioned.board(lock_timeout=30), SECOND)
            time.sleep(random.Random(number).uniform(0, WHOLE_RUN))
            provisioned.run(sequence)
            error = injection.exception()
        board = provisioned.board(lock_timeout=30).inspect(may_change=True)
        if error:
            assert isinstance(error, BoardError), error
        elif board.provisioned_by == "pelion.mbl":
            assert holds(board, SECOND), number
        met[f"told: {error.facts['reason']}" if error else f"ours was done, then by {board.provisioned_by}"] += 1
        provisioned.run("rm -rf /scratch/provisioning-certs")
        _assert_tidy(provisioned)
        assert inject(provisioned.board(), FIRST).registered
        assert holds(provisioned.board().inspect(may_change=True), FIRST)
    _print("mbl-cli's sequence", met)
