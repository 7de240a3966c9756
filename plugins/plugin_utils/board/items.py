# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The items: the 14 named byte strings that a board is provisioned with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from .way import Server, server_of

DEVELOPER_ITEMS = tuple(
    f"MBED_CLOUD_DEV_{name}"
    for name in (
        "BOOTSTRAP_ENDPOINT_NAME",
        "BOOTSTRAP_DEVICE_CERTIFICATE",
        "BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE",
        "BOOTSTRAP_DEVICE_PRIVATE_KEY",
        "BOOTSTRAP_SERVER_URI",
        "MANUFACTURER",
        "MODEL_NUMBER",
        "SERIAL_NUMBER",
        "DEVICE_TYPE",
        "HARDWARE_VERSION",
        "MEMORY_TOTAL_KB",
    )
)
UPDATE_ITEMS = ("arm_uc_default_certificate", "arm_uc_vendor_id", "arm_uc_class_id")
ITEMS = DEVELOPER_ITEMS + UPDATE_ITEMS
"""Names of all items, in the order in which pelion-provisioning-util (MBL 0.10) stores them."""


@dataclass(frozen=True)
class Items:
    """What should be on a board: each of ITEMS with its exact bytes."""

    values: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def of(cls, developer: Mapping[str, bytes], update: Mapping[str, bytes]) -> Items:
        """From the values of developer credentials and update resources, by C variable name.

        Values that the utility does not read are left out. Raises KeyError when one that it reads is missing;
        the credentials' rules have seen to it that none is.
        """
        return cls({name: developer[name] for name in DEVELOPER_ITEMS} | {name: update[name] for name in UPDATE_ITEMS})

    @property
    def developer_certificate(self) -> bytes:
        """DER"""
        return self.values["MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE"]

    @property
    def update_certificate(self) -> bytes:
        """DER"""
        return self.values["arm_uc_default_certificate"]

    @property
    def server(self) -> Server | None:
        """That which a board bootstraps at; None for one that is not reached over TCP."""
        return server_of(self.values["MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI"].decode(errors="replace"))

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over name, length and bytes of each item in order."""
        digest = hashlib.sha256()
        for name in ITEMS:
            value = self.values[name]
            digest.update(f"{name} {len(value)}\n".encode())
            digest.update(value)
        return digest.hexdigest()
