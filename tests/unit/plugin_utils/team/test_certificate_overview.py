# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from cloud import Cloud
from cloud_access import api_of, calls, store_at

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.developer_credentials import DeveloperCredentials
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import Vault
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.certificate_overview import CertificateOverview
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.developer_certificates import DeveloperCertificateKeeper


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_at(tmp_path / "team")


@pytest.mark.parametrize("count", [0, 1, 60, 1000])
def test_calls_do_not_grow_with_certificates(cloud: Cloud, store: Store, count: int) -> None:
    cloud.state.seed_certificates(count)
    assert len(CertificateOverview.take(api_of(cloud), store).describe()) == count
    assert calls(cloud) == {"GET /v3/trusted-certificates": 1, "GET /v3/devices/": 1}


def test_calls_grow_with_pages_of_devices(cloud: Cloud, store: Store) -> None:
    ids = cloud.state.seed_certificates(12)
    for certificate_id in ids:
        cloud.state.seed_devices(100, certificate_id)
    entries = CertificateOverview.take(api_of(cloud), store).describe()
    assert [entry["devices"] for entry in entries] == [100] * 12
    assert calls(cloud) == {"GET /v3/trusted-certificates": 1, "GET /v3/devices/": 2}


def test_cloud_and_store_are_matched_by_certificate_not_by_name(cloud: Cloud, store: Store) -> None:
    for name in ("kept", "renamed", "deleted", "remade"):
        DeveloperCertificateKeeper(api_of(cloud), store, name).present()
    ids = {entry.name: entry.id for entry in cloud.state.certificates_of(cloud.account_id)}
    cloud.state.update_certificate(cloud.account_id, ids["renamed"], {"name": "other"})
    for name in ("deleted", "remade"):
        cloud.state.delete_certificate(cloud.account_id, ids[name])
    api_of(cloud).create_developer_certificate("remade")

    entries = CertificateOverview.take(api_of(cloud), store).describe()
    assert [(entry["name"], entry["in_cloud"], entry["stored_as"]) for entry in entries] == [
        ("kept", True, "kept"),
        ("other", True, "renamed"),
        ("remade", True, None),
        ("deleted", False, "deleted"),
        ("remade", False, "remade"),
    ]
    assert [entry["devices"] for entry in entries] == [0, 0, 0, None, None]


def test_the_clouds_certificates_are_listed_without_a_vault_secret(cloud: Cloud, store: Store) -> None:
    without = Store(store.directory, Vault([]), shared=True)
    assert CertificateOverview.take(api_of(cloud), without).unreadable == []
    DeveloperCertificateKeeper(api_of(cloud), store, "kept").present()
    DeveloperCertificateKeeper(api_of(cloud), store, "deleted").present()
    api_of(cloud).delete_trusted_certificate(cloud.state.certificates_of(cloud.account_id)[1].id)
    overview = CertificateOverview.take(api_of(cloud), without)
    assert [(entry["name"], entry["stored_as"]) for entry in overview.describe()] == [("kept", None)]
    (told,) = overview.unreadable
    assert str(store.directory) in told and "no vault secret" in told and "stored_as" in told


def test_a_damaged_entry_does_not_hide_the_others(cloud: Cloud, store: Store) -> None:
    for name in ("good", "bad"):
        DeveloperCertificateKeeper(api_of(cloud), store, name).present()
    store.path(DeveloperCredentials, "bad").write_bytes(b"")
    overview = CertificateOverview.take(api_of(cloud), store)
    assert list(overview.stored) == ["good"]
    assert len(overview.unreadable) == 1
    assert "'bad'" in overview.unreadable[0]
