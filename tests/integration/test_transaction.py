# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board always holds either the whole old set or the whole new one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from fleet import Fleet, Play, Provision

UTILITY = "/opt/arm/pelion-provisioning-util"


TIDY = ["dropbear", "hostname", "pal", "pelion-mbl.device", "pelion-mbl.record"]
"""What is in /config/user of a board that is provisioned and at rest."""


Provisioned = tuple[str, Provision]


def left_on(fleet: Fleet, board: str) -> list[str]:
    return fleet.on(board, "ls -A /config/user").split()


def scratch_of(fleet: Fleet, board: str) -> str:
    """What is in /scratch or mounted there but for the client's own directory."""
    return fleet.on(board, "ls -A /scratch | grep -vx firmware; grep scratch /proc/mounts", check=False)


def replace_utility(fleet: Fleet, board: str, on_provision: str) -> None:
    """Let `--provision` do something else; `$genuine` is the utility. Boards have no chmod, so a copy becomes it."""
    script = f'#!/bin/sh\ngenuine=/opt/arm/genuine\n[ "$1" = --provision ] || exec $genuine "$@"\n{on_provision}\n'
    octal = "".join(f"\\{byte:03o}" for byte in script.encode())
    fleet.on(board, f"rm -f /tmp/at-work; mv {UTILITY} /opt/arm/genuine")
    fleet.on(board, f"cp -p /opt/arm/genuine {UTILITY} && printf '{octal}' >{UTILITY}")


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)


HALF_WAY = "$genuine --provision; rm -f /config/user/pal/WORKING/97LymtR#; exit 1"
"""What a failing `--provision` does, as observed on the real one: it leaves a mixture."""

HOLD = "touch /tmp/at-work; while [ -e /tmp/at-work ]; do usleep 100000; done"
"""What the utility's replacement does to be at work until the test has removed the file."""


@pytest.fixture
def provisioned(fleet: Fleet, provision: Provision) -> Provisioned:
    """The name of a board that holds credentials, and a function that gives it others."""
    assert provision().returncode == 0
    board = fleet.boards[0]

    def provision_anew(*options: str) -> Play:
        other = ["-e", "provision_pelion_update_resources=other", "-e", "provision_pelion_device_class=other"]
        return provision("--limit", board, *other, *options)

    return board, provision_anew


def test_a_failing_injection_leaves_the_old_set(fleet: Fleet, provisioned: Provisioned) -> None:
    board, provision_anew = provisioned
    before = fleet.content(board)
    replace_utility(fleet, board, HALF_WAY)
    play = provision_anew()
    assert play.recap[board].failed == 1, play.output
    assert "is as it was before" in play.output
    assert fleet.content(board) == before
    assert left_on(fleet, board) == TIDY
    assert scratch_of(fleet, board) == ""
    fleet.on(board, f"mv /opt/arm/genuine {UTILITY}")
    healed = provision_anew()
    assert healed.returncode == 0, healed.output
    assert fleet.content(board) != before


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_run_is_undone_at_the_next_contact(fleet: Fleet, provisioned: Provisioned, moment: str) -> None:
    """Its mounts are still there, so the new set lies over the old one."""
    board, provision_anew = provisioned
    before = fleet.content(board)
    work = "$genuine --provision;" if moment == "after" else ""
    replace_utility(fleet, board, f"{work} kill -9 $PPID")
    play = provision_anew()
    assert play.recap[board].failed == 1, play.output
    assert "pal.new" in left_on(fleet, board)

    fleet.on(board, f"mv /opt/arm/genuine {UTILITY}")
    foreseen = provision_anew("--check")
    assert "An injection was cut off" in foreseen.output
    assert "pal.new" in left_on(fleet, board)
    status = fleet.run("ansible", board, "-m", "pelion.mbl.mbl_pelion_status")
    assert '"interrupted": true' in status.stdout, status.output
    assert '"provisioned_by": "pelion.mbl"' in status.stdout, "the old set, which lies under the new one"

    healed = provision_anew()
    assert healed.returncode == 0, healed.output
    assert left_on(fleet, board) == TIDY
    assert scratch_of(fleet, board) == ""
    assert fleet.content(board) != before
    assert provision_anew().recap[board].changed == 0


