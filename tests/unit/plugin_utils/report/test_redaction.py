# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No key stays in what a board said, in whatever form; what people need does."""

from __future__ import annotations

import base64
import re
import textwrap
from collections.abc import Callable

import pytest
from credential_samples import a_key, key_der
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.report.redaction import Redactor

DEVICE = "0161dbbcdd660a580a010c3403c00001"
FORMS: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "HEX": lambda secret: secret.hex().upper(),
    "hex with colons": lambda secret: secret.hex(":"),
    "hex with blanks": lambda secret: secret.hex(" "),
    "a dump": lambda secret: secret.hex(" ", 2),
    "C": lambda secret: ", ".join(f"0x{byte:02x}" for byte in secret),
    "C without blanks": lambda secret: ",".join(f"0x{byte:02X}" for byte in secret),
    "escapes": lambda secret: "".join(f"\\x{byte:02x}" for byte in secret),
    "octal escapes": lambda secret: "".join(f"\\{byte:03o}" for byte in secret),
    "od -b": lambda secret: " ".join(f"{byte:03o}" for byte in secret),
    "base64": lambda secret: base64.b64encode(secret).decode(),
    "base64 for addresses": lambda secret: base64.urlsafe_b64encode(secret).decode(),
}
BEFORE = st.sampled_from(
    ["", "2026-11-28T11:00:00+0000 [INFO][mbl ]: ", "key=", "It is ", "x", "in /config/user ", '"']
)


@pytest.mark.parametrize("form", [form for form in FORMS if "addresses" not in form])
@given(secret=st.binary(min_size=32, max_size=150), before=BEFORE, after=st.sampled_from(["", " and more", '"', "\r"]))
def test_no_octets_of_a_key_stay(form: str, secret: bytes, before: str, after: str) -> None:
    written = FORMS[form](secret)
    told = Redactor([DEVICE]).text(before + written + after)
    # No quarter of it, however it is cut.
    quarter = len(written) // 4
    assert not any(written[start : start + quarter] in told for start in range(len(written) - quarter))


@given(secret=st.binary(min_size=48, max_size=150))
def test_a_key_that_is_broken_into_lines_goes_line_by_line(secret: bytes) -> None:
    lines = textwrap.wrap(base64.b64encode(secret).decode(), 64)
    told = Redactor().text("\n".join(f"[INFO]: {line}" for line in lines))
    assert not [line for line in lines if len(line) >= 40 and line in told]


def pem(number: int = 1) -> str:
    return a_key(number=number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    "written",
    [
        pem(),
        pem().replace("\n", "\\n"),
        pem().lower(),
        pem()[:-40],
        pem().partition("\n")[2],
        "".join(f"2026-11-28T11:00:00+0000 [INFO]: {line}\n" for line in pem().splitlines()),
        key_der(a_key()).decode("latin-1"),
        key_der(a_key()).decode(errors="replace"),
    ],
)
def test_pem_goes(written: str) -> None:
    told = Redactor().text(f"before\n{written}\n")
    assert "before" in told
    assert not [line for line in written.splitlines() if len(line) > 30 and line[-30:] in told]
    assert len(told) < 400


def test_a_key_that_is_cut_off_takes_no_whole_log_with_it() -> None:
    told = Redactor().text("\n".join(["-----BEGIN PRIVATE KEY-----", *pem().splitlines()[1:3], *["a line"] * 5000]))
    assert told.count("a line") > 4000
    assert not [line for line in pem().splitlines()[1:3] if line in told]


@pytest.mark.parametrize(
    "said",
    [
        "ak_1MDE1ZDNiOWE1YzcwMDAwMDAwMDAwMTAwMTAwMTNiMDE2",
        "AK_1MDE1ZDNIOWE1YZCW",
        "Authorization: Bearer short-1",
        "api_key = 'short-1'",
        "wpa psk=short-1",
        "passphrase: short-1",
        "coaps://bootstrap.example.com:5684?aid=short-1&ep=x",
        "account id: short-1",
        "0151d3b9a5c70000000000010010013b",
        "0151D3B9A5C70000000000010010013B",
        "0151d3b9-a5c7-0000-0000-00010010013b",
    ],
)
def test_what_is_called_a_secret_and_ids_go(said: str) -> None:
    secret = re.split(r"[ =?'&]", said.rstrip("'").removesuffix("&ep=x"))[-1]
    assert secret not in Redactor().text(f"x {said} y")


def test_what_is_known_is_shortened() -> None:
    fingerprint = "ab" * 32
    told = Redactor([DEVICE, fingerprint]).text(f"device {DEVICE.upper()} holds {fingerprint}; Device Id: {'0c' * 16}")
    assert told == "device 0161DBBC… holds abababab…; Device Id: 0c0c0c0c…"


def test_json_stays_json() -> None:
    given = {"account_id": None, "api_key": "short", "held": [{"account_id": DEVICE}], "id": "0" * 32, "size": 10**40}
    assert Redactor().value(given) == {
        "account_id": None,
        "api_key": "[removed:value]",
        "held": [{"account_id": "[removed:value]"}],
        "id": "[removed:hex]",
        "size": 10**40,
    }


LOG = """\
2018-12-06T07:11:58+0000 [INFO][mbl ]: Start mbed Linux Cloud Client
2018-12-06T07:11:58+0000 [INFO][CCRB-IPCDBUS]: MblCloudConnectIpcDBus::MblCloudConnectIpcDBus
2018-12-06T07:11:58+0000 [INFO][fcc ]: storage_pelion_sst.c:423:storage_item_get_data:===> item name = mbed.EndpointName
2018-12-06T07:11:58+0000 [ERR ][fcc ]: fcc_verify_device_configured_4mbed_cloud: Item does not exist
2018-12-06T07:11:58+0000 [ERR ][UCPI]: arm_uc_pal_linux_implementation_internal.c:311: failed to open /scratch/firmware
2018-12-06T07:11:58+0000 [ERR ][mbl ]: Error occurred : ConnectSecureConnectionFailed
2018-12-06T07:11:58+0000 [INFO][mClt]: state_bootstrap - server_address coaps://bootstrap.us-east-1.mbedcloud.com:5684
    inet6 fe80::ec12:dcff:fe8c:3cd7/64 scope link
    link/ether ee:12:dc:8c:3c:d7 brd ff:ff:ff:ff:ff:ff
/dev/mmcblk0p3 /config/user ext4 rw,sync,relatime 0 0
-rw-r--r--    1 root     root           123 Nov 28 11:00 /config/user/pal/WORKING/4iiZZ2xW"""


def test_what_people_need_stays() -> None:
    assert Redactor().text(LOG) == LOG


@given(st.text())
def test_any_text_is_taken_and_a_second_time_changes_nothing_more(text: str) -> None:
    redactor = Redactor()
    once = redactor.text(text)
    assert redactor.text(once) == once
