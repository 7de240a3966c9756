# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the cloud side share."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

from ansible.parsing.vault import VaultSecret
from cloud import Cloud

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_transport import ApiTransport
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.pelion_api import PelionApi
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reservations import Places
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import Vault


def api_of(cloud: Cloud, **options: Any) -> PelionApi:
    """A client of the cloud's account."""
    options = {"host": cloud.https_url, "key": cloud.api_key, "ca_path": str(cloud.ca_path), **options}
    return PelionApi(ApiTransport(**options), warn=options.get("warn"))


def store_at(directory: Path) -> Store:
    return Store(directory, Vault([("default", VaultSecret(b"a password"))]), shared=True)


def calls(cloud: Cloud) -> Counter[str]:
    """The calls so far, by kind. The cloud notes a call a moment after its answer."""
    threading.Event().wait(0.05)
    return cloud.log.counts()


def held(places: Places) -> dict[str, list[str]]:
    """The certificates in which boards have places, that which was given last at the end."""
    return {board: list(certificates) for board, certificates in places.items()}
