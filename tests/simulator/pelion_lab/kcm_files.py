# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where pelion-provisioning-util reads and stores, observed on MBL 0.10 and the head of development."""

from __future__ import annotations

INPUT_DIRECTORY = "scratch/provisioning-certs"
USER_DIRECTORY = "config/user"
KCM = "pal"
DIRECTORIES = ("WORKING", "BACKUP")

# An input file (less its ``.bin``) and the file that it becomes in the KCM.
ITEM_FILES = {
    "MBED_CLOUD_DEV_BOOTSTRAP_ENDPOINT_NAME": "sB1fRsia",
    "MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE": "4iiZZ2xW",
    "MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE": "zKDGGDlf",
    "MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY": "1Wb0msBi",
    "MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI": "uH9ZLyF9",
    "MBED_CLOUD_DEV_MANUFACTURER": "YBGSQ1nq",
    "MBED_CLOUD_DEV_MODEL_NUMBER": "Gm7jDsmK",
    "MBED_CLOUD_DEV_SERIAL_NUMBER": "wafaQ3vg",
    "MBED_CLOUD_DEV_DEVICE_TYPE": "J8l2_i8P",
    "MBED_CLOUD_DEV_HARDWARE_VERSION": "ywgsx6pv",
    "MBED_CLOUD_DEV_MEMORY_TOTAL_KB": "#pn5eqZN",
    "arm_uc_default_certificate": "97LymtR#",
    "arm_uc_vendor_id": "GDSoyydx",
    "arm_uc_class_id": "4JEqG30B",
}
# The one item that the utility makes itself.
USE_BOOTSTRAP = {"yF8c_T0h": b"\1\0\0\0"}
