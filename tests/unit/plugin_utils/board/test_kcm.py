# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm

# Seen in the storage of the real utility (MBL OS 0.10.0), but for the LwM2M certificates and key, which were computed.
FILES = {
    "CfgParam_mbed.UseBootstrap": "yF8c_T0h",
    "CfgParam_mbed.EndpointName": "sB1fRsia",
    "Cert_mbed.BootstrapDeviceCert": "4iiZZ2xW",
    "Cert_mbed.BootstrapServerCACert": "zKDGGDlf",
    "PrvKey_mbed.BootstrapDevicePrivateKey": "1Wb0msBi",
    "CfgParam_mbed.BootstrapServerURI": "uH9ZLyF9",
    "CfgParam_mbed.Manufacturer": "YBGSQ1nq",
    "CfgParam_mbed.ModelNumber": "Gm7jDsmK",
    "CfgParam_mbed.SerialNumber": "wafaQ3vg",
    "CfgParam_mbed.DeviceType": "J8l2_i8P",
    "CfgParam_mbed.HardwareVersion": "ywgsx6pv",
    "CfgParam_mbed.MemoryTotalKB": "#pn5eqZN",
    "Cert_mbed.UpdateAuthCert": "97LymtR#",
    "CfgParam_mbed.VendorId": "GDSoyydx",
    "CfgParam_mbed.ClassId": "4JEqG30B",
    "CfgParam_mbed.LwM2MServerURI": "IfhptCHa",
    "Cert_mbed.LwM2MServerCACert": "WXCcwgzA",
    "Cert_mbed.LwM2MDeviceCert": "jNagGYwd",
    "PrvKey_mbed.LwM2MDevicePrivateKey": "r18QaFPP",
    "CfgParam_sslsession": "BbhOv05F",
}


def test_every_item_is_in_the_file_where_the_real_utility_keeps_it() -> None:
    assert {name: kcm.file_name(name) for name in kcm.FACTORY_ITEMS + kcm.LWM2M_ITEMS} == FILES


def certificate_file(name: bytes, der: bytes) -> bytes:
    return struct.pack("<HHH", 1, 0, len(name)) + name + b"\0\0" + der + b"M" * 16


@given(st.binary(max_size=2000))
def test_a_certificate_is_read_back(der: bytes) -> None:
    content = certificate_file(kcm.UPDATE_CERTIFICATE.encode(), der)
    assert kcm.read_certificate(kcm.UPDATE_CERTIFICATE, content) == der
    offset = kcm.certificate_offset(kcm.UPDATE_CERTIFICATE)
    assert content[offset : offset + len(der)] == der


@pytest.mark.parametrize(
    "content",
    [b"", b"\1\0", certificate_file(kcm.BOOTSTRAP_CA.encode(), b"der"), b"\2" + certificate_file(b"x", b"")[1:]],
)
def test_another_file_is_no_certificate(content: bytes) -> None:
    assert kcm.read_certificate(kcm.UPDATE_CERTIFICATE, content) is None


@given(st.binary(max_size=300))
def test_rubbish_is_no_certificate_and_no_crash(content: bytes) -> None:
    assert kcm.read_certificate(kcm.UPDATE_CERTIFICATE, content) is None