def test_after_a_power_cut_the_board_itself_has_its_old_set(fleet: Fleet, provisioned: Provisioned) -> None:
    """Nobody's help is needed: it boots, and registers with what it held."""
    board, provision_anew = provisioned
    before, device_id = fleet.content(board), _device_id(fleet, board)
    replace_utility(fleet, board, "$genuine --provision; sync; reboot -f; sleep 100")
    play = provision_anew("-e", "ansible_timeout=5")
    assert play.recap[board].unreachable or play.recap[board].failed, play.output
    wait_for(lambda: fleet.on(board, "ls -d /config/user/pal.new", check=False))
    assert fleet.content(board) == before
    fleet.on(board, f"mv /opt/arm/genuine {UTILITY}")

    def status() -> str:
        return fleet.run("ansible", board, "-m", "pelion.mbl.mbl_pelion_status").stdout

    wait_for(lambda: '"registered": true' in status())
    assert '"interrupted": true' in status() and device_id in status()
    healed = provision_anew()
    assert healed.returncode == 0, healed.output
    assert left_on(fleet, board) == TIDY
    assert provision_anew().recap[board].changed == 0


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_controller_that_is_killed_leaves_one_whole_set(
    fleet: Fleet, provisioned: Provisioned, home: Path, moment: str
) -> None:
    """With all its processes, the connection's included, before or after the utility has done its work; KILLS times."""
    board, provision_anew = provisioned
    work = f"{HOLD}; exec $genuine --provision" if moment == "before" else f"$genuine --provision; {HOLD}"
    for number in range(int(os.environ.get("KILLS", "1"))):
        wish = ("-e", f"provision_pelion_update_resources=round-{number % 2}")
        before = fleet.content(board)
        replace_utility(fleet, board, work)
        with ThreadPoolExecutor() as pool:
            injection = pool.submit(provision_anew, *wish)
            wait_for(lambda: fleet.on(board, "ls /tmp/at-work", check=False))
            wait_for(lambda: not kill_at_home(home))  # one may be about to start another
            assert injection.result().returncode != 0
        fleet.on(board, "rm /tmp/at-work")
        wait_for(lambda: left_on(fleet, board) == TIDY)  # nobody's help is needed
        fleet.on(board, f"mv /opt/arm/genuine {UTILITY}")
        held = fleet.content(board)
        assert held != before
        assert scratch_of(fleet, board) == ""
        again = provision_anew(*wish)
        assert again.returncode == 0, again.output
        assert fleet.content(board) == held, number
    assert provision_anew(*wish).recap[board].changed == 0


