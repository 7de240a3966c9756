# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timezone

from credential_samples import ACCOUNT, ENDPOINT, a_certificate, developer_values, update_values

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.certified import describe_certificate
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.developer_credentials import DeveloperCredentials
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.rules import sha256_hex
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.times import time_text


def test_a_certificate_is_told_in_one_way() -> None:
    begin, end = datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2036, 1, 1, 10, tzinfo=timezone.utc)
    der = a_certificate(begin=begin, end=end)
    assert describe_certificate(der) == {
        "fingerprint": sha256_hex(der),
        "common_name": ENDPOINT,
        "account_id": ACCOUNT,
        "not_before": "2026-01-01T00:00:00Z",
        "not_after": "2036-01-01T10:00:00Z",
    }


def test_what_is_not_there_is_none() -> None:
    told = describe_certificate(a_certificate("example.com", None))
    assert (told["common_name"], told["account_id"]) == ("example.com", None)
    damaged = describe_certificate(b"not DER")
    assert damaged == dict.fromkeys(told) | {"fingerprint": sha256_hex(b"not DER")}


def test_all_credentials_can_tell_their_certificate() -> None:
    for credentials in (DeveloperCredentials(developer_values()), UpdateResources(update_values())):
        told = describe_certificate(credentials.der)
        assert told["fingerprint"] == credentials.fingerprint
        assert told["not_after"] == time_text(credentials.not_after)
