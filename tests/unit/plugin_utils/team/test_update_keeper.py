# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import multiprocessing
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultSecret
from credential_samples import NOW, update_values

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.rules import CredentialError
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import RecipeError, derive_ids
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import Vault
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.update_keeper import NothingToMakeError, UpdateKeeper

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


def test_makes_once_and_keeps(keeper: UpdateKeeper, store: Store) -> None:
    made = keeper.present(ids=IDS, subject="CN=example.com", valid_days=400, now=NOW)
    assert made.changed and made.origin == "made" and made.before == {}
    assert made.after["vendor_id"] == str(IDS[0]) and made.after["has_private_key"]
    stored = store.read(UpdateResources, "gateway")
    assert stored == made.resources and stored and stored.private_key
    for again in (
        keeper.present(ids=IDS, now=NOW),
        keeper.present(now=NOW),
        keeper.present(ids=IDS, subject="CN=other", valid_days=1, now=NOW),
        keeper.present(ids=IDS, renew_before_days=399, now=NOW),
        keeper.present(given=UpdateResources(stored.values), now=NOW),
    ):
        assert not again.changed and again.origin == "store" and again.after == again.before == made.after
    assert keeper.absent().changed and not keeper.absent().changed


def test_renews_in_time_under_the_same_ids(keeper: UpdateKeeper) -> None:
    first = keeper.present(ids=IDS, subject="CN=example.com", valid_days=100, now=NOW).resources
    later = NOW + timedelta(days=60)
    assert not keeper.present(renew_before_days=40, now=later).changed
    renewed = keeper.present(renew_before_days=41, valid_days=100, now=later)
    assert renewed.changed and renewed.origin == "made" and renewed.resources and first
    assert (renewed.resources.vendor_id, renewed.resources.class_id) == IDS
    assert renewed.after["subject"] == "CN=example.com" and renewed.resources.not_after == later + timedelta(days=100)
    assert renewed.resources.former == (first.signing_pair,)
    assert not keeper.present(ids=IDS, renew_before_days=41, now=later).changed


def test_an_ended_certificate_is_refused_or_renewed(keeper: UpdateKeeper) -> None:
    keeper.present(ids=IDS, valid_days=10, now=NOW)
    (notice,) = keeper.present(ids=IDS, now=NOW).notices
    assert "ends in 10 days" in notice and keeper.present(ids=IDS, warn_days=5, now=NOW).notices == ()
    later = NOW + timedelta(days=11)
    with pytest.raises(CredentialError, match="ended on 2026-12-03; with renew_before_days"):
        keeper.present(ids=IDS, now=later)
    assert keeper.present(ids=IDS, renew_before_days=0, now=later).origin == "made"


def test_other_ids_keep_certificate_and_key(keeper: UpdateKeeper) -> None:
    first = keeper.present(ids=IDS, now=NOW).resources
    ids = (uuid.uuid4(), uuid.uuid4())
    changed = keeper.present(ids=ids, now=NOW)
    assert changed.changed and changed.resources and first
    assert (changed.resources.vendor_id, changed.resources.class_id) == ids
    assert changed.resources.signing_pair == first.signing_pair
    assert not keeper.present(ids=ids, now=NOW).changed


def test_a_file_takes_the_place_but_no_key_is_lost(keeper: UpdateKeeper) -> None:
    made = keeper.present(ids=IDS, now=NOW).resources
    given = UpdateResources(update_values())
    outcome = keeper.present(given=given, now=NOW)
    assert outcome.changed and outcome.origin == "file" and outcome.resources and made
    assert outcome.resources.former == (made.signing_pair,)
    again = keeper.present(given=given, now=NOW)
    assert not again.changed and again.origin == "store"


def test_refuses_before_anything_is_changed(keeper: UpdateKeeper, store: Store) -> None:
    with pytest.raises(NothingToMakeError, match="Give src"):
        keeper.present(now=NOW)
    with pytest.raises(RecipeError):
        keeper.present(ids=IDS, subject="x", now=NOW)
    with pytest.raises(CredentialError, match=r"ended on .*; make a new one with the manifest tool"):
        keeper.present(given=UpdateResources(update_values()), now=NOW + timedelta(days=5000))

    def refuse(resources: UpdateResources) -> None:
        raise PelionError("no")

    with pytest.raises(PelionError, match="no"):
        keeper.present(ids=IDS, require=refuse, now=NOW)
    assert store.names(UpdateResources) == []


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    dry = UpdateKeeper(store, "gateway", dry_run=True)
    planned = dry.present(ids=IDS, subject="CN=x", now=NOW)
    assert planned.changed and planned.after["class_id"] == str(IDS[1]) and planned.after["fingerprint"] is None
    assert dry.present(given=UpdateResources(update_values()), now=NOW).changed
    assert not dry.absent().changed
    assert not store.directory.exists()
    UpdateKeeper(store, "gateway").present(ids=IDS, valid_days=10, now=NOW)
    before = store.path(UpdateResources, "gateway").read_bytes()
    assert dry.present(ids=IDS, renew_before_days=20, now=NOW).changed
    assert dry.absent().changed
    assert store.path(UpdateResources, "gateway").read_bytes() == before


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
