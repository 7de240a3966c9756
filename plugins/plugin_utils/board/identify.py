# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Having a board show people which one it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from .answers import read_report

_PROGRAM = Path(__file__).with_name("identify_program.sh")
MOST_SECONDS = 600
_SPARE = 60
"""Seconds that the exchange may take besides."""


@dataclass(frozen=True)
class Shown:
    """The names of the LEDs that blinked, and the consoles that showed the text."""

    leds: tuple[str, ...]
    consoles: tuple[str, ...]

    def sentence(self, board: str, seconds: int, *, planned: bool = False) -> str:
        """For people."""
        means = []
        if self.leds:
            blinking = "would have blinked" if planned else "blinked"
            means.append(f"{', '.join(self.leds)} {blinking} for {seconds} seconds")
        if self.consoles:
            means.append(f"{', '.join(self.consoles)} {'would have shown' if planned else 'showed'} its name")
        if not means:
            return f"{board} has neither an LED nor a console to show itself with."
        return f"{board}: {' and '.join(means)}."


def identify(run: Callable[[str, float], str], *, seconds: int, message: str, may_change: bool) -> Shown:
    """Blink the board's LEDs for ``seconds`` and show ``message`` on its consoles; or only look which ones it has, when
    it must not ``change``. ``run`` is as of Board. Raises BoardError.
    """
    report = read_report(run(program_for(seconds, message, may_change=may_change), seconds + _SPARE))
    return Shown(tuple(report["led"]), tuple(report["console"]))


def program_for(seconds: int, message: str, *, may_change: bool) -> str:
    """What the board's shell is given."""
    text = " ".join(word for word in message.split() if word.isprintable())
    values = {"may_change": "yes" if may_change else "no", "seconds": str(seconds), "message": text}
    assignments = "".join(f"{name}={quote(value)}\n" for name, value in values.items())
    return f"{_PROGRAM.read_text()}{{\n{assignments}identify\n}}\n"
