# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that are not strict DER, or that have odd values."""

from __future__ import annotations

import warnings
from datetime import datetime, timezone

import pytest
from credential_samples import NOW, a_certificate, update_values
from online_compiler import KEY, high_signature, with_serial

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.certified import describe_certificate
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.rules import (
    UPDATE_CERTIFICATE,
    UPDATE_RULES,
    CredentialError,
    load_certificate,
    require,
    sha256_hex,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.times import parse_time

SERIALS = [b"\xf0" + bytes(range(19)), b"\x80", b"\xff\xff", b"\0", b"\0\1", b"\0" * 3, b"\x7f" * 20]


def resources(der: bytes) -> UpdateResources:
    return UpdateResources({**update_values(), UPDATE_CERTIFICATE: der})


@pytest.mark.parametrize("der", [high_signature(), *map(with_serial, SERIALS)])
def test_what_a_board_takes_is_taken_without_a_warning_and_stays_as_it_is(der: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resources(der).check(NOW) == []
        assert describe_certificate(der)["not_after"]
        assert load_certificate(der).public_key() == KEY.public_key()
    there = UpdateResources.from_document(resources(der).to_document(), "x")
    assert (there.der, there.fingerprint) == (der, sha256_hex(der))


@pytest.mark.parametrize("der", [a_certificate(), high_signature(), with_serial(SERIALS[0])])
def test_no_flipped_bit_passes(der: bytes) -> None:
    passing = 0
    for at in range(len(der)):
        damaged = der[:at] + bytes([der[at] ^ 1 << at % 8]) + der[at + 1 :]
        try:
            require(UPDATE_RULES, {**update_values(), UPDATE_CERTIFICATE: damaged}, "x")
        except CredentialError:
            continue
        # Somebody else may have issued it, and that key is not at hand.
        certificate = load_certificate(damaged)
        assert certificate.issuer != certificate.subject
        passing += 1
    assert passing < len(der) / 2


def with_end(text: bytes) -> bytes:
    """A certificate that ends at the 15 characters ``text``. Its signature does not hold."""
    der = a_certificate(end=datetime(2055, 5, 5, 5, 5, 5, tzinfo=timezone.utc))
    assert der.count(b"20550505050505Z") == 1
    return der.replace(b"20550505050505Z", text)


@pytest.mark.parametrize("year", ["0950", "0001", "9999", "1949"])
def test_odd_years_are_told_as_all_times_are(year: str) -> None:
    told = describe_certificate(with_end(f"{year}0101000000Z".encode()))
    assert told["not_after"] == f"{year}-01-01T00:00:00Z"
    assert parse_time(told["not_after"]) == datetime(int(year), 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize("end", [b"00000101000000Z", b"20551301000000Z", b"205505050505+1Z", b"2055050505050.Z"])
def test_what_is_no_time_makes_it_unreadable(end: bytes) -> None:
    der = with_end(end)
    with pytest.raises(ValueError, match=r"not an X\.509 certificate"):
        load_certificate(der)
    told = describe_certificate(der)
    assert told == dict.fromkeys(told) | {"fingerprint": sha256_hex(der)}
