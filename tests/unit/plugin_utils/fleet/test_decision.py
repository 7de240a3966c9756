# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet's decision, over a real store and the lab's cloud. Boards are described, not simulated."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cloud import Cloud
from cloud_access import api_of, calls, held, store_at
from credential_samples import update_values

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import record_of
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.client_log import ClientLog
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import Items
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.certified import describe_certificate
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.developer_credentials import DeveloperCredentials
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import derive_ids
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.decision import (
    Decision,
    Fleet,
    decide,
    decide_and_reserve,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.gets import gets
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.host_keys import HostKeys
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.member import Member
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import Remembered
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.part import Part
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reasons import FLEET_REASONS
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reservations import FILE, Reservations
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.stock import read_stock
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.wishes import (
    WHEN_UPDATE_UNKNOWN,
    UpdateWish,
    WhenUpdateUnknown,
    Wishes,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.reasons import Reason
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.developer_certificates import (
    DEVICES_PER_CERTIFICATE,
    DeveloperCertificateKeeper,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.update_keeper import Renewal, UpdateKeeper
from ansible_collections.pelion.mbl.plugins.plugin_utils.times import time_text

UPDATE = UpdateWish("update", vendor_domain="example.com", device_class="board")
WISHES = Wishes("bench", UPDATE)
KEY = "SHA256:" + "k" * 43
FRESH = Inspection(has_utility=True)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_at(tmp_path / "team")


def have(cloud: Cloud, store: Store, dev_cert: str = "bench", update: str = "update") -> Items:
    """Both credentials, in cloud and store."""
    DeveloperCertificateKeeper(api_of(cloud), store, dev_cert).present()
    UpdateKeeper(store, update).present(ids=derive_ids("example.com", "board"), subject="CN=example.com")
    return stored_items(store, dev_cert, update)


def stored_items(store: Store, dev_cert: str = "bench", update: str = "update") -> Items:
    developer, resources = store.read(DeveloperCredentials, dev_cert), store.read(UpdateResources, update)
    assert developer and resources
    return Items.of(developer.values, resources.values)


def board_with(items: Items, device_id: str | None, **changes: Any) -> Inspection:
    """A board that was provisioned with ``items`` and has registered as ``device_id``."""
    record = record_of(items)
    name = describe_certificate(items.developer_certificate)["common_name"]
    held = {
        kcm.DEVELOPER_CERTIFICATE: record["developer_certificate"],
        kcm.UPDATE_CERTIFICATE: record["update_certificate"],
        kcm.LWM2M_CERTIFICATE: "of the cloud",
    }
    board = Inspection(
        has_utility=True,
        files=tuple(kcm.file_name(name) for name in (*kcm.FACTORY_ITEMS, kcm.LWM2M_SERVER_URI)),
        certificates={
            item: {"fingerprint": fingerprint, "common_name": name, "account_id": None, "not_after": None}
            for item, fingerprint in held.items()
        },
        kcm_digest="d1",
        record={**record, "kcm": "d1"},
        status_code=0,
        client_runs=True,
        log=ClientLog(True, device_id),
    )
    return replace(board, **changes)


def devices_under(cloud: Cloud, store: Store, count: int, dev_cert: str = "bench") -> list[str]:
    stored = store.read(DeveloperCredentials, dev_cert)
    assert stored and stored.certificate_id
    return cloud.state.seed_devices(count, stored.certificate_id)


def device_under(cloud: Cloud, store: Store, dev_cert: str = "bench") -> str:
    return devices_under(cloud, store, 1, dev_cert)[0]


Deciding = Callable[..., Decision]


@pytest.fixture
def deciding(cloud: Cloud, store: Store) -> Deciding:
    def run(
        boards: Mapping[str, Inspection],
        wishes: Wishes | Mapping[str, Wishes] = WISHES,
        *,
        verify: bool = True,
        remembered: Mapping[str, Remembered] | None = None,
        src: UpdateResources | None = None,
        store: Store = store,
        reservations: Reservations | None = None,
        keys: Mapping[str, HostKeys] | None = None,
        there: Collection[str] = (),
        dry_run: bool = False,
    ) -> Decision:
        members = [
            Member(
                name, wishes if isinstance(wishes, Wishes) else wishes[name], board, (keys or {}).get(name, HostKeys())
            )
            for name, board in boards.items()
        ]
        fleet = Fleet(members, remembered or {}, there=there)
        stock = read_stock(store, api_of(cloud) if verify else None, lambda path: src, fleet.admitted)
        if reservations is None:
            return decide(fleet, stock)
        return decide_and_reserve(fleet, stock, reservations, dry_run=dry_run)

    return run


def reasons(decision: Decision) -> dict[str, str]:
    return {name: part.refused.message(FLEET_REASONS) for name, part in decision.parts.items() if part.refused}


def codes(decision: Decision) -> dict[str, str]:
    return {name: part.refused.code for name, part in decision.parts.items() if part.refused}


def test_a_fresh_fleet_gets_what_is_made_first(deciding: Deciding) -> None:
    decision = deciding({"a": FRESH, "b": FRESH})
    assert decision.dev_certs == ["bench"]
    assert decision.updates == [UPDATE]
    assert decision.parts["a"] == Part(
        dev_cert="bench",
        update_resources="update",
        to_be_made=True,
        registration_timeout=WISHES.registration_timeout,
    )
    assert set(decision.parts) == {"a", "b"}


def test_a_proven_fleet_gets_nothing_and_costs_two_calls(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    items = have(cloud, store)
    boards = {f"board-{number}": board_with(items, device_under(cloud, store)) for number in range(5)}
    before = calls(cloud)
    decision = deciding(boards)
    assert decision.parts == {}
    assert set(decision.proven) == set(boards)
    assert calls(cloud) - before == {"GET /v3/trusted-certificates": 1, "GET /v3/devices/": 1}


def test_each_board_gets_its_own_wishes(deciding: Deciding) -> None:
    other = replace(WISHES, dev_cert="other", update=replace(UPDATE, name="other-update"), registration_timeout=7)
    other = replace(other, when_bootstrapped="keep_identity", site="north")
    decision = deciding({"a": FRESH, "b": FRESH}, {"a": WISHES, "b": other})
    assert decision.dev_certs == ["bench", "other"]
    assert [wish.name for wish in decision.updates] == ["other-update", "update"]
    assert decision.parts["b"] == Part(
        dev_cert="other",
        update_resources="other-update",
        to_be_made=True,
        when_bootstrapped="keep_identity",
        registration_timeout=7,
        site="north",
    )


def test_two_ways_to_make_the_same_resources_are_refused_for_their_boards_only(deciding: Deciding) -> None:
    otherwise = replace(WISHES, update=replace(UPDATE, vendor_domain="example.org"))
    third = replace(WISHES, update=replace(UPDATE, name="third"))
    decision = deciding({"a": FRESH, "b": FRESH, "c": FRESH}, {"a": WISHES, "b": otherwise, "c": third})
    assert set(reasons(decision)) == {"a", "b"}
    assert "2 different ways" in reasons(decision)["a"]
    assert [wish.name for wish in decision.updates] == ["third"]


@pytest.mark.parametrize(
    "given", [{"vendor_domain": "a.com"}, {"device_class": "c"}, {"vendor_id": "0"}, {"class_id": "0"}]
)
def test_half_a_wish_is_told_also_where_the_store_has_the_resources(
    cloud: Cloud, store: Store, deciding: Deciding, given: dict[str, str]
) -> None:
    have(cloud, store)
    decision = deciding(fresh("a"), replace(WISHES, update=UpdateWish("update", **given)))
    assert "Half of what the IDs" in reasons(decision)["a"]


def test_one_odd_wish_refuses_its_own_board_only(deciding: Deciding) -> None:
    nothing = replace(WISHES, update=UpdateWish("nothing-to-make-it-from"))
    half = replace(WISHES, update=UpdateWish("half", vendor_domain="example.com"))
    decision = deciding({"a": FRESH, "b": FRESH, "c": FRESH}, {"a": WISHES, "b": nothing, "c": half})
    assert set(reasons(decision)) == {"b", "c"}
    assert "provision_pelion_device_class" in reasons(decision)["c"]


def test_with_an_empty_store_no_known_board_loses_its_update_certificate_and_no_key_is_made(
    cloud: Cloud, store: Store, deciding: Deciding, tmp_path: Path
) -> None:
    items = have(cloud, store)
    boards = {"old": board_with(items, device_under(cloud, store)), "fresh": FRESH}
    empty = store_at(tmp_path / "a colleague's")
    decision = deciding(boards, store=empty)
    assert decision.updates == []
    assert decision.dev_certs == []
    assert str(empty.directory) in reasons(decision)["old"]
    assert "No key is made" in reasons(decision)["fresh"]
    assert "old holds" in reasons(decision)["fresh"]
    alone = deciding({"old": boards["old"]}, store=empty)
    assert alone.common_message() == f"old: {reasons(alone)['old']}"
    assert codes(decision) == {"old": "update-unknown", "fresh": "no-key-made"}
    replacing = replace(WISHES, when_update_unknown="replace")
    assert reasons(deciding(boards, replacing, store=empty)) == {}
    assert deciding(boards, replacing, store=empty).updates == [UPDATE]


def test_an_unknown_certificate_keeps_only_new_keys_from_being_made(
    cloud: Cloud, store: Store, deciding: Deciding, tmp_path: Path
) -> None:
    strange = board_with(have(cloud, store_at(tmp_path / "elsewhere")), None)
    have(cloud, store)
    UpdateKeeper(store, "short").present(ids=derive_ids("example.com", "board"), valid_days=400)
    assert codes(deciding({"a": FRESH, "strange": strange})) == {"strange": "update-unknown"}
    file = replace(WISHES, update=UpdateWish("of a file", src="x.c"))
    given = UpdateResources(update_values())
    assert codes(deciding({"a": FRESH, "strange": strange}, file, src=given)) == {"strange": "update-unknown"}
    renewed = replace(WISHES, update=replace(UPDATE, name="short", replace=True, renew_before_days=500))
    decision = deciding({"a": FRESH, "strange": strange}, renewed)
    assert codes(decision) == {"strange": "update-unknown"} and decision.updates


def test_a_known_certificate_of_another_name_or_time_is_no_reason_to_refuse(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    items = have(cloud, store, update="earlier-name")
    have(cloud, store)
    board = board_with(items, device_under(cloud, store))
    decision = deciding({"a": board})
    assert reasons(decision) == {}
    assert decision.warnings == [w for w in decision.warnings if "new to the team" in w]
    other = board_with(items, device_under(cloud, store))
    both = {"a": WISHES, "b": replace(WISHES, when_update_unknown="replace")}
    assert reasons(deciding({"a": board, "b": other}, both)) == {}
    UpdateKeeper(store, "earlier-name").present(renewal=Renewal(before_days=399), valid_days=400)
    UpdateKeeper(store, "earlier-name").present(renewal=Renewal(before_days=9999), valid_days=10000)
    assert reasons(deciding({"a": board})) == {}


def test_the_file_that_the_board_was_provisioned_from_makes_its_certificate_known(
    cloud: Cloud, store: Store, deciding: Deciding, tmp_path: Path
) -> None:
    items = have(cloud, store)
    board = board_with(items, device_under(cloud, store))
    given = store.read(UpdateResources, "update")
    wishes = replace(WISHES, update=UpdateWish("update", src="update_default_resources.c"))
    decision = deciding({"a": board}, wishes, store=store_at(tmp_path / "empty"), src=replace(given, private_key=None))
    assert reasons(decision) == {}
    assert [wish.name for wish in decision.updates] == ["update"]


@pytest.mark.parametrize("policy", WHEN_UPDATE_UNKNOWN)
def test_a_file_that_the_store_has_under_another_name_is_told_as_long_as_it_is_not_stored_again(
    cloud: Cloud, store: Store, deciding: Deciding, policy: WhenUpdateUnknown
) -> None:
    board = board_with(have(cloud, store, update="old"), device_under(cloud, store))
    stored = store.read(UpdateResources, "old")
    wishes = replace(WISHES, update=UpdateWish("new", src="resources.c"), when_update_unknown=policy)
    decision = deciding({"a": board}, wishes, src=stored)
    assert (decision.parts, decision.updates) == ({}, [])
    [told] = [text for text in decision.warnings if "resources.c is in the team store as 'old', not 'new'" in text]
    assert "Set provision_pelion_update_resources to 'old';" in told
    both = deciding({"a": board, "new": FRESH}, wishes, src=stored)
    assert [wish.name for wish in both.updates] == ["new"]
    assert not [text for text in both.warnings if "resources.c" in text]


def test_variables_do_not_change_what_the_store_has(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    board = board_with(have(cloud, store), device_under(cloud, store))
    other = UpdateResources(update_values(), source="other.c")
    file = UpdateWish("update", src="other.c")
    for wish in (file, replace(file, vendor_domain="example.com"), replace(UPDATE, device_class="other")):
        decision = deciding({"a": board}, replace(WISHES, update=wish), src=other)
        assert codes(decision) == {"a": "update-differs"} and decision.updates == []
    rotating = deciding({"a": board}, replace(WISHES, update=replace(file, replace=True)), src=other)
    assert codes(rotating) == {} and rotating.parts["a"].to_be_made
    assert [wish.arguments() for wish in rotating.updates] == [{"name": "update", "src": "other.c", "replace": True}]


def test_a_file_is_not_renewed_silently(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    have(cloud, store)
    given = store.read(UpdateResources, "update")
    wish = UpdateWish("update", src="old.c", renew_if_made_before="2999-01-01", replace=True)
    made_before = time_text(given.made_at + timedelta(seconds=1))
    time.sleep(max(0.0, (given.made_at + timedelta(seconds=1) - datetime.now(timezone.utc)).total_seconds()))
    wish = replace(wish, renew_if_made_before=made_before)
    decision = deciding(fresh("a"), replace(WISHES, update=wish), src=given)
    assert codes(decision) == {"a": "update-not-renewed"}
    assert "pelion.mbl.rotate" in reasons(decision)["a"]
    # Nor is one that was generated, but by a rotation.
    made = replace(UPDATE, renew_if_made_before=made_before)
    decision = deciding(fresh("a"), replace(WISHES, update=made))
    assert codes(decision) == {"a": "update-not-renewed"}
    rotating = deciding(fresh("a"), replace(WISHES, update=replace(made, replace=True)))
    assert [wish.arguments() for wish in rotating.updates] == [
        {
            "name": "update",
            "vendor_domain": "example.com",
            "device_class": "board",
            "renew_if_made_before": made_before,
        }
    ]


def test_a_certificate_that_ends_is_left_to_a_rotation_and_that_is_told(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    have(cloud, store)
    assert not [w for w in deciding(fresh("a")).warnings if "rotate" in w]
    UpdateKeeper(store, "short").present(ids=derive_ids("example.com", "board"), valid_days=400)
    short = replace(UPDATE, name="short", renew_before_days=500)
    decision = deciding(fresh("a"), replace(WISHES, update=short))
    assert codes(decision) == {} and decision.updates == []
    assert len([w for w in decision.warnings if "only pelion.mbl.rotate makes" in w]) == 1
    assert deciding(fresh("a"), replace(WISHES, update=replace(short, replace=True))).updates
    of_a_file = replace(short, src="short.c", vendor_domain="not asked, since there is a file " * 3, device_class="")
    decision = deciding(fresh("a"), replace(WISHES, update=of_a_file), src=store.read(UpdateResources, "short"))
    assert codes(decision) == {}
    [told] = [w for w in decision.warnings if "are to get a new certificate" in w]
    assert "only the manifest tool makes" in told
    # What is made now is new.
    decision = deciding(fresh("a"), replace(WISHES, update=replace(short, name="new")))
    assert [wish.name for wish in decision.updates] == ["new"]
    assert not [w for w in decision.warnings if "are to get a new certificate" in w]


def test_a_key_for_no_file_is_told(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    decision = deciding(fresh("a"), replace(WISHES, update=replace(UPDATE, private_key_src="key.pem")))
    assert codes(decision) == {"a": "update-wish"}
    assert "set provision_pelion_update_src" in reasons(decision)["a"]


def test_what_is_injected_without_a_signing_key_is_told_at_each_run(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    items = have(cloud, store)
    keyless = UpdateResources(update_values())
    file = replace(WISHES, update=UpdateWish("keyless", src="x.c"))
    for _run in range(2):
        decision = deciding({"a": FRESH, "b": board_with(items, None)}, file, src=keyless)
        told = [warning for warning in decision.warnings if "no signing key" in warning]
        assert len(told) == 1 and "'keyless'" in told[0] and "for a, b. " in told[0]
        assert ".manifest-dev-tool/dev.key.pem" in told[0] and "pelion.mbl.rotate" in told[0]
        store.write("keyless", keyless)
    with_key = deciding(fresh("a"))
    assert not [warning for warning in with_key.warnings if "no signing key" in warning]
    anew = deciding({"a": board_with(stored_items(store, update="keyless"), "0" * 32)}, file, src=keyless)
    assert anew.parts["a"].reconnect
    assert not [warning for warning in anew.warnings if "no signing key" in warning], "it is not injected"


def test_the_refusal_of_an_unknown_certificate_names_the_import_where_mbl_cli_had_its_store(
    cloud: Cloud, store: Store, deciding: Deciding, tmp_path: Path
) -> None:
    board = board_with(have(cloud, store), device_under(cloud, store))
    other = store_at(tmp_path / "other")
    DeveloperCertificateKeeper(api_of(cloud), other, "bench").present()
    boards = {"a": board, "b": FRESH}
    assert not any("import_mbl_cli" in reason for reason in reasons(deciding(boards, store=other)).values())
    (tmp_path / "other/config.json").write_text("{}")
    told = reasons(deciding(boards, store=other))
    assert set(told) == {"a", "b"}
    assert all(f"pelion.mbl.import_mbl_cli -e src={tmp_path / 'other'}" in reason for reason in told.values())


def test_a_board_that_would_ignore_a_new_certificate_lets_none_be_made(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    items = have(cloud, store)
    boards = {"a": board_with(items, device_under(cloud, store))}
    decision = deciding(boards, replace(WISHES, dev_cert="bnech"))
    assert decision.dev_certs == []
    assert "If the name is right" in decision.common_message()
    lost = {name: held for name, held in boards["a"].certificates.items() if name != kcm.DEVELOPER_CERTIFICATE}
    without = deciding({"a": replace(boards["a"], certificates=lost)}, replace(WISHES, dev_cert="next"))
    assert codes(without) == {"a": "would-ignore-certificate"} and without.dev_certs == []
    keep = replace(WISHES, dev_cert="next", when_bootstrapped="keep_identity")
    assert deciding(boards, keep).dev_certs == ["next"]
    waiting = replace(boards["a"], files=tuple(kcm.file_name(name) for name in kcm.FACTORY_ITEMS))
    assert deciding({"a": waiting}, replace(WISHES, dev_cert="next")).dev_certs == ["next"]
    have(cloud, store, dev_cert="next")
    refused = deciding(boards, replace(WISHES, dev_cert="next"))
    assert "already bootstrapped" in refused.common_message()
    for told in (decision, refused):
        assert (
            "The one held is 'bench': if that is right, set provision_pelion_dev_cert to it." in told.common_message()
        )


def test_spread_makes_and_names_only_what_is_needed(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    items = have(cloud, store, dev_cert="bench-01")
    boards: dict[str, Inspection] = {
        f"old-{number}": board_with(items, device_under(cloud, store, "bench-01")) for number in range(3)
    }
    spread = replace(WISHES, spread=True)
    assert deciding(boards, spread).dev_certs == []
    assert deciding(boards, spread).parts == {}
    decision = deciding({**boards, "new": FRESH}, spread)
    assert decision.dev_certs == []
    assert decision.parts["new"].dev_cert == "bench-01"


def test_a_holder_whose_log_was_rotated_keeps_its_place(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    items = have(cloud, store)
    devices_under(cloud, store, 60)
    boards = {f"board-{number}": board_with(items, None) for number in range(60)}
    decision = deciding(boards)
    assert reasons(decision) == {}
    assert {part.dev_cert for part in decision.parts.values()} == {"bench"}


def test_a_remembered_device_id_stands_in_for_a_rotated_log(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    items = have(cloud, store)
    board = board_with(items, None, log=ClientLog())
    remembered = {"a": Remembered((), device_under(cloud, store), "bench", "2026-01-01T00:00:00Z")}
    assert board.registered is None
    assert deciding({"a": board}, remembered=remembered).parts == {}
    assert deciding({"a": board}).parts["a"].reconnect == Reason("no-device-id")


@pytest.mark.parametrize("state", ["deregistered", "bootstrapped", "deleted"])
def test_a_board_that_the_directory_does_not_have_as_registered_registers_anew(
    cloud: Cloud, store: Store, deciding: Deciding, state: str
) -> None:
    items = have(cloud, store)
    device_id = device_under(cloud, store)
    if state == "deleted":
        cloud.state.delete_device(cloud.account_id, device_id)
    else:
        cloud.state.set_device_state(device_id, state)
    decision = deciding({"a": board_with(items, device_id)})
    assert decision.parts["a"].reconnect == (
        Reason("no-device", {"device_id": device_id})
        if state == "deleted"
        else Reason("device-state", {"state": state})
    )
    assert decision.proven == {}


def test_what_a_stranger_says_takes_nothing_from_a_board_of_the_roster(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    board = board_with(have(cloud, store), device_under(cloud, store))
    wishes = replace(WISHES, roster=(f"a {KEY}",))
    keys = {"a": HostKeys((KEY,)), "stranger": HostKeys((KEY.replace("k", "s"),))}
    decision = deciding({"a": board, "stranger": board}, wishes, keys=keys)
    assert codes(decision) == {"stranger": "not-in-roster"}
    assert set(decision.proven) == {"a"}


def test_a_board_that_never_bootstrapped_leaves_a_certificate_that_is_full_by_now(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    board = board_with(have(cloud, store, "bench-01"), None)
    board = replace(board, files=tuple(kcm.file_name(name) for name in kcm.FACTORY_ITEMS))
    devices_under(cloud, store, DEVICES_PER_CERTIFICATE, "bench-01")
    decision = deciding({"a": board}, replace(WISHES, spread=True))
    assert (decision.parts["a"].dev_cert, decision.dev_certs) == ("bench-02", ["bench-02"])


def test_a_board_that_will_be_another_device_leaves_a_certificate_that_is_full_by_now(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    """It was flashed anew, or is a clone, and its key makes it the board whose device is among those."""
    never = board_with(have(cloud, store, "bench-01"), None)
    never = replace(never, files=tuple(kcm.file_name(name) for name in kcm.FACTORY_ITEMS))
    device_id, *_others = devices_under(cloud, store, DEVICES_PER_CERTIFICATE, "bench-01")
    remembered = {"a": Remembered((KEY,), device_id, "bench-01", "2026-01-01T00:00:00Z")}
    again = replace(never, files=(*never.files, kcm.file_name(kcm.IDENTITY)))
    for board, dev_cert in ((never, "bench-02"), (again, "bench-01")):
        wishes, keys = replace(WISHES, spread=True), {"a": HostKeys((KEY,))}
        decision = deciding({"a": board}, wishes, remembered=remembered, keys=keys)
        assert decision.parts["a"].dev_cert == dev_cert


def test_a_board_whose_device_was_deleted_needs_a_place_again(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    items = have(cloud, store, "bench-01")
    devices_under(cloud, store, DEVICES_PER_CERTIFICATE - 1, "bench-01")
    boards = {"new": FRESH, "old": board_with(items, "0" * 31 + "1")}
    decision = deciding(boards, replace(WISHES, spread=True))
    assert {name: part.dev_cert for name, part in decision.parts.items()} == {"new": "bench-02", "old": "bench-01"}
    assert decision.places == {"new": "bench-02", "old": "bench-01"}


def test_a_board_whose_device_nobody_knows_needs_a_place_where_all_devices_are_those_of_others(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    items = have(cloud, store, "bench-01")
    devices = devices_under(cloud, store, DEVICES_PER_CERTIFICATE - 1, "bench-01")
    boards = {"new": FRESH, "old": board_with(items, None)}
    for known, dev_cert in ((devices[1:], "bench-01"), (devices, "bench-02")):
        remembered = {one: Remembered((), one, "bench-01", "2026-01-01T00:00:00Z") for one in known}
        decision = deciding(boards, replace(WISHES, spread=True), remembered=remembered)
        assert decision.parts["new"].dev_cert == dev_cert


def test_a_board_whose_device_was_deleted_leaves_a_certificate_that_is_full_by_now(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    board = board_with(have(cloud, store, "bench-01"), "0" * 31 + "1")
    devices_under(cloud, store, DEVICES_PER_CERTIFICATE, "bench-01")
    spread = replace(WISHES, spread=True)
    moved = deciding({"a": board}, replace(spread, when_bootstrapped="keep_identity"))
    assert (moved.parts["a"].dev_cert, moved.dev_certs) == ("bench-02", ["bench-02"])
    stays = deciding({"a": board}, spread)
    assert (stays.parts["a"].dev_cert, stays.dev_certs) == ("bench-01", [])
    # Nor does one whose device is there, or is not known.
    for device_id in (device_under(cloud, store, "bench-01"), None):
        there = replace(board, log=ClientLog(True, device_id), status_code=1)
        stays = deciding({"a": there}, replace(spread, when_bootstrapped="keep_identity"))
        assert (stays.parts["a"].dev_cert, stays.dev_certs) == ("bench-01", [])


def test_copied_boards_are_not_in_order(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    items = have(cloud, store)
    device_id = device_under(cloud, store)
    board, other = board_with(items, device_id), board_with(items, device_under(cloud, store))
    decision = deciding({"a": board, "b": board, "other": other})
    assert codes(decision) == {"a": "copied", "b": "copied"}
    assert "as b:" in reasons(decision)["a"]
    assert set(decision.proven) == {"other"}
    remembered = {"a": Remembered((KEY,), device_id, "bench", "2026-01-01T00:00:00Z")}
    in_another_batch = deciding({"b": board}, remembered=remembered, there={"a", "b"})
    assert codes(in_another_batch) == {"b": "copied"}
    gone = deciding({"b": board}, remembered=remembered, there={"b"})
    assert set(gone.proven) == {"b"}


def test_a_renamed_board_is_in_order_and_told(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    items = have(cloud, store)
    device_id = device_under(cloud, store)
    remembered = {"a": Remembered((KEY,), device_id, "bench", "2026-01-01T00:00:00Z")}
    refusing = replace(WISHES, new_boards="refuse")
    board = board_with(items, None, log=ClientLog())
    keys = {"today": HostKeys((KEY,))}
    decision = deciding({"today": board}, refusing, remembered=remembered, keys=keys)
    assert set(decision.proven) == {"today"}
    assert [warning for warning in decision.warnings if "today (was a)" in warning]
    assert not [warning for warning in decision.warnings if "new to the team" in warning]


def test_boards_are_told_whose_devices_others_keep_from_them(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    items = have(cloud, store)
    ours, gone = devices_under(cloud, store, 2)
    boards = {"a": board_with(items, ours), "b": board_with(items, gone), "new": FRESH}
    keys = {name: HostKeys((f"SHA256:{name * 43}",)) for name in boards}
    own = Remembered(("SHA256:" + "a" * 43,), ours, "bench", "2026-01-01T00:00:00Z")
    remembered = {"a": own, "gone": replace(own, host_keys=(KEY,), device_id=gone)}
    decision = deciding(boards, remembered=remembered, keys=keys)
    [told] = [warning for warning in decision.warnings if "does not remember them as theirs" in warning]
    assert "b (as gone)." in told and "forget_host with -e boards=gone, then" in told and "a (as" not in told
    forgotten = {**remembered, "gone": replace(remembered["gone"], host_keys=())}
    assert not [w for w in deciding(boards, remembered=forgotten, keys=keys).warnings if "does not remember" in w]


def test_what_host_keys_do_not_prove_is_told_once(deciding: Deciding) -> None:
    unproven = HostKeys(unproven="ssh does not check host keys")
    remembered = {"b": Remembered((KEY,), None, "bench", "2026-01-01T00:00:00Z")}
    keys = {"a": unproven, "b": HostKeys(("SHA256:other",)), "c": unproven}
    told = deciding({"a": FRESH, "b": FRESH, "c": FRESH}, remembered=remembered, keys=keys).warnings
    assert [t for t in told if "ssh" in t] == [
        "Nothing proves which boards answered as a, c, since ssh does not check host keys.",
        "Their ssh host keys have changed since the team provisioned them, so they were flashed anew, or other "
        "machines answer in their places: b.",
    ]
    assert [t.endswith(": a, c.") for t in told if "new to the team" in t] == [True]


def test_boards_for_which_somebody_vouched_are_not_told_as_new_or_changed(deciding: Deciding) -> None:
    pinned = HostKeys((KEY,), pinned=True)
    remembered = {"changed": Remembered(("SHA256:former",), None, "bench", "2026-01-01T00:00:00Z")}
    wishes = {"new": WISHES, "changed": WISHES, "named": replace(WISHES, roster=("named",))}
    keys = {"new": pinned, "changed": replace(pinned, fingerprints=(KEY.upper(),))}
    assert deciding(fresh(*wishes), wishes, remembered=remembered, keys=keys).warnings == []


def test_entries_of_a_roster_that_can_match_nothing_are_told(deciding: Deciding) -> None:
    roster = ("a", "b", *(f"SHA256:{letter}" for letter in "zyxwv"))
    told = deciding(fresh("a", "b"), replace(WISHES, roster=roster)).warnings
    assert [entry.split()[0] for entry in told] == [f"'SHA256:{letter}'" for letter in "vwxyz"]


def test_without_the_cloud_the_stored_certificates_count(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    items = have(cloud, store)
    have(cloud, store, dev_cert="bench-01")
    spread = stored_items(store, "bench-01")
    before = calls(cloud)
    assert deciding({"a": board_with(items, "0" * 32)}, verify=False).parts == {}
    wishes = replace(WISHES, spread=True)
    assert deciding({"a": board_with(spread, "0" * 32)}, wishes, verify=False).proven == {"a": "bench-01"}
    moving = replace(WISHES, dev_cert="next", spread=True, when_bootstrapped="keep_identity")
    both = {"a": board_with(items, "0" * 32), "b": board_with(items, "1" * 32)}
    assert deciding(both, {"a": moving, "b": WISHES}, verify=False).parts["a"].dev_cert == "next"
    assert calls(cloud) == before


def test_no_room_refuses_only_those_without_a_place(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    have(cloud, store)
    devices_under(cloud, store, 99)
    for_nobody = replace(WISHES, update=replace(UPDATE, name="for nobody"))
    decision = deciding({"a": FRESH, "b": FRESH}, {"a": WISHES, "b": for_nobody})
    assert set(reasons(decision)) == {"b"}
    assert decision.parts["a"].dev_cert == "bench"
    assert decision.updates == []


def test_an_inactive_certificate_is_given_to_nobody_new(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    items = have(cloud, store)
    held = board_with(items, device_under(cloud, store))
    certificate_id = store.read(DeveloperCredentials, "bench").certificate_id
    cloud.state.update_certificate(cloud.account_id, certificate_id, {"status": "INACTIVE"})
    damaged = board_with(items, device_under(cloud, store), status_code=1)
    decision = deciding({"held": held, "damaged": damaged, "fresh": FRESH})
    assert "INACTIVE" in reasons(decision)["damaged"]
    assert "inactive" in reasons(decision)["fresh"]
    assert set(decision.proven) == {"held"}


def test_a_certificate_that_has_ended_is_given_to_nobody_new(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    have(cloud, store)
    cloud.state.reissue_certificate(store.read(DeveloperCredentials, "bench").certificate_id, days_left=0)
    assert "expired" in reasons(deciding({"fresh": FRESH}))["fresh"]


def test_a_stranger_costs_the_others_nothing(cloud: Cloud, store: Store, deciding: Deciding, tmp_path: Path) -> None:
    items = have(cloud, store_at(tmp_path / "somebody else's"))
    stranger = board_with(items, None)
    wishes = replace(WISHES, roster=("a",))
    decision = deciding({"a": FRESH, "stranger": stranger}, wishes)
    assert "roster" in reasons(decision)["stranger"]
    assert decision.updates == [UPDATE]
    assert not decision.parts["a"].refused


def test_a_board_without_the_utility_is_refused_alone(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    have(cloud, store)
    decision = deciding({"a": FRESH, "b": Inspection(has_utility=False)})
    assert set(reasons(decision)) == {"b"}


@pytest.mark.parametrize(
    "wish",
    [
        UpdateWish("update"),
        UpdateWish("update", vendor_id="x", class_id="y"),
        UpdateWish("update", vendor_id="1" * 32, class_id="y"),
        UpdateWish("update", vendor_id="0" * 32, class_id="0" * 32),
        UpdateWish("update", vendor_domain="nodot", device_class="c"),
        UpdateWish("update", vendor_domain=f"{'long' * 20}.com", device_class="c"),
        UpdateWish("update", vendor_domain="example.com"),
        UpdateWish("update", private_key_src="key.pem"),
        UpdateWish("update", vendor_domain="example.com", device_class="c", vendor_id="0" * 32, class_id="0" * 32),
        *(
            UpdateWish("update", vendor_domain="example.com", device_class="c", replace=True, **renewal)
            for renewal in (
                {"renew_before_days": 99999},
                {"renew_if_made_before": "9999-01-01"},
                {"renew_if_made_before": "yesterday"},
            )
        ),
    ],
)
def test_what_is_wrong_with_a_wish_names_the_role_s_variables(store: Store, wish: UpdateWish) -> None:
    member = Member("a", replace(WISHES, update=wish), FRESH)
    problem = read_stock(store, None, lambda path: None, [member]).updates[wish].problem
    assert problem and problem.code == "update-wish"
    text = problem.facts["text"]
    assert "provision_pelion_" in text and text.endswith(".")
    options = "src|private_key_src|vendor_domain|device_class|vendor_id|class_id|renew_[a-z_]+|valid_days|subject"
    assert not re.findall(rf"(?<!\w)(?:{options})\b", text), text
    assert re.fullmatch(f"(?:{options})|update_(?:{options})", text.partition("provision_pelion_")[2].split()[0]), text


def test_a_damaged_entry_of_the_store_is_told_and_not_written_over(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    have(cloud, store)
    [entry] = store.directory.glob("*bench*")
    entry.write_text("damaged")
    decision = deciding(fresh("a"))
    assert codes(decision) == {"a": "store"} and decision.dev_certs == []


def test_one_is_made_for_a_board_beside_others_that_need_none(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    proven = board_with(have(cloud, store), device_under(cloud, store))
    wishes = {"proven": WISHES, "new": replace(WISHES, dev_cert="other")}
    assert deciding({"proven": proven, "new": FRESH}, wishes).dev_certs == ["other"]


def test_a_device_counts_for_its_certificate_and_for_none_that_is_gone(cloud: Cloud, store: Store) -> None:
    have(cloud, store)
    device_id = device_under(cloud, store)
    stock = read_stock(store, api_of(cloud), lambda path: None, [Member("a", WISHES, FRESH)])
    assert stock.cloud and stock.cloud.counts(device_id, "bench")
    assert not stock.cloud.counts(device_id, "gone") and not stock.cloud.counts("0" * 32, "bench")
    assert not stock.cloud.counts(None, "bench")
    have(cloud, store, "other")
    stock = read_stock(store, api_of(cloud), lambda path: None, [Member("a", WISHES, FRESH)])
    assert stock.cloud and not stock.cloud.counts(device_id, "other")


def test_only_a_board_whose_device_is_gone_may_leave_its_certificate(cloud: Cloud, store: Store) -> None:
    items, anew = have(cloud, store), replace(WISHES, when_bootstrapped="keep_identity")
    there = device_under(cloud, store)
    stock = read_stock(store, api_of(cloud), lambda path: None, [Member("a", WISHES, FRESH)])
    assert stock.cloud
    for wishes, device_id, may in (
        (anew, "0" * 32, True),
        (anew, there, False),
        (anew, None, False),
        (WISHES, "0" * 32, False),
    ):
        assert stock.cloud.may_leave(Member("a", wishes, board_with(items, device_id))) is may


def test_what_the_cloud_has_lost_is_made_again_and_names_nothing(cloud: Cloud, store: Store) -> None:
    items = have(cloud, store)
    holder = Member("a", WISHES, board_with(items, None))
    found = read_stock(store, api_of(cloud), lambda path: None, [holder])
    assert found.is_ready("bench") and found.held_name(holder) == {"holds": "bench"}
    api_of(cloud).delete_trusted_certificate(store.read(DeveloperCredentials, "bench").certificate_id)
    lost = read_stock(store, api_of(cloud), lambda path: None, [holder])
    assert not lost.is_ready("bench") and lost.held_name(holder) == {}
    unasked = read_stock(store, None, lambda path: None, [holder])
    assert unasked.is_ready("bench") and unasked.held_name(holder) == {}


def test_a_certificate_of_the_cloud_that_the_store_lacks_is_fetched(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    items = have(cloud, store)
    board = board_with(items, device_under(cloud, store))
    damaged = board_with(items, device_under(cloud, store), status_code=1)
    store.remove(DeveloperCredentials, "bench")
    decision = deciding({"a": board, "damaged": damaged, "fresh": FRESH})
    assert decision.dev_certs == ["bench"]
    assert not any(part.refused or part.reconnect for part in decision.parts.values())
    assert {name for name, part in decision.parts.items() if part.holds} == {"a"}, "what is fetched"
    cloud.state.certificates_of(cloud.account_id)[0].status = "INACTIVE"
    assert set(codes(deciding({"a": board})).values()) == {"certificate-inactive"}, "it could not be fetched"


def test_a_board_that_bootstrapped_with_another_one_gets_none_fetched(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    board = board_with(have(cloud, store), device_under(cloud, store))
    have(cloud, store, "other")
    store.remove(DeveloperCredentials, "other")
    decision = deciding({"a": board}, replace(WISHES, dev_cert="other"))
    assert (codes(decision), decision.dev_certs) == ({"a": "bootstrapped"}, [])


def test_a_certificate_that_is_another_one_in_the_cloud_by_now_is_fetched(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    have(cloud, store)
    cloud.state.reissue_certificate(store.read(DeveloperCredentials, "bench").certificate_id, days_left=99)
    decision = deciding(fresh("a"))
    assert decision.dev_certs == ["bench"] and decision.parts["a"].to_be_made


def test_what_the_directory_says_of_a_bootstrap_goes_with_the_work(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    device_id = device_under(cloud, store) if have(cloud, store) else ""
    damaged = board_with(stored_items(store), device_id, status_code=1)
    told = cloud.state.device(cloud.account_id, device_id).to_json()["bootstrapped_timestamp"]
    assert told is not None
    decision = deciding({"a": damaged})
    assert decision.parts["a"].bootstrapped_at == told
    assert decision.places == {}, "it has one"
    assert deciding({"a": FRESH}, verify=False).places == {}, "nobody counts"


def test_a_board_on_which_a_run_was_cut_off_is_put_in_order(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    board = board_with(have(cloud, store), device_under(cloud, store), interrupted=True)
    part = deciding({"a": board}).parts["a"]
    assert not part.reconnect and not part.refused


def test_a_provisioned_board_that_cannot_take_what_it_needs_is_refused(
    cloud: Cloud, store: Store, deciding: Deciding
) -> None:
    full = {"/config/user": {"free_kb": 10, "writable": True}}
    items = have(cloud, store)
    damaged = board_with(items, device_under(cloud, store), status_code=1, space=full)
    refused = deciding({"a": damaged}).parts["a"].refused
    assert refused and (refused.code, "holds" in refused.facts) == ("no-space", False)
    whole = replace(damaged, status_code=0)
    assert set(deciding({"a": whole}).proven) == {"a"}, "it needs nothing"


def test_a_certificate_that_ends_is_told_once(cloud: Cloud, store: Store) -> None:
    have(cloud, store)
    fleet = Fleet([Member(name, WISHES, FRESH) for name in "ab"])
    stock = read_stock(store, api_of(cloud), lambda path: None, fleet.admitted, warn_days=10**6)
    for field in ("MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE", "arm_uc_default_certificate"):
        assert len([told for told in decide(fleet, stock).warnings if told.startswith(f"{field} of")]) == 1


def test_boards_that_were_not_asked_are_refused_without_a_call(cloud: Cloud, store: Store) -> None:
    odd = Reason("wrong-variable", {"text": "odd"})
    fleet = Fleet([], {}, {"a": odd, "b": odd})
    decision = decide(fleet, read_stock(store, api_of(cloud), lambda path: None, fleet.admitted))
    assert decision.common_message() == "All 2 boards: odd"
    assert set(decision.parts) == {"a", "b"}
    assert not calls(cloud)


def test_what_check_mode_cannot_foresee_is_told_also_of_a_board_that_gets_nothing(deciding: Deciding) -> None:
    """A run puts it in order, and its client may take a place."""
    boards = fresh("a") | {"b": replace(FRESH, interrupted=True, damaged=("mbed.Manufacturer (BACKUP)",))}
    decision = deciding(boards, replace(WISHES, roster=("a",)))
    assert codes(decision) == {"b": "not-in-roster"}
    assert [text for text in decision.warnings if "An injection was cut off" in text]
    assert not [text for text in decision.warnings if "Damaged" in text]


def test_what_many_boards_lack_is_told_once(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    items = have(cloud, store)
    full = {"/var/log": {"free_kb": 0, "writable": True}}
    boards = {f"board-{n}": board_with(items, device_under(cloud, store), space=full) for n in range(30)}
    told = [warning for warning in deciding(boards).warnings if "/var/log" in warning]
    assert len(told) == 1
    assert "board-0, board-1" in told[0]
    assert "and 21 more" in told[0]


def test_nothing_is_made_for_a_board_that_cannot_take_it(deciding: Deciding) -> None:
    full = replace(FRESH, space={"/config/user": {"free_kb": 10, "writable": True}})
    decision = deciding({"a": full})
    assert "10 kB free" in decision.common_message()
    assert codes(deciding({"a": replace(full, has_utility=False)})) == {"a": "no-utility"}, "the first thing in its way"
    assert decision.dev_certs == []
    assert decision.updates == []


def test_parts_travel_small() -> None:
    part = Part(dev_cert="bench", update_resources="update", registration_timeout=120)
    assert part.to_json() == {"dev_cert": "bench", "update_resources": "update", "registration_timeout": 120}
    assert Part.from_json(part.to_json()) == part


def test_wishes_survive_the_way_from_task_to_task() -> None:
    wishes = replace(WISHES, roster=("a", "b"), spread=True)
    assert Wishes.from_json(json.loads(json.dumps(wishes.to_json()))) == wishes
    assert json.loads(json.dumps(wishes.to_json())) == wishes.to_json(), "plain JSON"


def fresh(*names: str) -> dict[str, Inspection]:
    return dict.fromkeys(names, FRESH)


@pytest.fixture
def reservations(store: Store) -> Reservations:
    return Reservations(store)


def test_a_place_is_given_once_though_the_cloud_does_not_count_it_yet(
    cloud: Cloud, store: Store, deciding: Deciding, reservations: Reservations
) -> None:
    have(cloud, store)
    devices_under(cloud, store, 97)
    assert reasons(deciding(fresh("a", "b"), reservations=reservations)) == {}
    other_site = reasons(deciding(fresh("c", "d"), reservations=reservations))
    assert set(other_site) == {"d"}
    assert "97 of 100 devices and 2 that other runs are adding" in other_site["d"]
    assert reasons(deciding(fresh("a", "b"), reservations=reservations)) == {}, "its own places are in nobody's way"


def test_a_dry_run_heeds_other_runs_places_and_takes_none(
    cloud: Cloud, store: Store, deciding: Deciding, reservations: Reservations
) -> None:
    have(cloud, store)
    devices_under(cloud, store, 98)
    assert reasons(deciding(fresh("a"), reservations=reservations)) == {}
    before = (store.directory / FILE).read_bytes()
    tried = deciding(fresh("b", "c"), reservations=reservations, dry_run=True)
    assert set(reasons(tried)) == {"c"}
    assert "1 that other runs are adding" in reasons(tried)["c"]
    assert (store.directory / FILE).read_bytes() == before
    (store.directory / FILE).write_text("[")
    damaged = deciding(fresh("b"), reservations=reservations, dry_run=True)
    assert [warning for warning in damaged.warnings if FILE in warning]


def test_a_board_that_the_cloud_counts_takes_one_place(
    cloud: Cloud, store: Store, deciding: Deciding, reservations: Reservations
) -> None:
    have(cloud, store)
    devices_under(cloud, store, 97)
    assert reasons(deciding(fresh("a", "b"), reservations=reservations)) == {}
    remembered = {
        name: Remembered((), device_under(cloud, store), "bench", "2026-01-01T00:00:00Z") for name in ("a", "b")
    }
    assert reasons(deciding(fresh("c"), reservations=reservations, remembered=remembered)) == {}
    assert set(reasons(deciding(fresh("d"), reservations=reservations, remembered=remembered))) == {"d"}


def test_a_board_of_two_runs_has_one_place_which_both_give_it(deciding: Deciding, reservations: Reservations) -> None:
    spread = replace(WISHES, spread=True)
    others = [f"n-{number}" for number in range(DEVICES_PER_CERTIFICATE)]
    one = deciding(fresh(*others), spread, reservations=reservations)
    two = deciding(fresh("a", *others), spread, reservations=reservations)
    assert {name: part.dev_cert for name, part in two.parts.items()} == {
        **{name: part.dev_cert for name, part in one.parts.items()},
        "a": "bench-02",
    }


def test_a_board_of_two_runs_that_wish_for_different_certificates_has_a_place_in_each(
    cloud: Cloud, store: Store, deciding: Deciding, reservations: Reservations
) -> None:
    other = replace(WISHES, dev_cert="other")
    for name in ("bench", "other"):
        have(cloud, store, name)
        devices_under(cloud, store, 99, name)
    for wishes in (WISHES, other, WISHES):  # whichever of the runs is started again
        assert reasons(deciding(fresh("a"), wishes, reservations=reservations)) == {}
    with reservations.locked() as reserved:
        assert held(reserved) == {"a": ["other", "bench"]}
    for wishes in (WISHES, other):
        for boards in (fresh("b"), fresh("a", "b")):
            assert set(codes(deciding(boards, wishes, reservations=reservations, dry_run=True))) == {"b"}
    apart = {"a": other, "b": WISHES}
    assert set(codes(deciding(fresh("a", "b"), apart, reservations=reservations, dry_run=True))) == {"b"}
    # Also when it is a device of the one that was given last: the run that gave it the other may be at it just now.
    device_id = device_under(cloud, store, "bench")
    remembered = {"a": Remembered((), device_id, "bench", time_text(datetime.now(timezone.utc)) or "")}
    assert set(codes(deciding(fresh("b"), other, reservations=reservations, remembered=remembered))) == {"b"}


def test_a_place_that_another_run_gives_to_a_board_which_this_one_refuses_is_not_free(
    cloud: Cloud, store: Store, deciding: Deciding, reservations: Reservations
) -> None:
    have(cloud, store)
    devices_under(cloud, store, 99)
    assert reasons(deciding(fresh("a"), reservations=reservations)) == {}
    wishes = {"a": replace(WISHES, roster=("b",)), "b": WISHES}
    found = codes(deciding(fresh("a", "b"), wishes, reservations=reservations))
    assert found == {"a": "not-in-roster", "b": "no-room-spread"}


@pytest.mark.parametrize("former", [KEY, KEY.replace("k", "f")])
def test_a_place_that_a_board_took_before_it_was_emptied_or_flashed_anew_is_not_free(
    cloud: Cloud, store: Store, deciding: Deciding, reservations: Reservations, former: str
) -> None:
    """Also as long as the cloud does not count its former device. What was given to it since then is its own."""
    have(cloud, store)
    devices_under(cloud, store, 98)
    assert reasons(deciding(fresh("a"), reservations=reservations)) == {}
    keys = {"a": HostKeys((KEY,))}
    for seen, found in ((timedelta(seconds=1), {"b"}), (timedelta(hours=-1), set())):
        moment = f"{datetime.now(timezone.utc) + seen:%Y-%m-%dT%H:%M:%SZ}"
        remembered = {"a": Remembered((former,), "0" * 31 + "1", "bench", moment)}
        decision = deciding(fresh("a", "b"), remembered=remembered, keys=keys, reservations=reservations, dry_run=True)
        assert set(codes(decision)) == found


def test_a_place_that_a_board_took_before_it_was_flashed_anew_is_not_given_to_it_again(
    cloud: Cloud, store: Store, deciding: Deciding, reservations: Reservations
) -> None:
    """Another run gives the last one to another board."""
    have(cloud, store)
    [former, *_others] = devices_under(cloud, store, 99)
    spread = replace(WISHES, spread=True)
    reservations.keep({"a": "bench"})
    moment = f"{datetime.now(timezone.utc) + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
    remembered = {"a": Remembered((KEY,), former, "bench", moment)}
    keys = {"a": HostKeys(("SHA256:anew",))}
    reservations.keep({"b": "bench"})
    found = deciding(fresh("a", "b"), spread, remembered=remembered, keys=keys, reservations=reservations)
    assert {name: part.dev_cert for name, part in found.parts.items()} == {"a": "bench-01", "b": "bench"}


def test_two_runs_fill_a_certificate_that_neither_has_made_yet(deciding: Deciding, reservations: Reservations) -> None:
    spread = replace(WISHES, spread=True)
    one, two = (
        deciding(fresh(*(f"{site}-{n}" for n in range(60))), spread, reservations=reservations) for site in "ns"
    )
    given = Counter(part.dev_cert for decision in (one, two) for part in decision.parts.values())
    assert given == {"bench-01": 100, "bench-02": 20}
    assert two.dev_certs == ["bench-01", "bench-02"]


def test_what_is_held_ends(
    cloud: Cloud, store: Store, deciding: Deciding, reservations: Reservations, monkeypatch: pytest.MonkeyPatch
) -> None:
    have(cloud, store)
    devices_under(cloud, store, 99)
    with monkeypatch.context() as patch:
        patch.setattr(f"{Reservations.__module__}.HELD_FOR", timedelta(seconds=-1))
        assert reasons(deciding(fresh("a"), reservations=reservations)) == {}
    assert reasons(deciding(fresh("b"), reservations=reservations)) == {}
    assert set(reasons(deciding(fresh("c"), reservations=reservations))) == {"c"}


def test_places_are_heeded_that_a_machine_with_another_clock_gives(
    store: Store, reservations: Reservations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to an hour; what ends later yet is no run's, and would be held for ever."""
    for board, hours in (("ahead", 1.9), ("odd", 2.5)):
        monkeypatch.setattr(f"{Reservations.__module__}.HELD_FOR", timedelta(hours=hours))
        reservations.keep({board: "bench"})
    monkeypatch.setattr(f"{Reservations.__module__}.HELD_FOR", timedelta(hours=1))
    assert held(reservations.noted()) == {"ahead": ["bench"]}


def test_boards_that_get_nothing_or_are_refused_hold_no_places(
    cloud: Cloud, store: Store, deciding: Deciding, reservations: Reservations
) -> None:
    items = have(cloud, store)
    deciding({"proven": board_with(items, device_under(cloud, store))}, reservations=reservations)
    stubborn = board_with(items, device_under(cloud, store))
    deciding({"stubborn": stubborn}, replace(WISHES, dev_cert="other"), reservations=reservations)
    assert not (store.directory / FILE).exists()
    proven = board_with(items, device_under(cloud, store))
    assert set(deciding({"proven": proven, "new": FRESH}, reservations=reservations).places) == {"new"}
    with reservations.locked() as reserved:
        assert held(reserved) == {"new": ["bench"]}


def test_others_places_are_heeded_also_when_none_can_be_noted(
    cloud: Cloud, store: Store, deciding: Deciding, reservations: Reservations, monkeypatch: pytest.MonkeyPatch
) -> None:
    have(cloud, store)
    devices_under(cloud, store, 98)
    deciding(fresh("theirs"), reservations=reservations)

    def keep(reservations: Reservations, places: Mapping[str, str]) -> None:
        raise StoreError("No space is left.")

    monkeypatch.setattr(Reservations, "keep", keep)
    decision = deciding(fresh("a", "b"), reservations=reservations)
    assert codes(decision) == {"b": "no-room-spread"}
    assert [told for told in decision.warnings if "No space is left." in told]


NOTED = '{"format": 1, "boards": {"a": {"certificate": "bench", "until": %s}}}'


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"format": 2}',
        '{"format": 1, "boards": {"a": {}}}',
        NOTED % 5,
        NOTED % '"soon"',
        NOTED % '"", "others": 5',
        "a directory",
    ],
)
def test_a_store_that_takes_no_notes_is_warned_of(
    cloud: Cloud, store: Store, deciding: Deciding, reservations: Reservations, content: str
) -> None:
    have(cloud, store)
    if content == "a directory":
        (store.directory / FILE).mkdir()
    else:
        (store.directory / FILE).write_text(content)
    decision = deciding(fresh("a"), reservations=reservations)
    assert decision.parts["a"].dev_cert == "bench"
    assert any("Other runs may use" in warning and FILE in warning for warning in decision.warnings)
    assert any("new to the team" in warning for warning in decision.warnings)


def test_a_board_that_moves_to_another_certificate_takes_a_place_there(
    cloud: Cloud, store: Store, deciding: Deciding, reservations: Reservations
) -> None:
    items = have(cloud, store)
    have(cloud, store, dev_cert="next")
    moving = board_with(items, device_under(cloud, store))
    wishes = replace(WISHES, dev_cert="next", when_bootstrapped="keep_identity")
    assert deciding({"a": moving}, wishes, reservations=reservations).places == {"a": "next"}
    with reservations.locked() as reserved:
        assert held(reserved) == {"a": ["next"]}


def test_a_proven_fleet_leaves_the_store_alone(
    cloud: Cloud, store: Store, deciding: Deciding, reservations: Reservations, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = have(cloud, store)
    board = board_with(items, device_under(cloud, store))
    monkeypatch.setattr(Store, "locked", lambda store: pytest.fail("nothing is reserved"))
    assert set(deciding({"a": board}, reservations=reservations).proven) == {"a"}


def test_others_wait_only_while_it_is_decided_and_noted(
    cloud: Cloud, store: Store, deciding: Deciding, reservations: Reservations, monkeypatch: pytest.MonkeyPatch
) -> None:
    have(cloud, store)
    locked = Reservations.locked
    asked = []

    @contextmanager
    def counting(reservations: Reservations) -> Iterator[Mapping[str, str]]:
        before = calls(cloud)
        with locked(reservations) as reserved:
            yield reserved
        asked.append(calls(cloud) - before)

    monkeypatch.setattr(Reservations, "locked", counting)
    decision = deciding(fresh("a", "b"), reservations=reservations)
    assert set(decision.places) == {"a", "b"}
    assert asked == [Counter()], "decided once, by what was read before"


def test_runs_that_decide_at_the_same_moment_overfill_nothing(
    cloud: Cloud, store: Store, deciding: Deciding, tmp_path: Path
) -> None:
    have(cloud, store)
    devices_under(cloud, store, 80)
    stores = [store_at(tmp_path / "team") for _run in range(8)]

    def run(number: int) -> int:
        boards = fresh(*(f"{number}-{board}" for board in range(5)))
        decision = deciding(boards, store=stores[number], reservations=Reservations(stores[number]))
        return sum(not part.refused for part in decision.parts.values())

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(run, range(8))) == 20


def test_what_each_board_gets_is_told_in_words(cloud: Cloud, store: Store, deciding: Deciding) -> None:
    items = have(cloud, store)
    right = board_with(items, device_under(cloud, store))
    gone = board_with(items, "0" * 32)
    UpdateKeeper(store, "short").present(ids=derive_ids("example.com", "board"), valid_days=400)
    replacing = replace(WISHES, update=replace(UPDATE, name="short", renew_before_days=500, replace=True))
    fleets = {
        "as it is": (WISHES, {"right": right, "gone": gone, "fresh": FRESH, "blind": Inspection(has_utility=False)}),
        "damaged": (WISHES, {"damaged": replace(right, status_code=1)}),
        "renewed": (replacing, {"right": right}),
        "of another name": (replace(WISHES, update=UpdateWish("short")), {"right": right}),
        "elsewhere": (replace(WISHES, dev_cert="other", when_bootstrapped="keep_identity"), {"right": right}),
    }
    told = {}
    for case, (wishes, boards) in fleets.items():
        fleet = Fleet([Member(name, wishes, board) for name, board in boards.items()])
        stock = read_stock(store, api_of(cloud), lambda path: None, fleet.admitted)
        told[case] = gets(fleet, stock, decide(fleet, stock))
    assert told == {
        "as it is": {
            "gone": f"registers anew, since the Device Directory does not have its device {'0' * 32}",
            "fresh": "the developer certificate 'bench' and the update certificate of 'update'",
        },
        "damaged": {"damaged": "the same credentials again"},
        "renewed": {"right": "a new update certificate of 'short'"},
        "of another name": {"right": "the update certificate of 'short'"},
        "elsewhere": {"right": "the developer certificate 'other', which is not in the team store yet"},
    }
