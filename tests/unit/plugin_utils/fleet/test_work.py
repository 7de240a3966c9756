# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from credential_samples import a_certificate

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import record_of
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.client_log import ClientLog
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import ITEMS, Items
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.certified import describe_certificate
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reasons import WORK_REASONS
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.wishes import KEEP_IDENTITY, NEW_IDENTITY, REFUSE
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.work import differences, work_for

CERTIFICATE = "MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE"
ITEMS_WANTED = Items({name: name.encode() for name in ITEMS} | {CERTIFICATE: a_certificate("wanted")})
OTHER = Items(ITEMS_WANTED.values | {CERTIFICATE: a_certificate("other")})

FRESH = Inspection(has_utility=True)
GOOD = Inspection(
    has_utility=True,
    files=tuple(kcm.file_name(name) for name in (*kcm.FACTORY_ITEMS, kcm.LWM2M_SERVER_URI)),
    certificates={
        kcm.DEVELOPER_CERTIFICATE: describe_certificate(ITEMS_WANTED.developer_certificate),
        kcm.UPDATE_CERTIFICATE: describe_certificate(ITEMS_WANTED.update_certificate),
        kcm.LWM2M_CERTIFICATE: describe_certificate(a_certificate("wanted")),
    },
    kcm_digest="d1",
    record=record_of(ITEMS_WANTED) | {"kcm": "d1"},
    status_code=0,
    client_runs=True,
    log=ClientLog(True, "0161dbbcdd660a580a010c3403c00000"),
)


def without(item: str) -> tuple[str, ...]:
    return tuple(name for name in GOOD.files if name != kcm.file_name(item))


def test_a_board_proven_to_hold_the_items_and_registered_is_left_alone() -> None:
    assert not work_for(GOOD, ITEMS_WANTED, REFUSE).changes


def test_a_fresh_board_is_injected() -> None:
    work = work_for(FRESH, ITEMS_WANTED, REFUSE)
    assert work.inject
    assert work.bootstrap == "not-yet"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"record": {}}, "no-record"),
        ({"record": {**GOOD.record, "fingerprint": "0"}}, "other-injected"),
        ({"kcm_digest": "changed by another tool"}, "kcm-changed"),
        ({"kcm_digest": "changed by damage", "damaged": ("mbed.Manufacturer (BACKUP)",)}, "damaged-items"),
        ({"damaged": ("mbed.BootstrapServerURI (WORKING)",)}, "damaged-items"),
        ({"certificates": {**GOOD.certificates, kcm.UPDATE_CERTIFICATE: None}}, "lacks-certificate"),
        (
            {"certificates": {**GOOD.certificates, kcm.UPDATE_CERTIFICATE: describe_certificate(b"x")}},
            "holds-other-certificate",
        ),
        ({"files": without("CfgParam_mbed.VendorId")}, "lacks-items"),
        ({"status_code": 1, "status": "Item does not exist:mbed.Manufacturer"}, "status-not-good"),
    ],
)
def test_any_doubt_is_a_reason_to_inject_under_the_same_identity(change: dict[str, Any], code: str) -> None:
    work = work_for(replace(GOOD, **change), ITEMS_WANTED, REFUSE)
    assert [reason.code for reason in work.reasons] == [code]
    assert work.bootstrap == "as-is"


@pytest.mark.parametrize(
    "change",
    [
        {"client_runs": False},
        {"log": ClientLog(False, GOOD.log.device_id, "ConnectBootstrapFailed")},
    ],
)
def test_a_good_board_that_is_not_registered_is_reconnected(change: dict[str, Any]) -> None:
    work = work_for(replace(GOOD, **change), ITEMS_WANTED, REFUSE)
    assert work.reconnect
    assert not work.inject


def test_another_certificate_on_a_bootstrapped_board_follows_the_policy() -> None:
    with pytest.raises(BoardError, match="provision_pelion_when_bootstrapped") as raised:
        work_for(GOOD, OTHER, REFUSE)
    assert raised.value.facts["before"] == GOOD.describe()
    assert work_for(GOOD, OTHER, KEEP_IDENTITY).bootstrap == "keep-identity"
    assert work_for(GOOD, OTHER, NEW_IDENTITY).bootstrap == "new-identity"


def of_the_cloud(common_name: str | None) -> Inspection:
    """GOOD, but for what it got at its bootstrap."""
    got = {} if common_name is None else {kcm.LWM2M_CERTIFICATE: describe_certificate(a_certificate(common_name))}
    held = {name: held for name, held in GOOD.certificates.items() if name != kcm.LWM2M_CERTIFICATE}
    return replace(GOOD, certificates={**held, **got})


def test_a_board_that_ignores_the_certificate_that_it_holds_is_not_in_order() -> None:
    """It had bootstrapped with another one when this one was put there, by whatever tool; the record says nothing."""
    for board in (of_the_cloud("other"), replace(of_the_cloud("other"), record={})):
        assert "bootstrapped-with-other" in {reason.code for reason in differences(board, ITEMS_WANTED)}
        with pytest.raises(BoardError, match=r"already bootstrapped .*\(common name: other\)"):
            work_for(board, ITEMS_WANTED, REFUSE)
        assert work_for(board, ITEMS_WANTED, KEEP_IDENTITY).bootstrap == "keep-identity"
        assert work_for(board, ITEMS_WANTED, NEW_IDENTITY).bootstrap == "new-identity"
        assert work_for(board, OTHER, REFUSE).bootstrap == "as-is", "the one that it has used"


def test_what_it_bootstrapped_with_is_not_taken_from_the_record() -> None:
    unknown = of_the_cloud(None)
    assert not work_for(unknown, ITEMS_WANTED, REFUSE).changes, "nothing says that it is not in order"
    with pytest.raises(BoardError, match=r"\(common name: not known\)"):
        work_for(replace(unknown, record={}), ITEMS_WANTED, REFUSE)
    assert work_for(replace(unknown, record={}), ITEMS_WANTED, KEEP_IDENTITY).bootstrap == "keep-identity"


def test_a_lost_certificate_is_healed_under_the_same_identity() -> None:
    lost = replace(
        GOOD,
        certificates={name: held for name, held in GOOD.certificates.items() if name != kcm.DEVELOPER_CERTIFICATE},
        files=without(kcm.DEVELOPER_CERTIFICATE),
        status_code=1,
        status="Item does not exist:mbed.BootstrapDeviceCert",
    )
    assert work_for(lost, ITEMS_WANTED, REFUSE).bootstrap == "as-is"
    with pytest.raises(BoardError, match="already bootstrapped"):
        work_for(lost, OTHER, REFUSE)


def test_a_board_that_never_bootstrapped_takes_another_certificate_without_ado() -> None:
    configured = replace(GOOD, files=without(kcm.LWM2M_SERVER_URI))
    assert work_for(configured, OTHER, REFUSE).bootstrap == "not-yet"


def test_without_the_utility_nothing_is_planned() -> None:
    with pytest.raises(BoardError, match="pelion-provisioning-util"):
        work_for(Inspection(has_utility=False), ITEMS_WANTED, REFUSE)
    with pytest.raises(BoardError, match="pelion-provisioning-util"):
        work_for(replace(GOOD, has_utility=False), ITEMS_WANTED, REFUSE)


def test_reasons_are_told_in_words() -> None:
    [nothing], [no_record] = differences(FRESH, ITEMS_WANTED), differences(replace(GOOD, record={}), ITEMS_WANTED)
    assert nothing.text(WORK_REASONS) == "it holds none of the credentials"
    assert no_record.text(WORK_REASONS) == "it has no record of what was injected"
