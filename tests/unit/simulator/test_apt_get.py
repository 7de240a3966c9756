# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""tests/apt-get, which tests/setup installs with: it waits for other programs that use apt, and for nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

APT_GET = Path(__file__).parents[2] / "apt-get"
LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (apt-get)"


@pytest.fixture
def genuine(tmp_path: Path) -> Path:
    """The place of a stand-in for apt-get itself, which counts its calls."""
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin" / "apt-get"


def run(genuine: Path, script: str, patience: str = "20") -> subprocess.CompletedProcess[str]:
    calls = genuine.parent.parent / "calls"
    genuine.write_text(f'#!/bin/sh\necho "$@" >>{calls}; calls=$(wc -l <{calls})\n{script}\n')
    genuine.chmod(0o755)
    environment = {**os.environ, "PATH": f"{genuine.parent}:{os.environ['PATH']}", "APT_PATIENCE": patience}
    return subprocess.run([APT_GET, "update"], env=environment, capture_output=True, text=True, timeout=60, check=False)


def calls(genuine: Path) -> list[str]:
    return (genuine.parent.parent / "calls").read_text().splitlines()


def test_a_lock_is_waited_for(genuine: Path) -> None:
    answer = run(genuine, f'[ "$calls" -ge 3 ] || {{ echo "{LOCKED}" >&2; exit 100; }}')
    assert answer.returncode == 0, answer.stderr
    assert calls(genuine) == ["-qq update"] * 3
    assert answer.stderr == f"Another program is using apt. Waiting up to 20 seconds for it to finish.\n{LOCKED}\n"


def test_not_for_ever(genuine: Path) -> None:
    answer = run(genuine, f'echo "{LOCKED}" >&2; exit 100', patience="2")
    assert answer.returncode == 1
    assert len(calls(genuine)) >= 2
    assert answer.stderr.endswith(f"{LOCKED}\n{LOCKED}\n")


def test_another_error_ends_it(genuine: Path) -> None:
    answer = run(genuine, 'echo "E: Unable to locate package x" >&2; exit 100')
    assert (answer.returncode, answer.stderr) == (1, "E: Unable to locate package x\n")
    assert len(calls(genuine)) == 1
