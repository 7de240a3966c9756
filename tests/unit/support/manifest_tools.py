# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real manifest tools from PyPI, in virtual environments of their own under .build/manifest-tool: they pin old
libraries."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[3] / ".build" / "manifest-tool"


def a_tool(version: str, pythons: list[str]) -> Path:
    """The directory of the programs of that manifest-tool; skips, with the reason, when it is not to be had."""
    place = TOOLS / version
    TOOLS.mkdir(parents=True, exist_ok=True)
    with open(TOOLS / f"{version}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = "no suitable Python"
        for python in [] if (place / "ready").exists() else filter(shutil.which, pythons):
            shutil.rmtree(place, ignore_errors=True)
            if subprocess.run([python, "-m", "venv", str(place)], capture_output=True, check=False).returncode:
                continue
            install = [str(place / "bin" / "pip"), "install", "-q", f"manifest-tool=={version}"]
            run = subprocess.run(install, capture_output=True, text=True, check=False)
            if not run.returncode:
                (place / "ready").touch()
                break
            said = run.stderr[-300:]
    if not (place / "ready").exists():
        pytest.skip(f"LEFT OUT: manifest-tool {version} cannot be installed here: {said}")
    return place / "bin"


def pyenv(*versions: str) -> list[str]:
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    return [str(path / "bin" / "python") for version in versions for path in sorted(root.glob(f"{version}.*"))]
