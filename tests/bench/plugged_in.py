# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long it takes from a board's power to its registration, with the collection's rulebook at work.

Boards are switched on one after the other, and then as many more at once. All shares this machine's cores with the
boards. Usage, as root: .venv/bin/python tests/bench/plugged_in.py [--boards 10]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / ".build"), str(ROOT / "tests/simulator"), str(ROOT / "tests/integration")]

from fleet import Fleet  # noqa: E402
from rulebook import Rulebook, registered, switch  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", type=int, default=10, metavar="N", help="in turn, and at once (default: 10)")
    count = parser.parse_args().boards
    with tempfile.TemporaryDirectory(prefix="plugged-in-") as place:
        fleet = Fleet.up(Path(place, "lab"), "--devices", str(1 + 2 * count))
        try:
            _measure(fleet, Path(place), count)
        finally:
            fleet.down()


def _measure(fleet: Fleet, place: Path, count: int) -> None:
    first, *others = fleet.boards
    switch(fleet, "off", *others)
    (place / "bench").mkdir()
    with Rulebook(fleet, place / "bench", {"provision_pelion_roster": [first, *others]}) as rulebook:
        # This one makes the certificates.
        rulebook.wait(lambda: registered(fleet, [first]))
        alone = [_seconds(fleet, rulebook, [board]) for board in others[:count]]
        runs = rulebook.runs
        together = _seconds(fleet, rulebook, others[count:])
        print(f"{'boards':<28}{'median s':>10}{'worst s':>10}{'runs':>6}")
        print(f"{f'{count}, one after the other':<28}{statistics.median(alone):>10.1f}{max(alone):>10.1f}{count:>6}")
        print(f"{f'{count} at once, all of them':<28}{'':>10}{together:>10.1f}{rulebook.runs - runs:>6}")


def _seconds(fleet: Fleet, rulebook: Rulebook, boards: list[str]) -> float:
    """From the first board's power to the last one's registration."""
    began = time.monotonic()
    switch(fleet, "on", *boards)
    rulebook.wait(lambda: registered(fleet, boards) == set(boards))
    return time.monotonic() - began


if __name__ == "__main__":
    main()
