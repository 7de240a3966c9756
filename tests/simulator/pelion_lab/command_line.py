# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `lab`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import inside, lab, power, status
from .errors import LabError
from .places import DEFAULT_STATE

# Those of MBL 0.5, of 0.7 to 0.10, and of its head of development.
CLIENT_RELEASES = ("2.0.1", "3.0.0", "4.1.0")


def main() -> None:
    parser = _parser()
    options = parser.parse_args()
    options.state = Path(options.state).absolute()
    try:
        sys.exit(options.action(options))
    except LabError as error:
        sys.exit(f"lab: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="A fleet of boards and a cloud on this machine.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--state",
        metavar="DIR",
        default=os.environ.get("LAB_STATE") or DEFAULT_STATE,
        help="directory that the lab is known by (default: LAB_STATE, else %(default)s)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", parents=[common], help="start cloud and boards; returns when all answer")
    up.add_argument("--devices", metavar="N", type=_count, default=5, help="how many boards (default: %(default)s)")
    up.add_argument(
        "--sites",
        metavar="N",
        type=_count,
        default=1,
        help="divide the boards into so many networks, each with a place for a controller of its own, and one cloud",
    )
    up.add_argument("--util", metavar="FILE", type=Path, help="the boards' pelion-provisioning-util")
    up.add_argument("--client", metavar="FILE", type=Path, help="the boards' mbl-cloud-client")
    up.add_argument(
        "--retry-scale",
        metavar="X",
        type=float,
        default=0.1,
        help="factor for the delays of the lab's own client, whose first is 10 to 100 s (default: %(default)s)",
    )
    up.add_argument(
        "--client-release",
        metavar="VERSION",
        choices=CLIENT_RELEASES,
        default=CLIENT_RELEASES[-1],
        help="as which mbed-cloud-client the lab's own client answers to update manifests: "
        f"{', '.join(CLIENT_RELEASES)} (default: %(default)s)",
    )
    up.add_argument(
        "--sha1-hosts",
        metavar="N",
        type=_count,
        default=0,
        help="so many boards, the last ones, sign with SHA-1 only, as MBL's ssh server does",
    )
    up.add_argument(
        "--disks",
        action="store_true",
        help="each board's /config/user is a disk of its own (ext4), of which a power cut loses what was not synced",
    )
    up.set_defaults(action=lab.up)

    down = commands.add_parser("down", parents=[common], help="end all of it")
    down.set_defaults(action=lab.down)

    show = commands.add_parser("status", parents=[common], help="boards, addresses, ssh connections and exchanges")
    show.add_argument("--json", action="store_true", help="for programs")
    show.set_defaults(action=status.show)

    run = commands.add_parser("run", parents=[common], help="run a command at the place of the controller")
    run.add_argument("--site", metavar="N", type=_count, help="at the place of site N's own controller (from 1)")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    run.set_defaults(action=inside.run)

    device = commands.add_parser("device", parents=[common], help="run a command on a board")
    device.add_argument("name", metavar="NAME")
    device.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    device.set_defaults(action=inside.device)

    switch = commands.add_parser("power", parents=[common], help="switch a board's power, or cut it")
    switch.add_argument("name", metavar="NAME")
    meanings = "; ".join(f"{do}: {what}" for do, what in power.REQUESTS.items())
    switch.add_argument("do", choices=power.REQUESTS, help=meanings)
    switch.set_defaults(action=power.switch)
    return parser


def _count(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not in 0 to 1000")
    return number
