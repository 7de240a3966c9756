# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network namespace with cables to boards that a responder process plays."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SIMULATOR = Path(__file__).parents[1]


class Street:
    """A network namespace of its own with ``cables`` interfaces eth0, eth1, …; the boards are at their other ends.

    eth0 has 10.0.0.1/16 and fe80::1, eth1 10.1.0.1/16 and fe80::1:1, and so on. For root; use it in a `with`.
    """

    def __init__(self, cables: int = 1) -> None:
        self._processes: list[subprocess.Popen] = []
        # It says when it is inside.
        command = ["unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"]
        self._holder = self._start(command, stdout=subprocess.PIPE)
        assert self._holder.stdout.readline()
        lines = ["link set lo up"]
        for number in range(cables):
            lines += [
                f"link add eth{number} type veth peer name far{number}",
                f"link set eth{number} up",
                f"link set far{number} up",
                f"address add 10.{number}.0.1/16 dev eth{number}",
                f"address add fe80::{number}:1/64 dev eth{number} nodad",
            ]
        for setting in ("accept_dad=0", "addr_gen_mode=1"):
            self.run("sysctl", "-qw", f"net.ipv6.conf.default.{setting}")
        self.run("ip", "-batch", "-", input="\n".join(lines) + "\n")

    def __enter__(self) -> Street:
        return self

    def __exit__(self, *_error: object) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()

    @property
    def inside(self) -> list[str]:
        """What to put before a command to run it in the namespace."""
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net"]

    def run(self, *command: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
        options = {"text": True, "capture_output": True, "timeout": 120} | more
        return subprocess.run([*self.inside, *command], check=options.pop("check", True), **options)

    def start(self, *command: str | Path, **more: Any) -> subprocess.Popen:
        """Start a process in the namespace; it ends with it."""
        return self._start([*self.inside, *command], **more)

    def inhabit(self, boards: list[dict[str, Any]]) -> subprocess.Popen:
        """Let a responder play ``boards`` (see responder.Board)."""
        environment = {**os.environ, "PYTHONPATH": str(SIMULATOR)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process = self.start(sys.executable, "-m", "mdns.responder", env=environment, **pipes)
        process.stdin.write(json.dumps({"boards": boards}) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        return process

    def leave(self, process: subprocess.Popen) -> None:
        """End what start() or inhabit() began."""
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()

    def _start(self, command: list[Any], **more: Any) -> subprocess.Popen:
        process = subprocess.Popen(command, **more)
        self._processes.append(process)
        return process


def board(number: int, cable: int = 0, **more: Any) -> dict[str, Any]:
    """The board mbed-linux-os-NUMBER with addresses of both families on a cable."""
    high, low = divmod(number + 2, 256)
    return {
        "name": f"mbed-linux-os-{number}",
        "cable": f"far{cable}",
        "ipv4": f"10.{cable}.{high}.{low}" if number < 65000 else None,
        "ipv6": f"fe80::ff:{cable:x}:{number:x}",
        "mac": f"02:00:{cable:02x}:00:{high:02x}:{low:02x}",
        **more,
    }
