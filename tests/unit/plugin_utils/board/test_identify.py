# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board that shows which one it is, and then has its LEDs as they were.

Its LEDs are files here, which keep what was written last; a kernel's trigger shows all, with brackets around one.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from board_box import BoardBox

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.identify import Shown, identify, program_for

LEDS = {"board:green:usr0": ("none mmc0 [heartbeat] timer", "0"), "board:red:power": ("[none] timer", "255")}


@pytest.fixture
def leds(box: BoardBox) -> Path:
    place = box.root / "sys/class/leds"
    for name, (trigger, brightness) in LEDS.items():
        (place / name).mkdir(parents=True)
        for file, content in (("trigger", trigger), ("brightness", brightness), ("max_brightness", "255")):
            (place / name / file).write_text(content + "\n")
    (place / "odd name").mkdir()
    return place


def shown_by(box: BoardBox, *, seconds: int = 1, may_change: bool = True) -> Shown:
    return identify(box.run, seconds=seconds, message="This is\n\x1b[31m board 9709.", may_change=may_change)


def state(leds: Path) -> dict[str, tuple[str, str]]:
    return {
        name: ((leds / name / "trigger").read_text().strip(), (leds / name / "brightness").read_text().strip())
        for name in LEDS
    }


RESTORED = {"board:green:usr0": ("heartbeat", "0"), "board:red:power": ("none", "255")}


def test_leds_blink_and_are_as_they_were(box: BoardBox, leds: Path) -> None:
    (box.root / "dev/console").touch()
    seen = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            seen.add((leds / "board:green:usr0/brightness").read_text().strip())
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    shown = shown_by(box, seconds=2)
    ended.set()
    watcher.join()
    assert shown == Shown(tuple(LEDS), ("/dev/console",))
    assert {"0", "255"} <= seen
    assert state(leds) == RESTORED
    assert (box.root / "dev/console").read_bytes() == b"\r\n*** This is board 9709. ***\r\n"


def test_a_second_time_likewise(box: BoardBox, leds: Path) -> None:
    shown_by(box)
    shown_by(box)
    assert state(leds) == RESTORED


def test_a_look_changes_nothing(box: BoardBox, leds: Path) -> None:
    (box.root / "dev/console").touch()
    before = state(leds)
    assert shown_by(box, may_change=False) == Shown(tuple(LEDS), ("/dev/console",))
    assert state(leds) == before and not (box.root / "dev/console").read_text()


def test_a_board_with_nothing_says_so(box: BoardBox) -> None:
    shown = shown_by(box)
    assert shown == Shown((), ())
    assert shown.sentence("b", 1) == "b has neither an LED nor a console to show itself with."


@pytest.mark.parametrize("killed_by", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_leds_are_restored_when_the_program_is_killed(box: BoardBox, leds: Path, killed_by: signal.Signals) -> None:
    if killed_by == signal.SIGHUP:
        # Under nohup it is ignored, also by what is started.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    shell = box.open_shell()
    assert shell.stdin is not None
    shell.stdin.write(program_for(600, "", may_change=True).encode())
    shell.stdin.close()
    wait_until(lambda: {trigger for trigger, _brightness in state(leds).values()} == {"none"})
    (program,) = Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text().split()
    os.kill(int(program), killed_by)
    wait_until(lambda: state(leds) == RESTORED)
    shell.wait(60)


def wait_until(condition: Callable[[], bool]) -> None:
    patience = iter(range(600))
    while not condition() and next(patience, -1) >= 0:
        time.sleep(0.1)
    assert condition()
