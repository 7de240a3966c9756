# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command of docs/updates.md, as it stands there, with a provisioned fleet and the real manifest-tool."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from fleet import ROOT, Fleet
from manifest_tools import a_tool
from own_directory import Bench

BLOCKS = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs/updates.md").read_text(), re.MULTILINE | re.DOTALL)


def test_the_commands_of_the_updates_page(fleet: Fleet, tmp_path: Path) -> None:
    tool = a_tool("2.6.2", [sys.executable])
    bench = Bench(fleet, tmp_path)
    (bench.home / "firmware.tar").write_bytes(b"firmware")
    provisioned = bench.play("provision")
    assert provisioned.returncode == 0, provisioned.output
    assert len(BLOCKS) == 4
    for block in BLOCKS:
        # Behind everything else: it has programs of other names only, and a Python of its own.
        done = bench.run(f"set -e; PATH=$PATH:{tool}\n{block}")
        assert done.returncode == 0, f"{block}\n{done.output}"
        if "status" in block:
            assert "Takes updates: 3 yes" in done.output, done.output
        if "prove_updates" in block:
            assert "3 boards: 3 in order" in done.output, done.output
    assert (bench.home / "manifest.bin").stat().st_size > 300
    everything = [path for path in (bench.home / "signing").rglob("*") if path.is_file()]
    assert everything and not [path for path in everything if b"PRIVATE KEY" in path.read_bytes()]
    in_clear = bench.home / "signing-in-clear"
    assert in_clear.stat().st_mode & 0o777 == 0o700
    assert (in_clear / ".manifest-dev-tool/dev.key.pem").stat().st_mode & 0o777 == 0o600