def kill_at_home(home: Path) -> list[int]:
    """The processes that were started with this home directory and still ran."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"HOME={home}".encode() in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
                found.append(int(process.name))
    return found


def test_a_run_that_is_ended_from_outside_is_undone_and_its_utility_ended(
    fleet: Fleet, provisioned: Provisioned
) -> None:
    board, provision_anew = provisioned
    before = fleet.content(board)
    replace_utility(fleet, board, "kill -TERM $PPID; sleep 3; exec $genuine --provision")
    play = provision_anew("-e", "provision_pelion_registration_timeout=0")
    assert play.recap[board].failed == 1, play.output
    assert "interrupted from outside" in play.output
    time.sleep(4)
    assert fleet.content(board) == before


def test_a_question_does_not_disturb_an_injection(fleet: Fleet, provisioned: Provisioned) -> None:
    board, provision_anew = provisioned
    replace_utility(fleet, board, f"{HOLD}; exec $genuine --provision")
    with ThreadPoolExecutor() as pool:
        injection = pool.submit(provision_anew)
        wait_for(lambda: fleet.on(board, "ls /tmp/at-work", check=False))
        asked = fleet.run("ansible", "-m", "pelion.mbl.mbl_pelion_status", "-a", "lock_timeout=1", board)
        fleet.on(board, "rm /tmp/at-work")
        assert "Another provisioning run is at work" in asked.output
        assert injection.result().returncode == 0, injection.result().output


def test_a_registration_from_before_does_not_count(
    fleet: Fleet, provisioned: Provisioned, provision: Provision
) -> None:
    """Its client hangs, without a word, so the last registration in its log is the old one."""
    board, _same = provisioned
    old = _device_id(fleet, board)
    renew = ["--limit", board, "-e", f"provision_pelion_dev_cert=renewed-{time.time_ns()}"]
    impatient = ["-e", "provision_pelion_registration_timeout=2"]
    fleet.cloud.call("POST", "/device-faults", kind="latency", seconds=60)
    try:
        first = provision(*renew, *impatient, "-e", "provision_pelion_when_bootstrapped=new_identity")
        assert "did not register within 2 seconds" in first.output
        second = provision(*renew, *impatient)
        assert second.recap[board].failed == 1, second.output
    finally:
        fleet.cloud.call("DELETE", "/device-faults")
    third = provision(*renew)
    assert third.returncode == 0, third.output
    assert third.recap[board].changed == 1
    assert _device_id(fleet, board) != old


def test_a_change_by_another_tool_is_seen_and_mended(
    fleet: Fleet, provisioned: Provisioned, provision: Provision
) -> None:
    board, _provision_anew = provisioned
    mine = fleet.content(board)
    fleet.on(board, "cp /config/user/pal/BACKUP/sB1fRsia /config/user/pal/BACKUP/YBGSQ1nq")
    play = provision("--limit", board, "--diff")
    assert play.recap[board].changed == 1, play.output
    assert '"provisioned_by": "another tool"' in play.stdout
    assert fleet.content(board) != mine
    assert provision("--limit", board).recap[board].changed == 0


def test_two_runs_at_once_do_not_mix(fleet: Fleet, provisioned: Provisioned) -> None:
    board, provision_anew = provisioned
    with ThreadPoolExecutor() as pool:
        plays = list(pool.map(lambda _unused: provision_anew(), range(2)))
    assert [play.returncode for play in plays] == [0, 0], [play.output for play in plays]
    assert provision_anew().recap[board].changed == 0


def test_a_bootstrapped_board_keeps_its_certificate_unless_told_otherwise(
    fleet: Fleet, provisioned: Provisioned, provision: Provision, home: Path
) -> None:
    board, _provision_anew = provisioned
    device_id = _device_id(fleet, board)
    before = fleet.content(board)
    other = ["--limit", board, "-e", f"provision_pelion_dev_cert=other-{time.time_ns()}"]

    refused = provision(*other)
    assert refused.recap[board].failed == 1
    assert "keep_identity" in refused.output
    assert fleet.content(board) == before

    kept = provision(*other, "-e", "provision_pelion_when_bootstrapped=keep_identity")
    assert kept.returncode == 0, kept.output
    assert _device_id(fleet, board) == device_id
    assert provision(*other).recap[board].changed == 0

    new = ["--limit", board, "-e", f"provision_pelion_dev_cert=another-{time.time_ns()}"]
    renewed = provision(*new, "-e", "provision_pelion_when_bootstrapped=new_identity")
    assert renewed.returncode == 0, renewed.output
    assert _device_id(fleet, board) != device_id


def test_a_board_that_lost_its_registration_is_reconnected(
    fleet: Fleet, provisioned: Provisioned, provision: Provision
) -> None:
    board, _provision_anew = provisioned
    before = fleet.content(board)
    fleet.on(board, "killall mbl-cloud-client")
    play = provision("--limit", board)
    assert play.returncode == 0, play.output
    assert play.recap[board].changed == 1
    assert fleet.content(board) == before
    assert provision("--limit", board).recap[board].changed == 0


def _device_id(fleet: Fleet, board: str) -> str:
    return fleet.on(board, "grep 'Device Id' /var/log/mbl-cloud-client.log").splitlines()[-1].rpartition(" ")[2]
