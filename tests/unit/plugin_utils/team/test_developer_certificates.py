# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from ansible.parsing.vault import VaultSecret
from cloud import Cloud
from cloud_access import api_of, calls, store_at

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.pelion_api import PelionApi
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.developer_credentials import DeveloperCredentials
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.store import directory
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import Vault
from ansible_collections.pelion.mbl.plugins.plugin_utils.team import developer_certificates
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.developer_certificates import (
    DeveloperCertificateKeeper,
    check_request,
    from_store,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.outcome import Outcome

LIST, CREATE = "GET /v3/trusted-certificates", "POST /v3/developer-certificates"
DOWNLOAD = "GET /v3/developer-certificates/{id}"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_at(tmp_path / "team")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(developer_certificates, "LOOK_AGAIN_AFTER", (0, 0.01))


def keeper(cloud: Cloud, store: Store, name: str = "bench", **options: Any) -> DeveloperCertificateKeeper:
    return DeveloperCertificateKeeper(api_of(cloud, retries=0), store, name, **options)


def present(cloud: Cloud, store: Store, **options: Any) -> Outcome:
    return keeper(cloud, store).present(**options)


def names(cloud: Cloud) -> list[str]:
    return [certificate["name"] for certificate in cloud.state.snapshot()["certificates"]]


def upload_ca(cloud: Cloud, name: str) -> None:
    pem = trustme.CA().cert_pem.bytes().decode()
    api_of(cloud)._transport.call(
        "POST", "/v3/trusted-certificates", body={"name": name, "certificate": pem, "service": "bootstrap"}
    )


# --- present


def test_it_is_made_once_and_kept(cloud: Cloud, store: Store) -> None:
    made = present(cloud, store, description="ours")
    assert (made.changed, made.source) == (True, "made")
    assert calls(cloud) == {LIST: 1, CREATE: 1}
    entry = cloud.state.snapshot()["certificates"][0]
    assert made.facts["id"] == entry["id"]
    assert made.facts["fingerprint"] == entry["certificate_fingerprint"]
    assert made.facts["account_id"] == cloud.account_id
    assert made.facts["not_after"] == entry["validity"]
    assert entry["description"] == "ours"
    kept = {"id": entry["id"], "fingerprint": entry["certificate_fingerprint"]}
    assert made.before == {"cloud": None, "store": None}
    assert made.after == {
        "cloud": {**kept, "status": "ACTIVE", "description": "ours"},
        "store": {**kept, "not_after": entry["validity"]},
    }

    cloud.log.clear()
    again = present(cloud, store, description="ours")
    assert again.before == made.after
    assert (again.changed, again.source) == (False, "store")
    assert again.facts == made.facts
    assert again.before == again.after
    assert calls(cloud) == {LIST: 1}


def test_it_is_taken_from_the_cloud(cloud: Cloud, store: Store) -> None:
    cloud.state.seed_certificates(60, prefix="bench")
    outcome = keeper(cloud, store, "bench7").present()
    assert (outcome.changed, outcome.source) == (True, "cloud")
    assert calls(cloud) == {LIST: 1, DOWNLOAD: 1}
    assert store.names(DeveloperCredentials) == ["bench7"]


def test_the_store_alone_serves_offline(cloud: Cloud, store: Store) -> None:
    assert from_store(store, "bench") is None
    made = present(cloud, store)
    offline = from_store(store, "bench")
    assert offline is not None
    assert (offline.changed, offline.source, offline.facts) == (False, "store", made.facts)
    assert offline.facts["name"] == "bench"
    assert offline.before == offline.after == {"store": made.after["store"]}
    assert offline.credentials == store.read(DeveloperCredentials, "bench") and not offline.notices
    cloud.state.seed_certificates(1, days_left=20)
    keeper(cloud, store, "seeded-0").present()
    ending = from_store(store, "seeded-0")
    assert ending and "days" in ending.notices[0]


def test_create_false_never_creates(cloud: Cloud, store: Store) -> None:
    with pytest.raises(PelionError, match="create is false"):
        present(cloud, store, create=False)
    assert not names(cloud)
    assert not store.names(DeveloperCredentials)


def test_one_deleted_in_the_cloud_is_not_taken_for_good(cloud: Cloud, store: Store) -> None:
    old = present(cloud, store)
    cloud.state.delete_certificate(cloud.account_id, old.facts["id"])
    with pytest.raises(PelionError, match="create is false"):
        present(cloud, store, create=False)
    new = present(cloud, store)
    assert (new.changed, new.source) == (True, "made")
    assert new.facts["fingerprint"] != old.facts["fingerprint"]
    assert "was deleted in the cloud" in new.notices[0]


def test_one_made_anew_under_the_same_name_takes_its_place(cloud: Cloud, store: Store) -> None:
    old = present(cloud, store)
    cloud.state.delete_certificate(cloud.account_id, old.facts["id"])
    api_of(cloud).create_developer_certificate("bench")
    new = present(cloud, store)
    assert (new.changed, new.source) == (True, "cloud")
    assert "takes its place" in new.notices[0]
    assert present(cloud, store).changed is False


def test_another_account_does_not_replace_what_is_stored(cloud: Cloud, store: Store) -> None:
    present(cloud, store)
    before = {path: path.read_bytes() for path in store.directory.glob("*.yml")}
    with Cloud() as other:
        for act in (present, lambda cloud, store: keeper(cloud, store).absent(force=True)):
            with pytest.raises(PelionError, match="account"):
                act(other, store)
        assert not names(other)
        api_of(other).create_developer_certificate("bench")
        for act in (present, lambda cloud, store: keeper(cloud, store).absent(force=True)):
            with pytest.raises(PelionError, match="account"):
                act(other, store)
        assert names(other) == ["bench"]
    assert {path: path.read_bytes() for path in store.directory.glob("*.yml")} == before


def test_an_inactive_one_is_told_and_activated_by_force(cloud: Cloud, store: Store) -> None:
    made = present(cloud, store)
    assert keeper(cloud, store).inactive().changed
    with pytest.raises(PelionError, match="INACTIVE") as caught:
        present(cloud, store)
    assert caught.value.facts["id"] == made.facts["id"]
    assert present(cloud, store, force=True).changed
    assert not present(cloud, store).changed


def test_the_description_follows(cloud: Cloud, store: Store) -> None:
    present(cloud, store, description="one")
    outcome = present(cloud, store, description="two")
    assert outcome.changed
    assert outcome.before["cloud"]["description"] == "one"
    assert outcome.after["cloud"] == {**outcome.before["cloud"], "description": "two"}
    assert not present(cloud, store).changed
    assert cloud.state.snapshot()["certificates"][0]["description"] == "two"


def test_an_expired_one_is_refused(cloud: Cloud, store: Store) -> None:
    cloud.state.seed_certificates(1, days_left=0)
    with pytest.raises(PelionError, match="ended"):
        keeper(cloud, store, "seeded-0").present()
    assert not store.names(DeveloperCredentials)


def test_one_that_ends_soon_is_warned_of(cloud: Cloud, store: Store) -> None:
    cloud.state.seed_certificates(1, days_left=20)
    assert "days" in keeper(cloud, store, "seeded-0").present().notices[0]


def test_a_name_of_a_ca_certificate_is_told(cloud: Cloud, store: Store) -> None:
    upload_ca(cloud, "bench")
    with pytest.raises(PelionError, match="not a developer certificate"):
        present(cloud, store)
    keeper(cloud, store).absent(force=True)
    assert names(cloud) == ["bench"]


def test_a_full_account_is_told(cloud: Cloud, store: Store) -> None:
    cloud.state.set_account(cloud.account_id, certificate_limit=3)
    cloud.state.seed_certificates(3)
    with pytest.raises(PelionError, match="as many trusted certificates as it may") as caught:
        present(cloud, store)
    assert "not known" not in str(caught.value)
    assert caught.value.facts["type"] == "account_limit_exceeded"
    assert caught.value.facts["fields"] == [{"name": "cert-count", "message": "3"}]
    assert not store.names(DeveloperCredentials)


# --- lost answers

LOST = [
    {"kind": "cut"},
    {"kind": "cut", "after": 100},
    {"kind": "status", "status": 500, "processed": True},
    {"kind": "status", "status": 503, "processed": True, "retry_after": 1},
    {"kind": "body", "text": "<html>", "processed": True},
    {"kind": "truncated", "after": 100},
    {"kind": "edited", "remove": ["security_file_content"]},
]


@pytest.mark.parametrize("fault", LOST)
def test_a_create_whose_answer_was_lost_is_found_again(cloud: Cloud, store: Store, fault: dict[str, Any]) -> None:
    cloud.faults.add(method="POST", **fault)
    outcome = present(cloud, store)
    assert (outcome.changed, outcome.source) == (True, "made")
    assert names(cloud) == ["bench"]
    assert calls(cloud) == {LIST: 2, CREATE: 1, DOWNLOAD: 1}
    assert outcome.after["cloud"]["id"] == outcome.facts["id"]
    assert not present(cloud, store).changed


@pytest.mark.parametrize("fault", [{"kind": "cut", "processed": False}, {"kind": "status", "status": 500}])
def test_a_create_that_failed_is_healed_by_the_next_run(
    cloud: Cloud, store: Store, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(developer_certificates, "time", SimpleNamespace(sleep=pauses.append))
    cloud.faults.add(method="POST", times=1, **fault)
    with pytest.raises(PelionError, match="not known"):
        present(cloud, store)
    assert pauses == [0, 0.01], "the service may be at work on it still"
    assert calls(cloud)[CREATE] == 1
    assert not names(cloud)
    assert not store.names(DeveloperCredentials)
    assert present(cloud, store).source == "made"


def test_a_cloud_that_goes_down_while_creating_is_healed_by_the_next_run(cloud: Cloud, store: Store) -> None:
    cloud.faults.add("cut", skip=1)  # after the first look
    with pytest.raises(PelionError, match="next run finds it"):
        present(cloud, store)
    cloud.faults.clear()
    assert names(cloud) == ["bench"]
    assert present(cloud, store).source == "cloud"
    assert names(cloud) == ["bench"]


def test_a_download_that_fails_is_healed_by_the_next_run(cloud: Cloud, store: Store) -> None:
    api_of(cloud).create_developer_certificate("bench")
    cloud.faults.add("truncated", path="/v3/developer-certificates/*", after=2000)
    with pytest.raises(PelionError, match="not JSON"):
        present(cloud, store)
    assert not store.names(DeveloperCredentials)
    cloud.faults.clear()
    assert present(cloud, store).source == "cloud"


def after_its_look(mine: DeveloperCertificateKeeper, happens: Callable[[], Any]) -> DeveloperCertificateKeeper:
    """``mine``, with something that ``happens`` once it has looked the certificate up for the first time."""
    look_up = mine._look_up

    def look_up_once() -> Any:
        mine._look_up = look_up  # type: ignore[method-assign]
        found = look_up()
        happens()
        return found

    mine._look_up = look_up_once  # type: ignore[method-assign]
    return mine


def test_one_that_another_run_made_meanwhile_is_taken(cloud: Cloud, store: Store) -> None:
    other = api_of(cloud)
    mine = after_its_look(keeper(cloud, store), lambda: other.create_developer_certificate("bench"))
    outcome = mine.present()
    assert (outcome.changed, outcome.source) == (True, "cloud")  # it was not in the store
    assert outcome.before["cloud"] == outcome.after["cloud"] and outcome.before["store"] is None
    assert calls(cloud)[CREATE] == 2  # ours was told that the name is taken
    assert names(cloud) == ["bench"]


def test_runs_at_once_make_one_certificate(cloud: Cloud, store: Store) -> None:
    cloud.faults.add("latency", method="POST", seconds=0.2)
    start = threading.Barrier(4)

    def run(_number: int) -> Outcome:
        mine = after_its_look(keeper(cloud, store_at(store.directory)), start.wait)
        return mine.present()

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(run, range(4)))
    assert sorted(str(outcome.source) for outcome in outcomes) == ["cloud"] * 3 + ["made"]
    assert len({outcome.facts["fingerprint"] for outcome in outcomes}) == 1
    # One of them made it. Another one may have been the first to store it.
    assert 1 <= [outcome.changed for outcome in outcomes].count(True) <= 2
    assert all(outcome.changed for outcome in outcomes if outcome.source == "made")
    assert all(outcome.before == outcome.after for outcome in outcomes if not outcome.changed)
    assert names(cloud) == ["bench"]
    assert not present(cloud, store).changed


def test_the_store_is_not_locked_while_the_cloud_works(
    cloud: Cloud, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "LOCK_SECONDS", 0.2)
    credentials = present(cloud, store, description="first").credentials
    create = PelionApi.create_developer_certificate

    def create_while_others_write(api: PelionApi, *arguments: Any) -> Any:
        assert store_at(store.directory).write("colleague's", credentials)
        return create(api, *arguments)

    monkeypatch.setattr(PelionApi, "create_developer_certificate", create_while_others_write)
    assert keeper(cloud, store, "second").present().source == "made"
    assert store.names(DeveloperCredentials) == ["bench", "colleague's", "second"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_with_a_mistyped_secret_nothing_is_asked_for(cloud: Cloud, store: Store, dry_run: bool) -> None:
    present(cloud, store)
    cloud.log.clear()
    mistyped = Store(store.directory, Vault([("default", VaultSecret(b"a pasword"))]), shared=True)
    with pytest.raises(StoreError, match="mistyped"):
        keeper(cloud, mistyped, "second", dry_run=dry_run).present()
    assert not calls(cloud)


def test_a_mistyped_secret_removes_nothing(cloud: Cloud, store: Store) -> None:
    present(cloud, store)
    for secrets in ([("default", VaultSecret(b"a pasword"))], []):
        with pytest.raises(PelionError):
            keeper(cloud, Store(store.directory, Vault(secrets), shared=True)).absent(force=True)
    assert names(cloud) == store.names(DeveloperCredentials) == ["bench"]


def test_a_certificate_of_another_account_is_told(cloud: Cloud, store: Store) -> None:
    cloud.faults.add("edited", method="POST", set={"account_id": "f" * 32})
    notices = present(cloud, store).notices
    assert any(f"not to the API key's account '{'f' * 32}'" in notice for notice in notices)
    cloud.faults.clear()
    assert not any("account" in notice for notice in present(cloud, store).notices)


def test_one_that_is_deleted_between_list_and_download_is_one_clear_error(cloud: Cloud, store: Store) -> None:
    made = api_of(cloud).create_developer_certificate("bench")
    mine = after_its_look(keeper(cloud, store), lambda: cloud.state.delete_certificate(cloud.account_id, made.id))
    with pytest.raises(PelionError, match="404 not_found"):
        mine.present()
    assert not store.names(DeveloperCredentials)


@pytest.mark.parametrize("content", ["", "#undef MBED_CLOUD_DEV\n", "const char X[] = "])
def test_a_credentials_file_that_is_none_is_not_stored(cloud: Cloud, store: Store, content: str) -> None:
    cloud.faults.add("edited", method="POST", set={"security_file_content": content})
    with pytest.raises(PelionError, match="bench"):
        present(cloud, store)
    assert not store.names(DeveloperCredentials)
    cloud.faults.clear()
    assert present(cloud, store).source == "cloud"


def test_a_file_of_another_certificate_is_not_stored(cloud: Cloud, store: Store) -> None:
    ids = cloud.state.seed_certificates(2)
    other = api_of(cloud).certificate_file(ids[1]).c_source.decode()
    cloud.faults.add("edited", path="/v3/developer-certificates/*", set={"security_file_content": other})
    with pytest.raises(PelionError, match="disagree"):
        keeper(cloud, store, "seeded-0").present()
    assert not store.names(DeveloperCredentials)


def test_nothing_is_made_that_could_not_be_kept(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "team").write_text("a file, where the store's directory should be")
    with pytest.raises(PelionError):
        present(cloud, store_at(tmp_path / "team"))
    assert not names(cloud)


# --- inactive and absent


def test_inactive_needs_one_in_the_cloud(cloud: Cloud, store: Store) -> None:
    with pytest.raises(PelionError, match="no developer certificate"):
        keeper(cloud, store).inactive()


def test_inactive_twice(cloud: Cloud, store: Store) -> None:
    present(cloud, store)
    first = keeper(cloud, store).inactive("retired")
    assert (first.before["cloud"]["status"], first.after["cloud"]["status"]) == ("ACTIVE", "INACTIVE")
    assert (first.source, first.facts["name"], first.after["cloud"]["description"]) == ("store", "bench", "retired")
    assert not keeper(cloud, store).inactive("retired").changed
    assert not keeper(cloud, store).inactive().changed
    assert store.names(DeveloperCredentials) == ["bench"]


def test_absent_twice(cloud: Cloud, store: Store) -> None:
    made = present(cloud, store)
    outcome = keeper(cloud, store).absent()
    assert (outcome.changed, outcome.facts) == (True, {**made.facts, "devices": 0})
    assert (outcome.before, outcome.after) == (made.after, {"cloud": None, "store": None})
    assert not names(cloud)
    assert not store.names(DeveloperCredentials)
    assert not keeper(cloud, store).absent().changed


def test_absent_is_refused_while_devices_are_registered(cloud: Cloud, store: Store) -> None:
    made = present(cloud, store)
    cloud.state.seed_devices(3, made.facts["id"])
    cloud.state.seed_devices(2, made.facts["id"], state="deregistered")
    cloud.state.seed_devices(1, keeper(cloud, store, "other").present().facts["id"])
    with pytest.raises(PelionError, match="3 registered devices") as caught:
        keeper(cloud, store).absent()
    assert caught.value.facts["devices"] == 3
    assert sorted(names(cloud)) == store.names(DeveloperCredentials) == ["bench", "other"]
    assert keeper(cloud, store).absent(force=True).facts["devices"] == 3
    assert names(cloud) == ["other"]


def test_absent_in_one_place_only(cloud: Cloud, store: Store) -> None:
    api_of(cloud).create_developer_certificate("bench")
    assert keeper(cloud, store).absent().changed
    assert not names(cloud)
    made = present(cloud, store)
    cloud.state.delete_certificate(cloud.account_id, made.facts["id"])
    stored = keeper(cloud, store).absent()
    assert (stored.changed, stored.facts) == (True, made.facts)
    assert not store.names(DeveloperCredentials)


def test_a_delete_that_fails_keeps_both(cloud: Cloud, store: Store) -> None:
    present(cloud, store)
    cloud.faults.add("status", method="DELETE", status=500, times=1)
    with pytest.raises(PelionError, match="500"):
        keeper(cloud, store).absent()
    assert names(cloud) == ["bench"]
    assert store.names(DeveloperCredentials) == ["bench"]
    assert keeper(cloud, store).absent().changed


# --- check mode


def test_check_mode_changes_nothing_and_tells_all(cloud: Cloud, store: Store) -> None:
    would = keeper(cloud, store, dry_run=True).present()
    assert (would.changed, would.source, would.facts) == (True, "made", {"name": "bench"})
    assert would.after == {"cloud": {"status": "ACTIVE", "description": ""}, "store": {}}
    assert not names(cloud)
    assert not store.directory.exists()

    present(cloud, store)
    cloud.log.clear()
    for outcome in (
        keeper(cloud, store, dry_run=True).present("new"),
        keeper(cloud, store, dry_run=True).inactive(),
        keeper(cloud, store, dry_run=True).absent(),
    ):
        assert outcome.changed
        assert outcome.before != outcome.after
    assert {kind.split()[0] for kind in calls(cloud)} == {"GET"}
    assert store.names(DeveloperCredentials) == ["bench"]
    store.remove(DeveloperCredentials, "bench")
    fetched = keeper(cloud, store, dry_run=True).present()
    assert (fetched.changed, fetched.source, store.names(DeveloperCredentials)) == (True, "cloud", [])
    assert keeper(cloud, store, dry_run=True).inactive().source == "cloud"


def test_nothing_secret_is_in_an_outcome(cloud: Cloud, store: Store) -> None:
    outcome = present(cloud, store)
    entry = store.read(DeveloperCredentials, "bench")
    assert entry is not None
    key = entry.values["MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY"]
    shown = repr(outcome)
    assert key.hex() not in shown
    assert repr(key)[2:-1] not in shown
    assert "PRIVATE" not in shown


# --- requests


@pytest.mark.parametrize("name", ["", " ", " x", "x ", "x" * 101, "a\nb", "a\x00b"])
def test_names_that_the_service_refuses(name: str) -> None:
    with pytest.raises(PelionError, match="1 to 100 printable"):
        check_request(name, None)


def test_descriptions_that_the_service_refuses() -> None:
    check_request("bench", None)
    check_request("x" * 100, "y" * 500)
    with pytest.raises(PelionError, match="at most 500"):
        check_request("x", "y" * 501)
