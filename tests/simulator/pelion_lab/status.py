# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`lab status`: what there is, and how often it was called."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from . import network
from .lab import require
from .record import BoardRecord, Record

# Dropbear's words, and OpenSSH's.
LOGGED_IN = re.compile("(?m)^.*[Aa]uth succeeded|^Accepted ")


def show(options: argparse.Namespace) -> int:
    record = require(options.state)
    boards = boards_of(record, options.state)
    if options.json:
        environment = {name: value for name, value in record.environment.items() if "KEY" not in name}
        print(json.dumps({"cloud": {"running": record.cloud_running, **environment}, "boards": boards}, indent=2))
        return 0
    print(f"{'BOARD':20} {'STATE':7} {'IPV6':33} {'IPV4':15} {'SSH':>5} {'EXCHANGES':>9}")
    for board in boards:
        print(
            f"{board['name']:20} {'running' if board['running'] else 'off':7} {board['ipv6']:33} "
            f"{board['ipv4'] or '-':15} {board['connections']:>5} {board['exchanges']:>9}"
        )
    api = record.environment["PELION_API_HOST"]
    print(f"cloud: {api + ' (inside the lab)' if record.cloud_running else 'DIED, see ' + str(options.state / 'log')}")
    return 0


def boards_of(record: Record, state: Path) -> list[dict[str, Any]]:
    """What `lab status --json` says of each board, in the order in which the lab made them."""
    return [_board_status(entry, state / "log" / entry.board.name) for entry in record.boards]


def _board_status(entry: BoardRecord, log: Path) -> dict[str, Any]:
    ssh_log = (log / "ssh.log").read_text(errors="replace")
    return {
        "name": entry.board.name,
        "running": entry.running,
        "ipv6": f"{entry.board.ipv6}%{network.interface(entry.board.site)}",
        "ipv4": entry.board.ipv4,
        "sha1": entry.board.sha1,
        "site": entry.board.site,
        "connections": len(LOGGED_IN.findall(ssh_log)),
        "exchanges": len((log / "exchanges").read_text().splitlines()),
    }
