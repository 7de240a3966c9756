# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What deciding for a fleet and reporting on it cost the controller, without boards, cloud and network.

Prints, for each size, seconds and the most memory (MB, of what Python allocates) for: the first run's decision; that
of a rerun; that of a fleet for which the account has no places; a report on all boards; each form of it, with its
size; fleet.json of the team store. Usage: .venv/bin/python tests/bench/decision.py [--boards 1000,10000,100000]
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / ".build"), str(ROOT / "tests/simulator"), str(ROOT / "tests/unit/support")]

from cloud_access import store_at  # noqa: E402
from paper_fleet import KEY, PaperFleet  # noqa: E402

from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import read_fleet, write_fleet  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.readiness import Terms  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.files import (  # noqa: E402
    as_csv,
    as_json,
    as_junit,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.merging import merge  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.page import page  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.status import Fleet, read_answer, status_report  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.summary import summary, table  # noqa: E402

WITHOUT_LIMIT = 1_000_000
ACCOUNT = 50
"""Certificates of a paid account."""
NOW = datetime(2026, 11, 25, tzinfo=timezone.utc)


def operations(boards: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    large = PaperFleet(boards, WITHOUT_LIMIT)
    fresh, proven = large.fresh(), large.proven()
    yield "decide: first run", lambda: large.decide(fresh, in_use=False)
    yield "decide: rerun", lambda: large.decide(proven, in_use=True)
    small = PaperFleet(boards, ACCOUNT)
    yield f"decide: {ACCOUNT} certificates for all", lambda: small.decide(small.fresh(), in_use=False)
    certificate = {"fingerprint": "f" * 64, "common_name": "bench", "not_after": "2036-11-20T00:00:00Z"}
    answers = {
        name: read_answer(
            {
                "configured": True,
                "registered": True,
                "device_id": device_id,
                "developer_certificate": certificate,
                "update_certificate": certificate,
            }
        )
        for name, device_id in zip(large.names, large.ids, strict=True)
    }
    fleet = Fleet(answers, dict.fromkeys(large.names, KEY), large.names, (), large.remembered(), large.devices())
    yield "report: make", lambda: status_report(fleet, Terms(NOW), playbook="status")
    report = status_report(fleet, Terms(NOW), playbook="status")
    yield "report: table and summary", lambda: "\n".join([*table(report), *summary(report)])
    for name, form in {"JSON": as_json, "CSV": as_csv, "JUnit": as_junit, "page": page}.items():
        yield f"report: {name}", lambda form=form: form(report)
    yield "report: merge", lambda: merge({"site": report}, NOW, {})
    with tempfile.TemporaryDirectory() as directory:
        store = store_at(Path(directory))
        remembered = large.remembered()
        # Twice, since what has not changed is not written.
        yield "fleet.json: write", lambda: [write_fleet(store, boards) for boards in ({}, remembered)]
        yield "fleet.json: text", (store.directory / "fleet.json").read_text
        yield "fleet.json: read", lambda: read_fleet(store)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", default="1000,10000,100000")
    options = parser.parse_args()
    for boards in map(int, options.boards.split(",")):
        print(f"{boards} boards{'':24} {'s':>8} {'µs/board':>9} {'MB':>8} {'size':>9}")
        for name, act in operations(boards):
            gc.collect()
            began = time.perf_counter()
            result = act()
            seconds = time.perf_counter() - began
            size = f"{len(result.encode()) / 1e6:.1f} MB" if isinstance(result, str) else ""
            del result
            tracemalloc.start()
            act()
            peak = tracemalloc.get_traced_memory()[1] / 1e6
            tracemalloc.stop()
            print(f"  {name:34} {seconds:8.2f} {1e6 * seconds / boards:9.0f} {peak:8.1f} {size:>9}", flush=True)


if __name__ == "__main__":
    main()
