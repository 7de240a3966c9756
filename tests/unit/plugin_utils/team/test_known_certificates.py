# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cloud_access import store_at
from credential_samples import NOW

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import derive_ids
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import NoSecretError, Vault
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.known_certificates import known_update_certificates
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.update_keeper import Renewal, UpdateKeeper

IDS = derive_ids("example.com", "model1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_at(tmp_path / "store")


def no_report(text: str) -> None:
    raise AssertionError(text)


def test_update_certificates_of_all_times_are_known(store: Store) -> None:
    assert known_update_certificates(store, no_report) == {}
    assert not store.directory.exists()
    keeper = UpdateKeeper(store, "gateway")
    fingerprints = [
        keeper.present(
            ids=IDS, valid_days=100, renewal=Renewal(before_days=50), now=NOW + timedelta(days=60 * number)
        ).credentials.fingerprint
        for number in range(3)
    ]
    other = UpdateKeeper(store, "camera").present(ids=IDS).credentials
    known = known_update_certificates(store, no_report)
    assert known == {**dict.fromkeys(fingerprints, "gateway"), other.fingerprint: "camera"}


def test_who_has_a_certificate_comes_before_who_had_it(store: Store) -> None:
    keeper = UpdateKeeper(store, "a")
    first = keeper.present(ids=IDS, valid_days=100, now=NOW).credentials
    keeper.present(valid_days=100, renewal=Renewal(before_days=50), now=NOW + timedelta(days=60))
    store.write("b", UpdateResources(first.values))
    assert known_update_certificates(store, no_report)[first.fingerprint] == "b"


def test_what_cannot_be_read_is_reported_and_the_rest_is_known(store: Store) -> None:
    UpdateKeeper(store, "good").present(ids=IDS)
    for name in ("damaged", "\u00fc" * 100):
        store.path(UpdateResources, name).write_text("damaged")
    reports: list[str] = []
    assert set(known_update_certificates(store, reports.append).values()) == {"good"}
    assert len(reports) == 2 and all("is not an Ansible Vault file" in report for report in reports)


def test_without_a_secret_nothing_is_called_unknown(store: Store) -> None:
    UpdateKeeper(store, "good").present(ids=IDS)
    with pytest.raises(NoSecretError):
        known_update_certificates(Store(store.directory, Vault([])), no_report)
