# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands as somebody at a terminal runs them."""

from __future__ import annotations

import os
import pty
import time
from collections.abc import Mapping
from pathlib import Path

from fleet import TIMEOUT


def at_a_terminal(
    arguments: list[str | Path], directory: Path, environment: Mapping[str, str], answers: Mapping[str, str]
) -> tuple[str, int]:
    """Run with a terminal that echoes, typing ``answers`` where their prompts stand; all that was to be seen on it, and
    the exit status."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(directory)
        os.execvpe(arguments[0], [str(argument) for argument in arguments], dict(environment))
    seen, answered, end = b"", dict.fromkeys(answers, 0), time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # what Linux says at the end
            break
        if not part:
            break
        seen += part
        for prompt, answer in answers.items():
            if seen.count(prompt.encode()) > answered[prompt]:
                os.write(terminal, answer.encode() + b"\n")
                answered[prompt] += 1
    os.close(terminal)
    return seen.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
