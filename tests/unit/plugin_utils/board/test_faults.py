# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that go wrong at any time: the board holds one whole set, no key is left, and the next run ends well.

FAULTS tells how often each is tried (default 2). The moments are drawn from the number of the round.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from board_box import BoardBox, item_set
from test_device_program import FIRST, SECOND, holds, inject

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.device import Device, DeviceError, _write_items
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import Items

ROUNDS = range(int(os.environ.get("FAULTS", "2")))
THIRD = item_set(3)
WHOLE_RUN = 0.6
"""Seconds that an injection takes about; the moments of faults are drawn from them."""


def _cut_connection(box: BoardBox, moment: float) -> None:
    """The board's program goes on, with nobody to talk to."""
    texts: list[str] = []
    found = box.device().inspect(may_change=True)

    def keep(text: str) -> str:
        texts.append(text)
        return "mbl:done=yes\n"

    Device(keep, lock_timeout=0).inject(
        SECOND, found_digest=found.kcm_digest, bootstrap="as-is", registration_timeout=5
    )
    with box.open_shell() as shell:
        assert shell.stdin
        shell.stdin.write(texts[0].encode())
        shell.stdin.close()
        time.sleep(moment)
        shell.kill()


def _signal_program(name: str) -> Callable[[BoardBox, float], None]:
    def strike(box: BoardBox, moment: float) -> None:
        with ThreadPoolExecutor() as pool:
            injection = pool.submit(inject, box.device(), SECOND)
            time.sleep(moment)
            box.run(f"holder=$(readlink /run/pelion-mbl/lock.*); holder=${{holder#*:}}; kill -{name} ${{holder%:*}}")
            if error := injection.exception():
                assert isinstance(error, DeviceError)

    return strike


def _break_utility(end: str) -> Callable[[BoardBox, float], None]:
    def strike(box: BoardBox, moment: float) -> None:
        box.utility(f"$genuine --provision & usleep {int(moment * 20000)}; kill -9 $!; wait; {end}")
        with pytest.raises(DeviceError) as raised:
            inject(box.device(), SECOND)
        assert raised.value.facts["changed"] is False
        box.mend_utility()

    return strike


def _fill_storage(box: BoardBox, moment: float) -> None:
    with ThreadPoolExecutor() as pool:
        injection = pool.submit(inject, box.device(), SECOND)
        time.sleep(moment)
        box.run("cat /dev/zero >/config/user/filler")
        if error := injection.exception():
            assert isinstance(error, DeviceError)
    box.run("rm /config/user/filler")


def _make_storage_read_only(box: BoardBox, moment: float) -> None:
    with ThreadPoolExecutor() as pool:
        injection = pool.submit(inject, box.device(), SECOND)
        time.sleep(moment)
        box.run("mount -o remount,ro /config/user")
        if error := injection.exception():
            assert isinstance(error, DeviceError)
    box.run("mount -o remount,rw /config/user")


FAULTS: dict[str, Callable[[BoardBox, float], None]] = {
    "the connection is cut": _cut_connection,
    "the program is killed": _signal_program("KILL"),
    "the program is ended": _signal_program("TERM"),
    "the utility is killed": _break_utility("kill -9 $$"),
    "the utility aborts": _break_utility("kill -6 $$"),
    "the utility stops half-way": _break_utility("exit 1"),
    "the storage fills up": _fill_storage,
    "the storage becomes read-only": _make_storage_read_only,
}


@pytest.fixture
def provisioned(box: BoardBox) -> BoardBox:
    """Its storage is of its own, and small."""
    box.run("mount -t tmpfs -o size=2m tmpfs /config/user")
    inject(box.device(), FIRST, "not-yet")
    return box


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_time_leaves_one_whole_set(provisioned: BoardBox, fault: str):
    for number in ROUNDS:
        FAULTS[fault](provisioned, random.Random(f"{fault} {number}").uniform(0, WHOLE_RUN))
        board = provisioned.device(lock_timeout=30).inspect(may_change=True)
        assert holds(board, FIRST) or holds(board, SECOND), (fault, number)
        _assert_tidy(provisioned)
        before = board.record["fingerprint"]
        after = provisioned.device().inspect(may_change=True)
        assert (after.recovered, after.record["fingerprint"]) == (False, before)
        assert inject(provisioned.device(), FIRST).registered, (fault, number)


def _assert_tidy(box: BoardBox) -> None:
    assert not [name for name in box.run("ls -A /config/user").split() if name.startswith("pal.")]
    assert "scratch" not in box.run("cat /proc/mounts; ls /scratch")
    assert "pelion-provisio" not in box.processes()


def test_two_controllers_with_different_wishes_do_not_mix(provisioned: BoardBox):
    for number in ROUNDS:
        moments = random.Random(number)

        def provision(items: Items) -> bool:
            time.sleep(moments.uniform(0, 0.2))  # noqa: B023
            try:
                return bool(inject(provisioned.device(lock_timeout=30), items).registered)
            except DeviceError as error:
                assert error.facts["reason"] in ("changed-since", "overwritten")
                return False

        with ThreadPoolExecutor() as pool:
            done = list(pool.map(provision, (SECOND, THIRD)))
        board = provisioned.device(lock_timeout=30).inspect(may_change=True)
        assert holds(board, SECOND) or holds(board, THIRD)
        assert any(done)
        _assert_tidy(provisioned)


def test_mbl_cli_at_the_same_time_is_noticed(provisioned: BoardBox):
    """It puts its files, runs the utility and removes the directory, and knows no lock."""
    sequence = (
        f"inputs=/scratch/provisioning-certs\nmkdir -p $inputs\n{_write_items(THIRD)}write_items\n"
        "/opt/arm/pelion-provisioning-util --provision >/dev/null 2>&1\n"
        "/opt/arm/pelion-provisioning-util --get-pelion-status >/dev/null 2>&1\nrm -rf $inputs\n"
    )
    for number in ROUNDS:
        with ThreadPoolExecutor() as pool:
            injection = pool.submit(inject, provisioned.device(lock_timeout=30), SECOND)
            time.sleep(random.Random(number).uniform(0, WHOLE_RUN))
            provisioned.run(sequence)
            error = injection.exception()
        board = provisioned.device(lock_timeout=30).inspect(may_change=True)
        if error:
            assert isinstance(error, DeviceError), error
        elif board.provisioned_by == "pelion.mbl":
            assert holds(board, SECOND), number
        provisioned.run("rm -rf /scratch/provisioning-certs")
        _assert_tidy(provisioned)
        assert inject(provisioned.device(), FIRST).registered
        assert holds(provisioned.device().inspect(may_change=True), FIRST)
