# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the official Python SDK; run with the SDK's own interpreter.

Each line of its input is a command, ``{"name", "arguments", "environment"}``, each line of its output what
became of it. The environment has MBED_CLOUD_SDK_HOST and MBED_CLOUD_SDK_API_KEY.
"""

from __future__ import annotations

import json
import os
import sys

from mbed_cloud import CertificatesAPI, DeviceDirectoryAPI
from mbed_cloud.exceptions import CloudApiException


def create(name: str) -> dict[str, str]:
    made = CertificatesAPI().add_developer_certificate(name=name)
    return {"id": made.id, "name": made.name, "type": made.type, "file": made.header_file}


def delete(id_: str) -> None:
    return CertificatesAPI().delete_certificate(id_)


def get(id_: str) -> str | None:
    found = CertificatesAPI().get_certificate(id_)
    return found and found.name


def deactivate(id_: str) -> str:
    return CertificatesAPI().update_certificate(id_, status="INACTIVE").status


def devices() -> list[dict[str, object]]:
    found = DeviceDirectoryAPI().list_devices(include="total_count")
    return [{"id": one.id, "state": one.state, "bootstrapped": bool(one.bootstrapped_timestamp)} for one in found]


def name_device(id_: str) -> str:
    return DeviceDirectoryAPI().update_device(id_, name="gate").name


def delete_device(id_: str) -> None:
    return DeviceDirectoryAPI().delete_device(id_)


def foundation() -> dict[str, object]:
    """The newer interface, which only 2.2.0 has."""
    from mbed_cloud import SDK

    sdk = SDK().foundation
    certificates = sdk.trusted_certificate().list(filter={"device_execution_mode": {"eq": 1}}, page_size=2)
    return {
        "certificates": [one.name for one in certificates],
        "are_developer": [one.is_developer_certificate for one in certificates],
        "created": sdk.developer_certificate(name="new").create().name,
    }


def answer(name: str, arguments: list[str], environment: dict[str, str]) -> dict[str, object]:
    os.environ.update(environment)
    try:
        return {"result": globals()[name](*arguments)}
    except CloudApiException as error:
        return {"status": error.status, "reason": error.reason}


for line in sys.stdin:
    print(json.dumps(answer(**json.loads(line))), flush=True)
