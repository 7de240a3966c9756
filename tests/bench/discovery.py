# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many boards discovery finds, and how long it takes: on a wire of raw frames in a network namespace.

Each case prints how many of how many were found (all runs together), in how many runs all were, with all addresses, the
slowest and the median search, dropped datagrams, and the median as a ratio to a bare question in the same run: one PTR
query, until half a second brought nothing more. Where avahi is installed, `avahi-browse` stands beside it.
Usage, as root: .venv/bin/python tests/bench/discovery.py [RUNS [CASE...]]
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import statistics
import struct
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/simulator"))
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / ".build"), str(ROOT / "tests/simulator")])}

from mdns.frames import PTR, name  # noqa: E402
from mdns.street import Street, board  # noqa: E402

KINDS: tuple[dict[str, Any], ...] = ({"waits": True}, {}, {"how": "split"}, {"how": "pointer"})
LABELS = ("waits for TC", "answers at once", "split answers", "pointer only")


def mixed(count: int, **more: Any) -> list[dict[str, Any]]:
    return [board(number, **KINDS[number % 4], **more) for number in range(count)]


CASES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "50": (mixed(50), {}),
    **{
        f"500 {label}": ([board(number, **kind) for number in range(500)], {})
        for label, kind in zip(LABELS, KINDS, strict=True)
    },
    "1000": (mixed(1000), {"timeout": 10}),
    **{f"50 loss {loss} %": (mixed(50, loss=loss / 100), {}) for loss in (5, 20, 30)},
    "500 loss 5 %": (mixed(500, loss=0.05), {"timeout": 10}),
    "50 again after 0.3 s": (mixed(50), {"pause": 0.3}),
    "50 again after 0.7 s": (mixed(50), {"pause": 0.7}),
    "50 again after 1.1 s": (mixed(50), {"pause": 1.1}),
    "2, one 3 s late": ([board(0), board(1, late=3)], {"timeout": 12, "expected": 2, "fresh": True}),
    "empty": ([board(0, how="silent")], {}),
}


def bare_question() -> None:
    """One PTR question on eth0, and how long answers came (JSON on standard output). Runs inside a street."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
    opened.bind(("224.0.0.251", 5353))
    index = socket.if_nametoindex("eth0")
    group = socket.inet_aton("224.0.0.251") + bytes(4) + struct.pack("@i", index)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, group)
    opened.settimeout(0.5)
    question = struct.pack("!HHHHHH", 0, 0, 1, 0, 0, 0) + name("_ssh._tcp.local.") + struct.pack("!HH", PTR, 1)
    began = last = time.monotonic()
    opened.sendto(question, ("224.0.0.251", 5353))
    senders = set()
    with contextlib.suppress(TimeoutError):
        while time.monotonic() - began < 10:
            data, sender = opened.recvfrom(9000)
            if data[2] & 0x80:
                senders.add(sender)
                last = time.monotonic()
    print(json.dumps({"seconds": last - began, "found": len(senders)}))


def inside(street: Street, *command: str) -> dict[str, Any]:
    return json.loads(street.run(sys.executable, *command, env=ENVIRONMENT).stdout)


# avahi keeps all in /run and /etc, so it gets a mount namespace of its own.
AVAHI = """
mount -t tmpfs tmpfs /run && mkdir -p /run/dbus /run/avahi-daemon &&
dbus-daemon --system --fork --nopidfile &&
printf '[server]\\nallow-interfaces=eth0\\n[publish]\\ndisable-publishing=yes\\n' >/run/avahi.conf &&
avahi-daemon -f /run/avahi.conf --no-drop-root --no-rlimits --no-chroot -D >&2 || exit 1
began=$(date +%s%N)
timeout 15 avahi-browse -rpt _ssh._tcp | grep '^=' | cut -d';' -f4 | sort -u | wc -l
ended=$(date +%s%N)
avahi-daemon -k >&2
echo $(((ended - began) / 1000000))
"""


def avahi_browse(street: Street) -> str:
    """What `avahi-browse` finds, and in which time."""
    if not shutil.which("avahi-browse"):
        return "no avahi-browse"
    # The bus ends with the process namespace.
    isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", AVAHI]
    ended = street.run(*isolated, check=False)
    lines = ended.stdout.split()
    return f"{lines[0]} in {int(lines[1]) / 1000:.2f}s" if len(lines) == 2 else "avahi does not run here"


def main(runs: int, chosen: list[str]) -> None:
    print(
        f"{'case':24} {'found':>12} {'all in':>8} {'median':>8} {'slowest':>8} {'dropped':>8} {'bare':>7} {'ratio':>6}"
    )
    for label, (boards, options) in CASES.items():
        if chosen and label not in chosen:
            continue
        measure(label, boards, dict(options), runs)


def measure(label: str, boards: list[dict[str, Any]], options: dict[str, Any], runs: int) -> None:
    wanted = sum(each.get("how") != "silent" for each in boards)
    pause, fresh = options.pop("pause", 1.2), options.pop("fresh", False)
    results = []
    with Street() as street:
        responder = None
        for _run in range(runs):
            if fresh or responder is None:
                if responder:
                    street.leave(responder)
                responder = street.inhabit(boards)
            results.append(inside(street, "-m", "mdns.seek", json.dumps(options)))
            time.sleep(pause)
        time.sleep(1)
        floor = inside(street, __file__, "--bare")["seconds"]
        time.sleep(1)
        beside = avahi_browse(street)
    found = [sum(len(each["addresses"]) == 2 for each in result["boards"]) for result in results]
    seconds = [result["seconds"] for result in results]
    ratio = f"{statistics.median(seconds) / floor:.1f}" if floor else "-"
    whole = sum(count == wanted for count in found)
    print(
        f"{label:24} {sum(found):>5}/{wanted * runs:<6} {whole:>4}/{runs:<3} {statistics.median(seconds):7.2f}s "
        f"{max(seconds):7.2f}s {sum(result['dropped'] for result in results):>8} {floor:6.2f}s {ratio:>6}  {beside}",
        flush=True,
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--bare"]:
        bare_question()
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, sys.argv[2:])
