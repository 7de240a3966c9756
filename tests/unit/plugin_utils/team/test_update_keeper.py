# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import multiprocessing
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultSecret
from credential_samples import NOW, a_certificate, update_values
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.rules import (
    CLASS_ID,
    UPDATE_CERTIFICATE,
    CredentialError,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import (
    Recipe,
    RecipeError,
    derive_ids,
    make_update_resources,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import NoSecretError, Vault
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.update_keeper import (
    DifferentResourcesError,
    KeyNeededError,
    NothingToMakeError,
    NotRenewableError,
    Renewal,
    UpdateKeeper,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.times import time_text

DAY = timedelta(days=1)
IDS = derive_ids("example.com", "model1")
FORK = multiprocessing.get_context("fork")


def a_store(place: Path) -> Store:
    return Store(place / "store", Vault([("default", VaultSecret(b"x"))]), shared=True)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return a_store(tmp_path)


@pytest.fixture
def keeper(store: Store) -> UpdateKeeper:
    return UpdateKeeper(store, "gateway")


def test_makes_once_and_keeps(keeper: UpdateKeeper, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = keeper.present(ids=IDS, subject="CN=example.com", valid_days=400, now=NOW)
    assert made.changed and made.source == "made" and made.before == {}
    assert made.after["vendor_id"] == str(IDS[0]) and made.after["has_private_key"]
    stored = store.read(UpdateResources, "gateway")
    assert stored == made.credentials and stored and stored.private_key
    assert (
        made.facts
        == made.after
        == {
            "vendor_id": str(IDS[0]),
            "class_id": str(IDS[1]),
            "fingerprint": stored.fingerprint,
            "subject": "CN=example.com",
            "not_before": time_text(NOW - DAY),
            "not_after": time_text(NOW + 400 * DAY),
            "has_private_key": True,
            "former_certificates": [],
        }
    )
    monkeypatch.setattr(Store, "locked", lambda store: pytest.fail("nothing is written"))
    for again in (
        keeper.present(ids=IDS, now=NOW),
        keeper.present(now=NOW),
        keeper.present(ids=IDS, subject="CN=other", valid_days=1, now=NOW),
        keeper.present(ids=IDS, renewal=Renewal(before_days=399), now=NOW),
        keeper.present(given=UpdateResources(stored.values), now=NOW),
    ):
        assert not again.changed and again.source == "store" and again.after == again.before == made.after
    monkeypatch.undo()
    assert keeper.absent(force=True).changed and not keeper.absent().changed


def test_renews_in_time_under_the_same_ids(keeper: UpdateKeeper) -> None:
    first = keeper.present(ids=IDS, subject="CN=example.com", valid_days=100, now=NOW).credentials
    later = NOW + timedelta(days=60)
    assert not keeper.present(renewal=Renewal(before_days=40), now=later).changed
    renewed = keeper.present(renewal=Renewal(before_days=41), valid_days=100, now=later)
    assert renewed.changed and renewed.source == "made" and renewed.credentials and first
    assert (renewed.credentials.vendor_id, renewed.credentials.class_id) == IDS
    assert renewed.after["subject"] == "CN=example.com" and renewed.credentials.not_after == later + timedelta(days=100)
    assert renewed.credentials.former == (first,)
    assert not keeper.present(ids=IDS, renewal=Renewal(before_days=41), now=later).changed
    once_more = keeper.present(subject="CN=other", renewal=Renewal(made_before=later + DAY), now=later + DAY)
    assert once_more.after["subject"] == "CN=other"


def test_renews_at_once_but_once(keeper: UpdateKeeper) -> None:
    first = keeper.present(ids=IDS, now=NOW).credentials
    assert not keeper.present(renewal=Renewal(made_before=NOW), now=NOW).changed
    later = NOW + timedelta(days=1, microseconds=700_000)
    renewed = keeper.present(renewal=Renewal(made_before=later), now=later)
    assert renewed.changed and renewed.source == "made"
    assert renewed.credentials.former == (first,)
    assert renewed.facts["former_certificates"] == [first.fingerprint]
    for after in (timedelta(0), timedelta(days=30)):
        assert not keeper.present(renewal=Renewal(made_before=later), now=later + after).changed


@given(
    st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1)),
    st.timedeltas(timedelta(0), timedelta(days=3000)),
)
def test_no_renewal_is_due_for_what_it_made(now: datetime, ago: timedelta) -> None:
    now = now.replace(tzinfo=timezone.utc)
    der = a_certificate(begin=now.replace(microsecond=0), end=now + timedelta(days=9))
    assert not Renewal(made_before=now - ago).is_due(UpdateResources({UPDATE_CERTIFICATE: der}), now)


def test_a_renewal_that_would_not_end_is_refused(keeper: UpdateKeeper, store: Store) -> None:
    for renewal, said in (
        (Renewal(before_days=100), "each run would replace it"),
        (Renewal(made_before=NOW + timedelta(seconds=1)), "in the future"),
    ):
        with pytest.raises(RecipeError, match=said):
            keeper.present(ids=IDS, valid_days=100, renewal=renewal, now=NOW)
    assert not store.names(UpdateResources)


def test_an_ended_certificate_is_refused_or_renewed(keeper: UpdateKeeper) -> None:
    keeper.present(ids=IDS, valid_days=10, now=NOW)
    (notice,) = keeper.present(ids=IDS, now=NOW).notices
    assert "ends in 10 days" in notice and keeper.present(ids=IDS, warn_days=5, now=NOW).notices == []
    later = NOW + timedelta(days=11)
    with pytest.raises(CredentialError, match="ended on 2026-12-03; with renew_before_days "):
        keeper.present(ids=IDS, now=later)
    assert keeper.present(ids=IDS, renewal=Renewal(before_days=0), now=later).source == "made"


def test_other_ids_under_a_name_are_refused(keeper: UpdateKeeper, store: Store) -> None:
    made = keeper.present(ids=IDS, now=NOW).credentials
    for ids in ((uuid.uuid4(), IDS[1]), (IDS[0], uuid.uuid4())):
        for replace_it in (False, True):
            with pytest.raises(DifferentResourcesError, match=r"the variables have .*need another name") as refused:
                keeper.present(ids=ids, replace=replace_it, now=NOW)
        assert refused.value.facts["given"] == {"vendor_id": str(ids[0]), "class_id": str(ids[1])}
        assert str(next(iter({*ids} - {*IDS}))) in str(refused.value)
    assert store.read(UpdateResources, "gateway") == made


def test_a_file_changes_an_entry_only_where_it_is_to_replace_it(keeper: UpdateKeeper, store: Store) -> None:
    made = keeper.present(ids=IDS, now=NOW).credentials
    given = UpdateResources(update_values(), source="new.c")
    with pytest.raises(DifferentResourcesError, match=r"another name .*pelion\.mbl\.rotate is the only way") as refused:
        keeper.present(given=given, now=NOW)
    assert f"{made.fingerprint[:16]}…" in str(refused.value) and f"{given.fingerprint[:16]}…" in str(refused.value)
    facts = refused.value.facts
    assert [facts[side]["fingerprint"] for side in ("stored", "given")] == [made.fingerprint, given.fingerprint]
    assert store.read(UpdateResources, "gateway") == made
    outcome = keeper.present(given=given, replace=True, now=NOW)
    assert outcome.changed and outcome.source == "file" and outcome.credentials
    assert outcome.credentials.former == (made,)
    for replace_it in (False, True):
        again = keeper.present(given=given, replace=replace_it, now=NOW)
        assert not again.changed and again.source == "store"


def test_a_file_with_the_ids_of_others_is_another_thing(keeper: UpdateKeeper) -> None:
    keeper.present(given=UpdateResources(update_values()), now=NOW)
    other = UpdateResources({**update_values(), CLASS_ID: b"\1" * 16})
    with pytest.raises(DifferentResourcesError, match="the class ID 01010101"):
        keeper.present(given=other, now=NOW)
    assert keeper.present(given=other, replace=True, now=NOW).credentials.former == (UpdateResources(update_values()),)


def test_a_former_file_does_not_come_back(keeper: UpdateKeeper) -> None:
    """Group variables name it still, when a rotation was given the new one on the command line."""
    former = UpdateResources(update_values(), source="former.c")
    keeper.present(given=former, now=NOW)
    new = make_update_resources(Recipe(*IDS), NOW)
    keeper.present(given=new, replace=True, now=NOW)
    for replace_it in (False, True):
        with pytest.raises(DifferentResourcesError, match=r"former\.c has .*one that was replaced"):
            keeper.present(given=former, replace=replace_it, now=NOW)


def test_a_key_is_added_to_what_came_without(keeper: UpdateKeeper) -> None:
    made = make_update_resources(Recipe(*IDS), NOW)
    keyless = UpdateResources(made.values)
    assert not keeper.present(given=keyless, now=NOW).facts["has_private_key"]
    added = keeper.present(given=made, now=NOW)
    assert added.changed and added.facts["has_private_key"] and added.credentials.former == ()
    assert not keeper.present(given=keyless, now=NOW).changed


def test_the_certificate_of_a_file_is_renewed_by_a_file(keeper: UpdateKeeper) -> None:
    old = UpdateResources(update_values(), source="old.c")
    keeper.present(given=old, now=NOW)
    later = NOW + DAY
    renewal = Renewal(made_before=later)
    with pytest.raises(NotRenewableError, match=r"old\.c.*manifest tool.*pelion\.mbl\.rotate"):
        keeper.present(given=old, renewal=renewal, replace=True, now=later)
    new = make_update_resources(Recipe(*IDS), later)
    assert keeper.present(given=new, renewal=renewal, replace=True, now=later).credentials.former == (old,)
    again = keeper.present(given=new, renewal=renewal, replace=True, now=later)
    assert (again.changed, again.notices) == (False, [])
    told = keeper.present(given=new, renewal=Renewal(before_days=99), now=new.not_after - DAY * 40)
    assert "are to get a new certificate" in told.notices[0] and not told.changed


def test_what_a_file_gave_can_be_followed_by_what_is_made(keeper: UpdateKeeper) -> None:
    """Boards hold the former certificate still, so it stays known."""
    old = UpdateResources(update_values())
    keeper.present(given=old, now=NOW)
    made = keeper.present(renewal=Renewal(made_before=NOW + DAY), now=NOW + DAY)
    assert made.facts["has_private_key"] and made.facts["former_certificates"] == [old.fingerprint]


def test_refuses_before_anything_is_changed(keeper: UpdateKeeper, store: Store) -> None:
    with pytest.raises(NothingToMakeError, match="Give src"):
        keeper.present(now=NOW)
    with pytest.raises(RecipeError):
        keeper.present(ids=IDS, subject="x", now=NOW)
    with pytest.raises(CredentialError, match=r"ended on .*; make a new one with the manifest tool's init, and rotate"):
        keeper.present(given=UpdateResources(update_values()), now=NOW + timedelta(days=5000))

    with pytest.raises(CredentialError) as refused:
        keeper.present(given=replace(make_update_resources(Recipe(*IDS), NOW), values=update_values()), now=NOW)
    assert refused.value.facts["rule"] == "pair", "the key is another certificate's"

    def refuse(resources: UpdateResources) -> None:
        raise PelionError("no")

    with pytest.raises(PelionError, match="no"):
        keeper.present(ids=IDS, require=refuse, now=NOW)
    assert store.names(UpdateResources) == []


def test_a_dry_run_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = a_store(tmp_path)
    dry = UpdateKeeper(store, "gateway", dry_run=True)
    planned = dry.present(ids=IDS, subject="CN=x", now=NOW)
    unknown = {"fingerprint": None, "not_before": None, "not_after": None}
    ids = {"vendor_id": str(IDS[0]), "class_id": str(IDS[1])}
    known = {**ids, "subject": "CN=x", "has_private_key": True, "former_certificates": []}
    assert planned.changed and planned.after == planned.facts == {**unknown, **known}
    assert dry.present(given=UpdateResources(update_values()), now=NOW).changed
    assert not dry.absent().changed
    assert not store.directory.exists()
    UpdateKeeper(store, "gateway").present(ids=IDS, valid_days=10, now=NOW)
    before = store.path(UpdateResources, "gateway").read_bytes()
    renewed = dry.present(ids=IDS, renewal=Renewal(before_days=20), now=NOW)
    assert renewed.changed and renewed.after["former_certificates"] == [renewed.before["fingerprint"]]
    with monkeypatch.context() as patch:
        patch.setattr(Store, "locked", lambda store: pytest.fail("nothing is written"))
        assert dry.absent(force=True).changed
        with pytest.raises(KeyNeededError, match="hold 1 private key that"):
            dry.absent()
    mistyped = UpdateKeeper(Store(store.directory, Vault([("default", VaultSecret(b"y"))])), "new", dry_run=True)
    with pytest.raises(StoreError, match="mistyped"):
        mistyped.present(ids=IDS, now=NOW)
    assert store.path(UpdateResources, "gateway").read_bytes() == before


# --- absent ---


def test_a_key_that_is_nowhere_else_is_not_removed(keeper: UpdateKeeper, store: Store) -> None:
    first = keeper.present(ids=IDS, valid_days=100, now=NOW).credentials
    second = keeper.present(valid_days=100, renewal=Renewal(made_before=NOW + DAY), now=NOW + DAY).credentials
    store.write("damaged", UpdateResources(first.values))
    store.path(UpdateResources, "damaged").write_text("nobody knows what it holds")
    with pytest.raises(KeyNeededError, match=r"2 private keys that .*force: true") as refused:
        keeper.absent()
    assert refused.value.facts["fingerprints"] == sorted([first.fingerprint, second.fingerprint])
    store.write("copy", replace(first, former=replace(second, former=()).all_held))
    outcome = keeper.absent()  # nothing is lost now
    assert outcome.changed and outcome.before["fingerprint"] == second.fingerprint
    assert outcome.before["name"] == "gateway"
    assert store.names(UpdateResources) == ["copy", "damaged"]


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Another run does that just before this one has the store for itself."""
    locked = Store.locked

    def late(store: Store) -> AbstractContextManager[None]:
        monkeypatch.setattr(Store, "locked", locked)
        act()
        return locked(store)

    monkeypatch.setattr(Store, "locked", late)


def test_a_copy_that_another_run_removes_meanwhile_keeps_the_key(
    keeper: UpdateKeeper, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("copy", keeper.present(ids=IDS, now=NOW).credentials)
    meanwhile(monkeypatch, lambda: store.remove(UpdateResources, "copy"))
    with pytest.raises(KeyNeededError):
        keeper.absent()
    assert store.names(UpdateResources) == ["gateway"]


def test_what_another_run_makes_meanwhile_is_taken(
    keeper: UpdateKeeper, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raced(**options: Any) -> UpdateResources:
        meanwhile(monkeypatch, lambda: keeper.present(**options))
        outcome = keeper.present(**options)
        assert not outcome.changed and outcome.credentials == store.read(UpdateResources, "gateway")
        return outcome.credentials

    first = raced(ids=IDS, now=NOW)
    assert raced(renewal=Renewal(made_before=NOW + DAY), now=NOW + DAY).former == (first,)


def test_a_key_that_another_entry_needs_stays_even_with_force(keeper: UpdateKeeper, store: Store) -> None:
    made = keeper.present(ids=IDS, now=NOW).credentials
    store.write("elsewhere", UpdateResources(made.values))
    with pytest.raises(KeyNeededError, match=r"'elsewhere'.*private_key_src") as refused:
        keeper.absent(force=True)
    assert refused.value.facts["needed_by"] == ["elsewhere"]
    assert UpdateKeeper(store, "elsewhere").absent().changed  # it holds no key
    assert keeper.absent(force=True).changed


def test_without_keys_an_entry_goes_freely(keeper: UpdateKeeper, store: Store) -> None:
    keeper.present(given=UpdateResources(update_values()), now=NOW)
    assert keeper.absent().changed and not store.names(UpdateResources)


def test_what_cannot_be_read_is_not_removed_in_passing(keeper: UpdateKeeper, store: Store) -> None:
    keeper.present(ids=IDS, now=NOW)
    mistyped = [("default", VaultSecret(b"y"))]
    for secrets, force, error in (([], False, NoSecretError), ([], True, NoSecretError), (mistyped, False, StoreError)):
        with pytest.raises(error):
            UpdateKeeper(Store(store.directory, Vault(secrets)), "gateway").absent(force=force)
    store.path(UpdateResources, "gateway").write_text("damaged")
    with pytest.raises(StoreError, match=r"may hold private keys.*force: true"):
        keeper.absent()
    assert keeper.absent(force=True).changed and not store.names(UpdateResources)


def test_two_runs_at_once_make_one_certificate(tmp_path: Path) -> None:
    results = FORK.SimpleQueue()

    def work() -> None:
        results.put(UpdateKeeper(a_store(tmp_path), "gateway").present(ids=IDS).after["fingerprint"])

    processes = [FORK.Process(target=work) for _unused in range(8)]
    for process in processes:
        process.start()
    fingerprints = {results.get() for _unused in processes}
    for process in processes:
        process.join()
    stored = a_store(tmp_path).read(UpdateResources, "gateway")
    assert stored and fingerprints == {stored.fingerprint} and stored.former == ()


def test_outcomes_show_no_key(keeper: UpdateKeeper) -> None:
    outcome = keeper.present(ids=IDS, now=NOW)
    assert "PRIVATE KEY" not in repr(outcome) + json.dumps([outcome.before, outcome.after])
