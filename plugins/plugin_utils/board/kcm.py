# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Key and Config Manager's files on a board.

Observed on pelion-provisioning-util of MBL OS 0.10.0 (mbed-cloud-client 3.0.0) and of January 2020 (4.1.0):
every item is a file in WORKING/, its factory copy in BACKUP/; certificates lie in them in plain.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection
from functools import cache

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789#_"
_MAC_SIZE = 16

DEVELOPER_CERTIFICATE = "Cert_mbed.BootstrapDeviceCert"
BOOTSTRAP_CA = "Cert_mbed.BootstrapServerCACert"
UPDATE_CERTIFICATE = "Cert_mbed.UpdateAuthCert"
CERTIFICATES = (DEVELOPER_CERTIFICATE, BOOTSTRAP_CA, UPDATE_CERTIFICATE)

FACTORY_ITEMS = (
    "CfgParam_mbed.UseBootstrap",
    "CfgParam_mbed.EndpointName",
    DEVELOPER_CERTIFICATE,
    BOOTSTRAP_CA,
    "PrvKey_mbed.BootstrapDevicePrivateKey",
    "CfgParam_mbed.BootstrapServerURI",
    "CfgParam_mbed.Manufacturer",
    "CfgParam_mbed.ModelNumber",
    "CfgParam_mbed.SerialNumber",
    "CfgParam_mbed.DeviceType",
    "CfgParam_mbed.HardwareVersion",
    "CfgParam_mbed.MemoryTotalKB",
    UPDATE_CERTIFICATE,
    "CfgParam_mbed.VendorId",
    "CfgParam_mbed.ClassId",
)
"""Complete names (type prefix and item) of what `--provision` stores."""

ENCRYPTED_ITEMS = tuple(name for name in FACTORY_ITEMS if not name.startswith("Cert_"))
"""Stored with fresh randomness, so that their files change with every `--provision`."""

BOOTSTRAP_URI = "CfgParam_mbed.BootstrapServerURI"
"""Its working copy is rewritten by the client at a later bootstrap, its factory copy never."""

LWM2M_SERVER_URI = "CfgParam_mbed.LwM2MServerURI"
LWM2M_CERTIFICATE = "Cert_mbed.LwM2MDeviceCert"
"""What the board got at its bootstrap: its common name is that of the developer certificate it bootstrapped with."""
LWM2M_ITEMS = (
    LWM2M_SERVER_URI,
    "Cert_mbed.LwM2MServerCACert",
    LWM2M_CERTIFICATE,
    "PrvKey_mbed.LwM2MDevicePrivateKey",
    "CfgParam_sslsession",
)
"""What the client deletes when it wants to bootstrap again (mbed-cloud-client 4.1.0, source/ConnectorClient.cpp)."""
IDENTITY = "CfgParam_mbed.InternalEndpoint"
"""What it got at its first bootstrap, and keeps: with it, the next one makes it the same device."""


COPIES = ("WORKING", "BACKUP")
"""The directories of the KCM, in each of which it keeps a copy of each factory item."""


def item_name(complete_name: str) -> str:
    """The item's name as the utility and the client say it, without the prefix for its type."""
    return complete_name.split("_", 1)[1]


@cache
def file_name(complete_name: str) -> str:
    """The 8 characters under which the KCM keeps an item: 48 bits of SHA-256, 6 at a time."""
    bits = int.from_bytes(hashlib.sha256(complete_name.encode()).digest()[:6], "big")
    return "".join(_ALPHABET[(bits >> shift) & 63] for shift in range(42, -1, -6))


def is_empty(missing_items: Collection[str]) -> bool:
    """Whether a KCM that lacks these of the FACTORY_ITEMS has none of them."""
    return len(missing_items) == len(FACTORY_ITEMS)


def certificate_offset(complete_name: str) -> int:
    """Where in its file the DER of a certificate begins, in bytes."""
    return 6 + len(complete_name) + 2


def read_certificate(complete_name: str, content: bytes) -> bytes | None:
    """The DER in a certificate's file, or None when the file is not one of that item."""
    if len(content) < certificate_offset(complete_name) + _MAC_SIZE or not is_head_of(complete_name, content):
        return None
    return content[certificate_offset(complete_name) : -_MAC_SIZE]


def is_head_of(complete_name: str, content: bytes) -> bool:
    """Whether a file that begins with ``content`` is one of that item."""
    name = complete_name.encode()
    if len(content) < 6 + len(name):
        return False
    format_version, _mode, name_length = struct.unpack_from("<HHH", content)
    return format_version == 1 and content[6 : 6 + name_length] == name
