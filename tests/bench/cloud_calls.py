# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints how many calls each operation makes, and how long it takes when a call takes 100 ms.

The last column compares with the floor: as many bare calls over one connection, timed in the same run.
Usage: .venv/bin/python tests/bench/cloud_calls.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / ".build"), str(ROOT / "tests/simulator"), str(ROOT / "tests/unit/plugin_utils")]

import requests  # noqa: E402
from cloud import Cloud  # noqa: E402
from cloud_access import api_of, calls, store_at  # noqa: E402

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.devices import find_devices  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.pelion_api import PelionApi  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.certificate_overview import CertificateOverview  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.developer_certificates import (  # noqa: E402
    DeveloperCertificateKeeper,
    from_store,
)

LATENCY = 0.1
CERTIFICATES = (0, 1, 60, 1000)
DEVICES = 250


def operations(device_ids: list[str]) -> dict[str, Callable[[PelionApi, Store], object]]:
    """In an order in which each finds what it needs; a new one is called "bench"."""

    def keeper(api: PelionApi, store: Store) -> DeveloperCertificateKeeper:
        return DeveloperCertificateKeeper(api, store, "bench")

    return {
        "check a key": lambda api, store: api.account(),
        "list certificates": lambda api, store: CertificateOverview.take(api, store).describe(),
        "certificate: make": lambda api, store: keeper(api, store).present(),
        "certificate: in the store, asked for": lambda api, store: keeper(api, store).present(),
        "certificate: in the store, offline": lambda api, store: from_store(store, "bench"),
        "certificate: from the cloud": lambda api, store: DeveloperCertificateKeeper(
            api, store_at(store.directory / "empty"), "bench"
        ).present(),
        "certificate: delete": lambda api, store: keeper(api, store).absent(),
        f"find {DEVICES} devices by id": lambda api, store: find_devices(api, ids=device_ids),
    }


def floor(cloud: Cloud, number: int) -> float:
    """Seconds that so many calls take without any client of ours."""
    start = time.monotonic()
    with requests.Session() as session:
        for _call in range(number):
            session.get(
                cloud.https_url + "/v3/accounts/me",
                headers={"Authorization": f"Bearer {cloud.api_key}"},
                verify=str(cloud.ca_path),
            )
    return time.monotonic() - start


def main() -> None:
    print(f"{'operation':38} {'certificates':>12} {'calls':>6} {'seconds':>8} {'of floor':>9}")
    for count in CERTIFICATES:
        with Cloud() as cloud, tempfile.TemporaryDirectory() as directory:
            cloud.state.set_account(cloud.account_id, certificate_limit=count + 1)
            ids = cloud.state.seed_certificates(count)
            device_ids = cloud.state.seed_devices(DEVICES, ids[0] if ids else None)
            cloud.faults.add("latency", seconds=LATENCY)
            store = store_at(Path(directory) / "team")
            for name, operation in operations(device_ids).items():
                cloud.log.clear()
                start = time.monotonic()
                with api_of(cloud) as api:
                    operation(api, store)
                seconds = time.monotonic() - start
                number = calls(cloud).total()
                ratio = f"{seconds / floor(cloud, number):9.2f}" if number else f"{'-':>9}"
                print(f"{name:38} {count:12} {number:6} {seconds:8.2f} {ratio}")


if __name__ == "__main__":
    main()
