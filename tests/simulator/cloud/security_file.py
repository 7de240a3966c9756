# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C file that the service hands out with a developer certificate (``security_file_content``).

Layout: Pelion's OpenAPI document of 2020-07, examples of ``/v3/developer-certificates``. mbl-cli's reader
needs the blank after ``=``; the client library needs the order of nothing, but people compare such files.
"""

from __future__ import annotations

_HEAD = """\
/*
 * Developer credentials of a device, made by the lab's simulated Device Management service.
 */
#ifndef __MBED_CLOUD_DEV_CREDENTIALS_H__
#define __MBED_CLOUD_DEV_CREDENTIALS_H__

#include <inttypes.h>

"""
_TAIL = "#endif //__MBED_CLOUD_DEV_CREDENTIALS_H__\n"
_BYTES_PER_LINE = 8
_METADATA = {
    "MANUFACTURER": "dev_manufacturer",
    "MODEL_NUMBER": "dev_model_num",
    "SERIAL_NUMBER": "0",
    "DEVICE_TYPE": "dev_device_type",
    "HARDWARE_VERSION": "dev_hardware_version",
}


def security_file(
    endpoint_name: str,
    account_id: str,
    server_uri: str,
    certificate: bytes,
    private_key: bytes,
    bootstrap_ca: bytes,
    lwm2m_ca: bytes,
) -> str:
    """The text of the file; certificates and the PKCS#8 key are DER."""
    arrays = {
        "BOOTSTRAP_DEVICE_CERTIFICATE": certificate,
        "BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE": bootstrap_ca,
        "LWM2M_SERVER_ROOT_CA_CERTIFICATE": lwm2m_ca,
        "BOOTSTRAP_DEVICE_PRIVATE_KEY": private_key,
    }
    identity = {
        "BOOTSTRAP_ENDPOINT_NAME": endpoint_name,
        "ACCOUNT_ID": account_id,
        "BOOTSTRAP_SERVER_URI": server_uri,
    }
    paragraphs = [
        "".join(_string(name, value) for name, value in identity.items()),
        *(_array(name, value) for name, value in arrays.items()),
        *(_string(name, value) for name, value in _METADATA.items()),
        "const uint32_t MBED_CLOUD_DEV_MEMORY_TOTAL_KB = 0;\n",
        "".join(f"const uint32_t MBED_CLOUD_DEV_{name}_SIZE = sizeof(MBED_CLOUD_DEV_{name});\n" for name in arrays),
    ]
    return _HEAD + "".join(paragraph + "\n" for paragraph in paragraphs) + _TAIL


def _string(name: str, value: str) -> str:
    return f'const char MBED_CLOUD_DEV_{name}[] = "{value}";\n'


def _array(name: str, value: bytes) -> str:
    lines = (
        ", ".join(f"0x{byte:02x}" for byte in value[start : start + _BYTES_PER_LINE])
        for start in range(0, len(value), _BYTES_PER_LINE)
    )
    return f"const uint8_t MBED_CLOUD_DEV_{name}[] = \n{{ " + ",\n ".join(lines) + " };\n"
