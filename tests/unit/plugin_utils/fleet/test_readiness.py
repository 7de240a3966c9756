# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a board takes updates is judged by all that its client decides by, and by nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_answers import Device
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.readiness import (
    NO,
    NOT_KNOWN,
    YES,
    Holding,
    Readiness,
    Terms,
    readiness,
    rotations,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reasons import READINESS_REASONS
from ansible_collections.pelion.mbl.plugins.plugin_utils.reasons import Reason
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.signers import Signer, Signers

NOW = datetime(2026, 11, 25, tzinfo=timezone.utc)
VENDOR, CLASS = "fa6b4a536db2b7ac82d9e5f1d1c3a7ae", "0123456789abcdef0123456789abcdef"
SIGNER = Signer("bench", "f" * 64, VENDOR, CLASS, NOW + timedelta(days=400), signs=True)
HELD = Holding(SIGNER.fingerprint, registered_since=True)
TERMS = Terms(NOW)
DASHED = "FA6B4A53-6DB2-B7AC-82D9-E5F1D1C3A7AE"


def device(**different: Any) -> Device:
    told = {"id": "1" * 32, "state": "registered", "vendor_id": VENDOR, "device_class": CLASS}
    return Device.from_answer({**told, **different})


def signers(**different: Any) -> Signers:
    signer = replace(SIGNER, **different)
    return Signers({signer.fingerprint: signer})


def judged(
    held: Holding = HELD,
    known: Signers | None = signers(),  # noqa: B008
    there: Device | None = device(),  # noqa: B008
    terms: Terms = TERMS,
    unregistered: Reason | None = None,
) -> tuple[str, str]:
    found = readiness(held, known, there, terms, unregistered)
    assert (found.reason is None) == (found.answer == YES)
    assert Readiness.from_json(json.loads(json.dumps(found.to_json()))) == found
    if found.reason and found.reason.code in READINESS_REASONS:
        assert found.reason.message(READINESS_REASONS) and found.reason.next_step(READINESS_REASONS)
        assert "{" not in found.reason.common_message(READINESS_REASONS)
    return found.answer, found.reason.code if found.reason else ""


def test_a_board_of_which_all_is_as_it_should_be_takes_updates() -> None:
    assert judged() == (YES, "")
    # The service's example has dashes, its filters have none.
    assert judged(there=device(vendor_id=DASHED)) == (YES, "")
    assert judged(there=device(manifest_timestamp="2026-11-24T23:59:59Z")) == (YES, "")


@pytest.mark.parametrize(
    ("different", "answer", "code"),
    [
        ({"held": replace(HELD, fingerprint=None)}, NO, "no-update-certificate"),
        ({"held": replace(HELD, fingerprint="e" * 64)}, NO, "not-our-certificate"),
        ({"held": replace(HELD, fingerprint="e" * 64), "known": Signers(whole=False)}, NOT_KNOWN, "store-not-whole"),
        ({"known": Signers(whole=False, locked="No secret opens it.")}, NOT_KNOWN, "store-secret-wrong"),
        ({"known": None}, NOT_KNOWN, "store-not-opened"),
        ({"known": signers(former=True)}, NO, "former-certificate"),
        ({"known": signers(signs=None)}, NO, "no-signing-key"),
        ({"known": signers(signs=False)}, NO, "key-does-not-sign"),
        ({"known": signers(signs=None, untried="No module.")}, NOT_KNOWN, "key-not-tried"),
        ({"known": signers(not_after=NOW)}, NO, "certificate-ended"),
        ({"known": signers(not_after=NOW + timedelta(days=29))}, NO, "certificate-ends"),
        ({"known": signers(not_after=NOW + timedelta(days=30))}, YES, ""),
        # The controller's clock is behind the cloud's.
        ({"terms": Terms(NOW, timedelta(days=-400))}, NO, "certificate-ended"),
        ({"held": replace(HELD, ahead=timedelta(days=400))}, NO, "ended-by-its-clock"),
        # A client takes the time from its server, and a board that has been off has an old one until then.
        ({"held": replace(HELD, ahead=timedelta(days=-4000))}, YES, ""),
        ({"unregistered": Reason("device-gone"), "there": None}, NO, "device-gone"),
        ({"there": None}, NOT_KNOWN, "cloud-not-asked"),
        ({"there": device(vendor_id="")}, NOT_KNOWN, "ids-not-told"),
        ({"there": device(device_class=None)}, NOT_KNOWN, "ids-not-told"),
        ({"there": device(vendor_id=CLASS)}, NO, "other-ids"),
        ({"there": device(device_class=VENDOR)}, NO, "other-ids"),
        ({"held": replace(HELD, registered_since=False)}, NOT_KNOWN, "registration-older"),
        (
            {"held": replace(HELD, registered_since=False), "there": device(vendor_id=CLASS)},
            NOT_KNOWN,
            "registration-older",
        ),
        ({"there": device(manifest_timestamp="2026-11-25T00:00:00Z")}, NO, "version-ahead"),
    ],
)
def test_each_thing_that_is_amiss_has_its_code(different: dict[str, Any], answer: str, code: str) -> None:
    assert judged(**different) == (answer, code)


def test_what_speaks_against_a_board_comes_before_what_is_not_known() -> None:
    assert judged(known=None, unregistered=Reason("device-suspended")) == (NO, "device-suspended")
    ahead = device(vendor_id=None, manifest_timestamp="2027-01-01T00:00:00Z")
    assert judged(there=ahead) == (NO, "version-ahead")


signer_kinds = st.builds(
    replace,
    st.just(SIGNER),
    fingerprint=st.sampled_from(["f" * 64, "e" * 64]),
    vendor_id=st.sampled_from([VENDOR, CLASS]),
    # Certificates end at whole seconds.
    not_after=st.datetimes(timezones=st.just(timezone.utc)).map(lambda moment: moment.replace(microsecond=0)),
    signs=st.sampled_from([True, False, None]),
    former=st.booleans(),
)
holdings = st.builds(
    Holding,
    st.sampled_from([None, "f" * 64, "e" * 64]),
    st.timedeltas(timedelta(days=-9000), timedelta(days=9000)),
    st.booleans(),
)
devices = st.none() | st.builds(
    lambda vendor, version: device(vendor_id=vendor, manifest_timestamp=version),
    st.sampled_from([None, "", VENDOR, DASHED, CLASS]),
    st.sampled_from([None, "1970-01-01T00:00:00Z", "2026-11-25T00:00:01Z"]),
)
all_terms = st.builds(
    Terms,
    st.just(NOW),
    st.timedeltas(timedelta(days=-9000), timedelta(days=9000)),
    st.integers(-5, 4000),
    st.integers(0, 10**7),
)


@given(holdings, st.lists(signer_kinds, max_size=2), st.booleans(), devices, all_terms, st.booleans())
def test_yes_is_said_of_nothing_else(
    held: Holding, kinds: list[Signer], whole: bool, there: Device | None, terms: Terms, registered: bool
) -> None:
    known = Signers({signer.fingerprint: signer for signer in kinds}, whole)
    answer, _code = judged(held, known, there, terms, None if registered else Reason("device-gone"))
    signer = known.by_fingerprint.get(held.fingerprint or "")
    list(rotations([held.fingerprint], known, terms))
    if answer != YES:
        return
    assert signer and signer.signs and not signer.former and registered and there
    assert max(NOW, NOW - terms.ahead, NOW + held.ahead) < signer.not_after
    assert signer.not_after - NOW >= timedelta(days=terms.warn_days)
    assert (there.vendor_id, there.device_class) == (signer.vendor_id, signer.class_id) and held.registered_since
    assert not there.manifest_timestamp or there.manifest_timestamp < NOW


def test_the_longest_absence_counts_for_when_to_rotate() -> None:
    ending = signers(not_after=NOW + timedelta(days=119))
    held = [SIGNER.fingerprint, SIGNER.fingerprint, "e" * 64, None]
    [text] = rotations(held, ending, TERMS)
    assert "'bench' ends on 2027-03-24, and 2 boards hold it." in text and "by 2026-12-24, in 29 days." in text
    assert not list(rotations(held, signers(not_after=NOW + timedelta(days=120)), TERMS))
    assert not list(rotations(["e" * 64], ending, TERMS))
    [text] = rotations(held[:1], signers(not_after=NOW + timedelta(days=80)), TERMS)
    assert "1 board holds it" in text and "by 2026-11-15, which has passed." in text
    for left, when in ((timedelta(days=90), "in 0 days"), (timedelta(days=89, hours=23), "which has passed")):
        [text] = rotations(held, signers(not_after=NOW + left), TERMS)
        assert when in text
    assert readiness(HELD, ending, device(), TERMS).rotate_by == NOW + timedelta(days=29)


def test_what_a_board_holds_is_taken_from_its_description() -> None:
    assert Holding.described({"fingerprint": "f"}, 5, True) == Holding("f", timedelta(seconds=5), True)
    assert Holding.described(None, 0, False) == Holding(None)


@pytest.mark.parametrize(
    "found", [{}, {"answer": "maybe"}, {"answer": "yes", "rotate_by": "soon"}, None, {"answer": 1}]
)
def test_what_is_no_readiness_is_refused(found: Any) -> None:
    with pytest.raises(ValueError, match=r"^(has|is not) "):
        Readiness.from_json(found)


def test_each_code_is_one_that_is_yielded() -> None:
    table = test_each_thing_that_is_amiss_has_its_code.pytestmark[0].args[1]  # type: ignore[attr-defined]
    yielded = {code for _different, _answer, code in table if code}
    in_a_run = {"certificate-not-stored"}  # which knows the file, see test_taking_updates.py
    assert yielded - {"device-gone"} | in_a_run == READINESS_REASONS.keys()
