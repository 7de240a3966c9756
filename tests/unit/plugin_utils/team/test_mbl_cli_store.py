# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultSecret
from credential_samples import ACCOUNT, NOW, a_certificate, a_key, developer_values, key_der, update_values

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_key import ApiKey
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials import rules
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.developer_credentials import DeveloperCredentials
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import Vault
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.mbl_cli_store import (
    MblCliStoreError,
    OldEntry,
    read_mbl_cli_store,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.store_import import ImportOutcome, import_mbl_cli_store
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.store_report import report

HOST = "https://api.example.com"


def as_mbl_cli_writes(values: dict[str, bytes]) -> dict[str, bytes]:
    """The damage that mbl-cli 2.0 does to what it reads out of a C file."""
    damaged = {}
    for name, value in values.items():
        if name == rules.MEMORY_TOTAL_KB:
            damaged[name] = str(int.from_bytes(value, "little")).encode()
        elif (value[:1] == b"\x30" and len(value) > 100) or name.startswith("arm_uc"):
            damaged[name] = value
        else:
            damaged[name] = value.decode().replace(" ", "").replace('"', "").strip(r"{} \r").encode()
    return damaged


class Old:
    """A store as mbl-cli leaves it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config: dict = {"location": str(directory), "api_key": "ak_1MDE\n", "dev_certs": {}}

    def add(self, name: str, values: dict[str, bytes], place: Path | None = None) -> Path:
        place = place or self.directory / name
        place.mkdir(parents=True, exist_ok=True)
        for variable, value in as_mbl_cli_writes(values).items():
            (place / f"{variable}.bin").write_bytes(value)
        self.config["dev_certs"][name] = [str(path) for path in place.glob("*.bin")]
        (self.directory / "config.json").write_text(json.dumps(self.config))
        return place


@pytest.fixture
def old(tmp_path: Path) -> Old:
    (tmp_path / "old").mkdir()
    return Old(tmp_path / "old")


def only(old: Old) -> OldEntry:
    (entry,) = read_mbl_cli_store(old.directory).entries
    return entry


def test_damaged_values_are_repaired_where_the_right_one_is_certain(old: Old) -> None:
    old.add("bench", developer_values())
    entry = only(old)
    assert isinstance(entry.entry, DeveloperCredentials)
    assert dict(entry.entry.values) == developer_values() and entry.entry.name == "bench"
    assert entry.repairs == (
        "MBED_CLOUD_DEV_MEMORY_TOTAL_KB was '0', and is now the number 0",
        "MBED_CLOUD_DEV_MANUFACTURER was 'dev_manufacture', and is now 'dev_manufacturer'",
    )


def test_the_certificate_proves_name_and_account(old: Old) -> None:
    changes = {
        "ENDPOINT_NAME": b"0161dbbcdd660a580a010c3403c0000",
        "ACCOUNT_ID": b"wrong",
        "SERVER_URI": f"coaps://h:5684?aid={ACCOUNT[:-1]}&x=y".encode(),
    }
    old.add("bench", developer_values(**changes))
    entry = only(old)
    assert entry.entry and dict(entry.entry.values) == {
        **developer_values(),
        rules.SERVER_URI: f"coaps://h:5684?aid={ACCOUNT}&x=y".encode(),
    }
    assert len(entry.repairs) == 5
    # The aid of another account is no damage; it stays, and is told when the credentials are checked.
    other = developer_values(SERVER_URI=b"coaps://h:5684?aid=ffff")
    old.add("bench", other)
    assert only(old).entry.values[rules.SERVER_URI] == other[rules.SERVER_URI]


def test_what_cannot_be_known_is_told(old: Old) -> None:
    old.add("bench", developer_values(MANUFACTURER=b"rover Ltd", MEMORY_TOTAL_KB=b"\0\x04\0\0"))
    entry = only(old)
    assert entry.entry and entry.entry.values["MBED_CLOUD_DEV_MANUFACTURER"] == b"overLtd"
    assert entry.entry.values[rules.MEMORY_TOTAL_KB] == b"\0\x04\0\0"
    assert "MBED_CLOUD_DEV_MANUFACTURER: mbl-cli drops blanks" in entry.repairs[-1]


@pytest.mark.parametrize(
    ("variable", "content", "said"),
    [
        (rules.PRIVATE_KEY, None, f"does not have {rules.PRIVATE_KEY}.bin"),
        (rules.DEVICE_CERTIFICATE, b"0x0", "this is a template"),
        (rules.DEVICE_CERTIFICATE, b"", "is empty"),
        (rules.PRIVATE_KEY, key_der(a_key(number=7)), "does not belong"),
        (rules.SERVER_CA, a_certificate()[:-5], "its last 5 bytes"),
        (rules.SERVER_URI, b"", "empty"),
        (rules.MEMORY_TOTAL_KB, b"much", "not a whole number"),
        (rules.MEMORY_TOTAL_KB, b"99999999999", "not a whole number"),
    ],
)
def test_what_cannot_be_repaired_is_refused(old: Old, variable: str, content: bytes | None, said: str) -> None:
    place = old.add("bench", developer_values())
    old.add("update", update_values())
    if content is None:
        (place / f"{variable}.bin").unlink()
    else:
        (place / f"{variable}.bin").write_bytes(content)
    entries = {entry.name: entry for entry in read_mbl_cli_store(old.directory).entries}
    assert entries["bench"].entry is None and said in str(entries["bench"].problem)
    assert isinstance(entries["update"].entry, UpdateResources)


def test_update_certificates_lie_among_the_others(old: Old) -> None:
    old.add("update", {**update_values(), "arm_uc_default_psk": b"", "arm_uc_default_psk_id": b""})
    entry = only(old)
    assert isinstance(entry.entry, UpdateResources) and dict(entry.entry.values) == update_values()
    assert entry.repairs == () and entry.entry.private_key is None and entry.left_out == ()


def test_what_is_left_out_is_told_by_name(old: Old) -> None:
    derived = {"arm_uc_default_fingerprint": b"f" * 32, "arm_uc_default_subject_key_identifier": b"s" * 20}
    old.add("update", {**update_values(), **derived, "arm_uc_default_psk": b"sixteen secret!!"})
    assert only(old).left_out == ("arm_uc_default_psk",)
    old.add("update", {**developer_values(), "MBED_CLOUD_DEV_EXTRA": b"x"}, old.directory / "update2")
    by_name = {entry.path.name: entry for entry in read_mbl_cli_store(old.directory).entries}
    assert by_name["update2"].left_out == ("MBED_CLOUD_DEV_EXTRA",)
    assert "sixteen" not in repr(by_name)


@pytest.mark.parametrize("config", ["", "{", "[]", None, '{"dev_certs": 3, "api_key": 4}', '{"dev_certs": {"x": [3]}}'])
def test_a_damaged_list_hides_nothing(old: Old, config: str | None) -> None:
    old.add("a/b", developer_values())
    if config is None:
        (old.directory / "config.json").unlink()
    else:
        (old.directory / "config.json").write_text(config)
    store = read_mbl_cli_store(old.directory)
    assert [entry.name for entry in store.entries] == ["a/b"] and store.entries[0].entry
    assert store.api_key is None
    assert bool(store.notices) == (config in ("", "{", "[]"))


def test_a_moved_store(old: Old, tmp_path: Path) -> None:
    old.add("bench", developer_values())
    old.add("elsewhere", update_values(), place=tmp_path / "outside")
    moved = tmp_path / "moved"
    shutil.move(old.directory, moved)
    entries = {entry.name: entry for entry in read_mbl_cli_store(moved).entries}
    assert entries["bench"].path == moved / "bench" and entries["bench"].entry
    assert entries["elsewhere"].path == tmp_path / "outside" and entries["elsewhere"].entry
    shutil.rmtree(tmp_path / "outside")
    entries = {entry.name: entry for entry in read_mbl_cli_store(moved).entries}
    assert str(entries["elsewhere"].problem) == f"{tmp_path / 'outside'}, which config.json names, is not there."


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_directory_that_may_not_be_read_is_the_reason(old: Old) -> None:
    old.add("bench", developer_values()).chmod(0)
    assert "Permission denied" in str(only(old).problem)


def test_an_incomplete_update_entry_is_refused_as_such(old: Old) -> None:
    (old.add("update", update_values()) / f"{rules.UPDATE_CERTIFICATE}.bin").unlink()
    assert str(only(old).problem).endswith(f"does not have {rules.UPDATE_CERTIFICATE}.bin.")


URI = f"coaps://bootstrap.us-east-1.example.com:5684?aid={ACCOUNT}".encode()


@pytest.mark.parametrize("port", [b"5684", b"443"])
def test_a_uri_out_of_a_comment_is_put_right(old: Old, port: bytes) -> None:
    commented = URI.replace(b"bootstrap.", b"udp-bootstrap.").replace(b"5684", port)
    old.add("bench", developer_values(SERVER_URI=commented))
    entry = only(old)
    assert isinstance(entry.entry, DeveloperCredentials) and entry.entry.values[rules.SERVER_URI] == URI
    assert [repair for repair in entry.repairs if rules.SERVER_URI in repair] == [
        f"{rules.SERVER_URI} was {commented.decode()!r}, which mbl-cli took out of a comment, and is now "
        f"{URI.decode()!r}; boards with MBL connect over TCP"
    ]


def test_a_uri_that_may_be_out_of_a_comment_is_told(old: Old) -> None:
    chosen = URI.replace(b"bootstrap.", b"tcp-bootstrap.")
    old.add("bench", developer_values(SERVER_URI=chosen))
    entry = only(old)
    assert isinstance(entry.entry, DeveloperCredentials) and entry.entry.values[rules.SERVER_URI] == chosen
    assert any(f"{rules.SERVER_URI} is {chosen.decode()!r}" in repair for repair in entry.repairs)


def test_what_was_imported_with_a_wrong_uri_can_be_imported_again(old: Old, stores: tuple[Store, Store]) -> None:
    """As earlier versions did."""
    wrong = URI.replace(b"bootstrap.", b"udp-bootstrap.")
    old.add("bench", developer_values(SERVER_URI=wrong))
    team, _user = stores
    team.write("bench", DeveloperCredentials(developer_values(SERVER_URI=wrong), "bench"))
    [entry] = taken(old, stores).entries
    assert entry.result == "refused" and entry.reason
    assert f"differ in {rules.SERVER_URI} ({wrong.decode()!r} there, {URI.decode()!r} here)" in entry.reason
    path = team.path(DeveloperCredentials, "bench")
    assert f"move {path} out of the team store and import again" in entry.reason
    shutil.move(path, team.directory.parent)
    [entry] = taken(old, stores).entries
    assert entry.result == "imported"


def test_what_has_ended_is_told(old: Old, stores: tuple[Store, Store]) -> None:
    ended = a_certificate(end=NOW - timedelta(days=1))
    old.add("bench", developer_values(DEVICE_CERTIFICATE=ended))
    old.add("update", {**update_values(), rules.UPDATE_CERTIFICATE: ended})
    old.add("good", developer_values())
    entries = {entry.old.name: entry for entry in taken(old, stores).entries}
    assert {entry.result for entry in entries.values()} == {"imported"}
    for name in ("bench", "update"):
        assert ["the certificate ended on 2026-11-22" in notice for notice in entries[name].old.notices] == [True]
    assert entries["good"].old.notices == ()


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(MblCliStoreError, match="not a directory"):
        read_mbl_cli_store(tmp_path / "x")


# --- taking over, and what is told about a store ---


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Store, Store]:
    vault = Vault([("default", VaultSecret(b"x"))])
    return Store(tmp_path / "team", vault, shared=True), Store(tmp_path / "user", vault)


def taken(old: Old, stores: tuple[Store, Store], dry_run: bool = False) -> ImportOutcome:
    return import_mbl_cli_store(old.directory, *stores, api_host=HOST, dry_run=dry_run)


def test_taking_over(old: Old, stores: tuple[Store, Store]) -> None:
    team, user = stores
    old.add("bench", developer_values())
    old.add("update", update_values())
    (old.add("bad", developer_values()) / f"{rules.SERVER_CA}.bin").unlink()
    before = {path: path.read_bytes() for path in old.directory.rglob("*") if path.is_file()}
    assert taken(old, stores, dry_run=True).changed and not team.directory.exists()
    first = taken(old, stores)
    assert first.changed and first.api_key == "imported"
    assert {entry.old.name: entry.result for entry in first.entries} == {
        "bench": "imported",
        "update": "imported",
        "bad": "refused",
    }
    assert team.read(DeveloperCredentials, "bench") == DeveloperCredentials(developer_values(), "bench")
    assert user.read(ApiKey, ApiKey.NAME) == ApiKey("ak_1MDE", HOST)
    second = taken(old, stores)
    assert not second.changed and second.api_key == "unchanged"
    assert {entry.result for entry in second.entries} == {"unchanged", "refused"}
    assert {path: path.read_bytes() for path in old.directory.rglob("*") if path.is_file()} == before
    assert "ak_1MDE" not in repr(first) + repr(read_mbl_cli_store(old.directory))


def test_nothing_in_the_store_is_overwritten(old: Old, stores: tuple[Store, Store]) -> None:
    team, user = stores
    known = DeveloperCredentials(developer_values(MANUFACTURER=b"known"), "bench", "0" * 32)
    team.write("bench", known)
    user.write(ApiKey.NAME, ApiKey("other", HOST))
    old.add("bench", developer_values())
    outcome = taken(old, stores)
    assert not outcome.changed and outcome.api_key == "refused"
    reason = outcome.entries[0].reason
    assert reason and reason.startswith("The team store already has a different entry 'bench' of that kind.")
    assert team.read(DeveloperCredentials, "bench") == known


def test_report_tells_all_but_secrets(stores: tuple[Store, Store]) -> None:
    team, user = stores
    assert report(team, now=NOW) == []
    team.write("bench", DeveloperCredentials(developer_values(), "bench", "0" * 32))
    team.write("bench", UpdateResources(update_values()))
    team.write("ended", DeveloperCredentials(developer_values(DEVICE_CERTIFICATE=a_certificate(end=NOW)), "ended"))
    team.write("broken", UpdateResources(update_values()))
    team.path(UpdateResources, "broken").write_bytes(b"")
    user.write(ApiKey.NAME, ApiKey("ak_secret", HOST))
    entries = {(entry["kind"], entry["name"]): entry for entry in report(team, now=NOW)}
    assert set(entries) == {
        ("developer-credentials", "bench"),
        ("developer-credentials", "ended"),
        ("update-resources", "bench"),
        ("update-resources", "broken"),
    }
    bench = entries["developer-credentials", "bench"]
    assert bench["problem"] is None and bench["notices"] == [] and bench["certificate_id"] == "0" * 32
    assert bench["account_id"] == ACCOUNT and bench["not_after"] == "2035-02-09T12:00:00Z"
    assert entries["update-resources", "bench"]["has_private_key"] is False
    assert "ended on" in entries["developer-credentials", "ended"]["problem"]
    assert "not an Ansible Vault file" in entries["update-resources", "broken"]["problem"]
    assert [entry["name"] for entry in report(team, name="ended", now=NOW)] == ["ended"]
    (notice,) = report(team, name="bench", warn_days=5000, now=NOW)[0]["notices"]
    assert "ends in 3000 days" in notice
    (key,) = report(user, now=NOW)
    assert key["api_host"] == HOST
    shown = json.dumps([*entries.values(), key])
    assert "ak_secret" not in shown and "PRIVATE" not in shown
