# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the team store as users run them. Needs neither a lab nor a cloud, nor this directory's fixtures,
so that tests/versions can run it on every ansible-core."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".build"), str(ROOT / "tests/unit/support")]

from credential_samples import c_source, developer_values, update_values  # noqa: E402
from tasks_of_a_user import PASSWORD, User  # noqa: E402
from warm import commands  # noqa: E402

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials import rules  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import (  # noqa: E402
    Recipe,
    derive_ids,
    make_update_resources,
)

UPDATE, INFO, IMPORT = (
    f"pelion.mbl.{name}" for name in ("mbl_update_resources", "pelion_store_info", "pelion_store_import")
)
IDS = {"vendor_domain": "example.com", "device_class": "model1"}


class StoreUser(User):
    @property
    def team(self) -> Path:
        return self.home / ".mbl-store" / "team"

    def view(self, path: Path | str) -> str:
        command = [commands() / "ansible-vault", "view", *self.secret, str(path)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True, cwd=self.home)
        return done.stdout


@pytest.fixture
def user(tmp_path: Path) -> StoreUser:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return StoreUser(home)


def header(path: Path) -> str:
    return path.read_text().splitlines()[0]


def test_generated_and_exported(user: StoreUser) -> None:
    task = {UPDATE: {"name": "gateway", **IDS, "export_dir": "signing/gateway", "renew_before_days": 30}}
    checked = user.run(task, options=["--check", "--diff"])
    assert checked.changed == 1 and user.snapshot() == {}
    assert checked.results[0]["fingerprint"] is None and len(checked.results[0]["exported"]) == 0
    first, second = user.twice(task)
    made = first.results[0]
    assert made["vendor_id"] == "cfbff0d1-9375-5685-968c-48ce8b15ae17"
    assert made["class_id"] == "dddd16dc-89ba-57bf-821b-db7f8a06c389"
    assert made["source"] == "made" and made["has_private_key"] and made["subject"] == "CN=example.com"
    assert second.results[0]["source"] == "store" and second.results[0]["fingerprint"] == made["fingerprint"]
    assert (
        len(made["exported"]) == 7 and str(user.home / "signing/gateway/update_default_resources.c") in made["exported"]
    )
    key = user.home / "signing/gateway/.update-certificates/default.key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    # The store is where it should be, readable with the tool that people know, and says what it holds.
    assert json.loads((user.home / ".mbl-stores.json").read_text())["team"] == str(user.team)
    assert stat.S_IMODE(user.team.stat().st_mode) == 0o2770
    shown = yaml.safe_load(user.view(user.team / "gateway.update-resources.yml"))
    assert (shown["kind"], shown["name"]) == ("update-resources", "gateway")
    assert shown["entry"]["private_key"] == key.read_text()
    # What is exported can be taken in again, here by another user, with its key.
    exported = {"src": "signing/gateway/update_default_resources.c", "private_key_src": str(key)}
    again, _second = user.twice({UPDATE: {"name": "copy", **exported}})
    assert again.results[0]["fingerprint"] == made["fingerprint"] and again.results[0]["has_private_key"]
    # Without naming it, too, and that is said.
    del exported["private_key_src"]
    beside = user.run({UPDATE: {"name": "beside", **exported}})
    assert beside.results[0]["has_private_key"]
    assert f"remove the copy in clear: {key}." in " ".join(beside.output.split())


def test_nothing_secret_is_shown_at_any_verbosity(user: StoreUser) -> None:
    user.environment["ANSIBLE_DEBUG"] = "1"
    ended = user.run({UPDATE: {"name": "gateway", **IDS}}, {INFO: {}}, options=["-vvvvv", "--diff"])
    assert ended.changed == 1 and not ended.failed
    del user.environment["ANSIBLE_DEBUG"]
    entry = yaml.safe_load(user.view(user.team / "gateway.update-resources.yml"))["entry"]
    for line in entry["private_key"].splitlines()[1:-1]:
        assert line not in ended.output


def test_a_file_is_found_as_copy_finds_its_own(user: StoreUser) -> None:
    made = make_update_resources(Recipe(*derive_ids("example.com", "x")))
    user.file("files/plain.c", c_source(dict(made.values)))
    user.file("roles/r/files/in_role.c", c_source(update_values()))
    user.file("roles/r/tasks/main.yml", yaml.safe_dump([{"name": "In", UPDATE: {"name": "role", "src": "in_role.c"}}]))
    key = user.file("files/key.pem", made.private_key or b"")
    encrypt = [commands() / "ansible-vault", "encrypt", *user.secret, key]
    subprocess.run(encrypt, env=user.environment, check=True, capture_output=True, cwd=user.home)
    first, _second = user.twice(
        {UPDATE: {"name": "plain", "src": "plain.c"}},
        {UPDATE: {"name": "with key", "src": str(user.home / "files/plain.c"), "private_key_src": "key.pem"}},
    )
    assert [result["source"] for result in first.results] == ["file", "file"]
    assert [result["has_private_key"] for result in first.results] == [False, True]
    in_role = user.run({"ansible.builtin.import_role": {"name": "r"}})
    assert in_role.changed == 1 and in_role.results[0]["vendor_id"] == "cfbff0d1-9375-5685-968c-48ce8b15ae17"


def test_several_vault_ids(user: StoreUser) -> None:
    ids = [f"{name}@{user.file(name, f'{name} {PASSWORD}')}" for name in ("team", "prod")]
    secret = [option for given in ids for option in ("--vault-id", given)]
    refused = user.run({UPDATE: {"name": "one", **IDS}}, secret=secret)
    assert refused.failed and "several vault IDs (prod, team)" in refused.results[0]["msg"]
    user.environment["ANSIBLE_VAULT_ENCRYPT_IDENTITY"] = "team"
    user.twice({UPDATE: {"name": "one", **IDS}}, {UPDATE: {"name": "two", **IDS}}, secret=secret)
    del user.environment["ANSIBLE_VAULT_ENCRYPT_IDENTITY"]
    # A secret that is new to a store comes by rekeying only, so that none is mistyped.
    refused = user.run({UPDATE: {"name": "three", **IDS, "vault_id": "prod"}}, secret=secret)
    assert refused.failed and "ansible-vault rekey" in refused.results[0]["msg"]
    rekey = [commands() / "ansible-vault", "rekey", "--vault-id", ids[0], "--new-vault-id", ids[1]]
    subprocess.run([*rekey, user.team / "two.update-resources.yml"], check=True, env=user.environment)
    user.twice({UPDATE: {"name": "three", **IDS, "vault_id": "prod"}}, secret=secret)
    one, two = (user.team / f"{name}.update-resources.yml" for name in ("one", "two"))
    assert (header(one), header(two)) == ("$ANSIBLE_VAULT;1.2;AES256;team", "$ANSIBLE_VAULT;1.2;AES256;prod")
    other_ids = {
        "vendor_id": "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe",
        "class_id": "dddd16dc-89ba-57bf-821b-db7f8a06c389",
    }
    refused = user.run({UPDATE: {"name": "two", **other_ids}}, secret=secret)
    assert refused.failed and "need another name" in refused.results[0]["msg"]
    made = make_update_resources(Recipe(*derive_ids("example.com", "x")))
    user.file("files/other.c", c_source(dict(made.values)))
    changed = user.run({UPDATE: {"name": "two", "src": "other.c", "replace": True}}, secret=secret)
    assert changed.changed == 1 and header(two) == "$ANSIBLE_VAULT;1.2;AES256;prod"
    assert len(changed.results[0]["former_certificates"]) == 1
    # With one of the secrets, its entries are there and the others are named.
    listed = user.run({INFO: {}}, secret=secret[:2])
    problems = {entry["name"]: entry["problem"] for entry in listed.results[0]["entries"]}
    assert problems["one"] is None and "'two'" in problems["two"] and "vault id 'prod'" in problems["two"]
    assert not listed.failed and "vault id 'prod'" in listed.output
    refused = user.run({UPDATE: {"name": "four", **IDS, "vault_id": "none"}}, secret=secret)
    assert refused.failed and "No vault secret with the id 'none'" in refused.results[0]["msg"]


def test_a_mistyped_secret_makes_nothing(user: StoreUser) -> None:
    first = user.run({UPDATE: {"name": "gateway", **IDS}})
    assert "ansible-vault view" not in first.output, "it is in a file, not typed"
    before = user.snapshot()
    mistyped = ["--vault-password-file", user.file("mistyped", f"{PASSWORD}!")]
    for options in (["--check"], []):
        ended = user.run({UPDATE: {"name": "other", **IDS}}, secret=mistyped, options=options)
        assert ended.failed and "Was it mistyped" in ended.results[0]["msg"]
    assert user.snapshot() == before
    assert "ansible-vault view" not in user.run({UPDATE: {"name": "other", **IDS}}).output


def test_a_signing_key_is_not_removed_in_passing(user: StoreUser) -> None:
    made = user.run({UPDATE: {"name": "gateway", **IDS}}).results[0]
    absent = {"name": "gateway", "state": "absent"}
    before = user.snapshot()
    for secret in (None, []):
        refused = user.run({UPDATE: absent}, secret=secret)
        assert refused.failed and user.snapshot() == before
    refused = user.run({UPDATE: absent}, options=["--check"])
    assert refused.failed and refused.results[0]["fingerprints"] == [made["fingerprint"]]
    assert "force: true" in refused.results[0]["msg"]
    user.twice({UPDATE: {**absent, "force": True}})


def test_a_certificate_is_renewed_at_once_but_once(user: StoreUser) -> None:
    def renewal(moment: datetime) -> dict[str, Any]:
        return {UPDATE: {"name": "gateway", "renew_if_made_before": moment.isoformat()}}

    first = user.run({UPDATE: {"name": "gateway", **IDS}}).results[0]
    # It is dated back by a day.
    made = datetime.fromisoformat(first["not_before"].replace("Z", "+00:00")) + timedelta(days=1)
    assert user.run(renewal(made)).changed == 0
    while datetime.now(timezone.utc) < (moment := made + timedelta(seconds=2)):
        time.sleep(0.1)
    checked = user.run(renewal(moment), options=["--check"])
    assert checked.changed == 1 and checked.results[0]["former_certificates"] == [first["fingerprint"]]
    renewed, _again = user.twice(renewal(moment))
    assert renewed.results[0]["source"] == "made" and renewed.results[0]["class_id"] == first["class_id"]
    assert renewed.results[0]["former_certificates"] == [first["fingerprint"]]
    former = {"name": "gateway", "export_dir": "signing", "fingerprint": first["fingerprint"][:16]}
    exported, _again = user.twice({UPDATE: former})
    assert len(exported.results[0]["exported"]) == 7
    kept = user.run({UPDATE: {"name": "gateway", "export_dir": "signing"}})
    assert kept.failed and "is not overwritten" in kept.results[0]["msg"]
    for text, said in (("soon", "is not a time"), ("2100-01-01", "in the future")):
        refused = user.run({UPDATE: {"name": "gateway", "renew_if_made_before": text}})
        assert refused.failed and said in refused.results[0]["msg"]


def test_looking_makes_nothing(user: StoreUser) -> None:
    user.run({INFO: {}}, {UPDATE: {"name": "gateway"}, "ignore_errors": True})
    assert not (user.home / ".mbl-stores.json").exists() and not (user.home / ".mbl-store").exists()
    user.run({UPDATE: {"name": "gateway", **IDS}})
    assert json.loads((user.home / ".mbl-stores.json").read_text())["team"] == str(user.team)


@pytest.mark.parametrize("way", ["environment", "configuration", "script", "wrong"])
def test_ways_to_give_the_secret(user: StoreUser, way: str) -> None:
    user.run({UPDATE: {"name": "gateway", **IDS}})
    secret: list[str] = []
    if way == "environment":
        user.environment["ANSIBLE_VAULT_PASSWORD_FILE"] = user.secret[1]
    elif way == "configuration":
        user.file("ansible.cfg", f"[defaults]\nvault_password_file = {user.secret[1]}\n")
    else:
        script = user.file("script", f'#!/bin/sh\necho "{PASSWORD}{"" if way == "script" else "!"}"\n')
        os.chmod(script, 0o700)
        secret = ["--vault-id", f"team@{script}"]
    ended = user.run({UPDATE: {"name": "gateway", **IDS}}, secret=secret)
    assert ended.failed == (way == "wrong") and ended.changed == 0
    if way == "wrong":
        assert "'gateway'" in ended.results[0]["msg"] and "any of this run's vault secrets" in ended.results[0]["msg"]


def test_no_secret_is_one_clear_error_before_anything_is_changed(user: StoreUser) -> None:
    ended = user.run({UPDATE: {"name": "gateway", **IDS}}, secret=[])
    assert ended.failed and "--ask-vault-pass" in ended.results[0]["msg"]
    assert not user.team.exists()


def test_bad_input_is_refused_with_the_reason(user: StoreUser) -> None:
    user.run({UPDATE: {"name": "gateway", **IDS}})
    before = user.snapshot()
    user.file("files/template.c", '#if MBED_CONF_APP_DEVELOPER_MODE == 1\n#error "Replace me."\n#endif\n')
    user.file("files/developer.c", c_source(developer_values()))
    user.file("files/broken.c", b"const uint8_t arm_uc_vendor_id[] = {\n 0x1, 0x2\n")
    user.file("files/short.c", c_source({**update_values(), rules.VENDOR_ID: b"\1" * 15}))
    with open(user.file("files/huge.c", b""), "wb") as file:
        file.truncate(100 * 1024 * 1024)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"name": "x", "src": "missing.c"}, "there is no file 'missing.c'"),
        ({"name": "x", "src": "template.c"}, "manifest tool: line 2: the file is only a template"),
        ({"name": "x", "src": "developer.c"}, "developer.c: holds developer credentials"),
        (
            {"name": "x", "src": "broken.c"},
            "broken.c is not an update_default_resources.c of the manifest tool: line 2: ends in the middle",
        ),
        ({"name": "x", "src": "short.c"}, "files/short.c: has 15 bytes instead of 16"),
        ({"name": "x", "src": "huge.c"}, "larger than 128 KiB"),
        ({"name": "x", "src": "files"}, "files: cannot be read: Is a directory"),
        ({"name": "x"}, "has no update resources named 'x'"),
        ({"name": "", **IDS}, "cannot be empty"),
        ({"name": "x", **IDS, "src": "short.c"}, "mutually exclusive"),
        ({"name": "x", "vendor_domain": "example.com"}, "required together"),
        ({"name": "x", "vendor_domain": "example", "device_class": "y"}, "vendor_domain is 'example'"),
        ({"name": "x", "vendor_id": "1", "class_id": "2"}, "vendor_id is '1'"),
        ({"name": "x", **IDS, "valid_days": 0}, "valid_days is 0"),
        ({"name": "x", **IDS, "subject": "example"}, "subject is 'example'"),
        ({"name": "x", **IDS, "export_dir": user.file("a file", "")}, "a file is not a directory"),
    ]
    ended = user.run(*({UPDATE: arguments, "ignore_errors": True} for arguments, _said in cases))
    assert len(ended.results) == len(cases)
    for result, (arguments, said) in zip(ended.results, cases, strict=True):
        assert said in result["msg"], (arguments, result["msg"])
    assert ended.changed == 0 and "Traceback" not in ended.output
    assert user.snapshot() == before


def test_what_is_in_the_stores(user: StoreUser) -> None:
    nothing = user.run({INFO: {}})
    assert nothing.results[0]["entries"] == [] and nothing.results[0]["stores"]["team"] == str(user.team)
    user.run({UPDATE: {"name": "a/b \u00e9", **IDS}}, {UPDATE: {"name": "short", **IDS, "valid_days": 5}})
    user.file(".mbl-store/team/broken.update-resources.yml", "junk")
    ended = user.run({INFO: {}})
    entries = {entry["name"]: entry for entry in ended.results[0]["entries"]}
    assert set(entries) == {"a/b \u00e9", "short", "broken"} and not ended.failed
    assert entries["a/b \u00e9"]["problem"] is None and entries["a/b \u00e9"]["store"] == "team"
    assert "ends in" in entries["short"]["notices"][0]
    assert "not an Ansible Vault file" in entries["broken"]["problem"]
    assert "broken.update-resources.yml" in ended.output and ended.changed == 0
    (one,) = user.run({INFO: {"name": "short", "warn_days": 1, "store": "team"}}).results[0]["entries"]
    assert one["notices"] == [] and one["has_private_key"]
    user.twice({UPDATE: {"name": "short", "state": "absent", "force": True}})
    assert not (user.team / "short.update-resources.yml").exists()


def test_places(user: StoreUser) -> None:
    user.run({UPDATE: {"name": "gateway", **IDS, "team_store": "here"}})
    assert (user.home / "here/gateway.update-resources.yml").exists() and not user.team.exists()
    user.environment["PELION_TEAM_STORE"] = str(user.home / "env")
    user.run({UPDATE: {"name": "gateway", **IDS}})
    assert (user.home / "env/gateway.update-resources.yml").exists()
    del user.environment["PELION_TEAM_STORE"]
    user.file(".mbl-stores.json", json.dumps({"team": "~/file", "user": "~/user"}))
    user.run({UPDATE: {"name": "gateway", **IDS}})
    assert (user.home / "file/gateway.update-resources.yml").exists()
    (user.home / "file").chmod(0o777)
    refused = user.run({UPDATE: {"name": "gateway", **IDS}})
    assert refused.failed and "Everybody may write to" in refused.results[0]["msg"]
    user.file(".mbl-stores.json", "{")
    refused = user.run({UPDATE: {"name": "gateway", **IDS}})
    assert refused.failed and ".mbl-stores.json is damaged" in refused.results[0]["msg"]


def test_no_store_of_mbl_cli_is_an_error_that_names_the_places(user: StoreUser) -> None:
    user.run({UPDATE: {"name": "ours", **IDS}})  # our own store at the same place is none of mbl-cli's
    nowhere = user.run({IMPORT: {}})
    assert nowhere.failed
    searched = [str(user.team), str(user.home / ".mbl-store/user")]
    assert nowhere.results[0]["searched"] == searched and all(place in nowhere.results[0]["msg"] for place in searched)
    for name, content in {**update_values(), "arm_uc_default_psk": b"sixteen secret!!"}.items():
        user.file(f".mbl-store/team/update/{name}.bin", content)
    checked = user.run({IMPORT: {}}, options=["--check"])
    assert checked.changed == 1 and not (user.team / "update.update-resources.yml").exists()
    first, _second = user.twice({IMPORT: {}})
    assert first.results[0]["entries"][0]["left_out"] == ["arm_uc_default_psk"]
    assert "left out" in first.output and "sixteen" not in first.output


def test_a_store_of_mbl_cli_is_taken_over(user: StoreUser) -> None:
    values = developer_values()
    values["MBED_CLOUD_DEV_MANUFACTURER"] = b"dev_manufacture"
    values["MBED_CLOUD_DEV_MEMORY_TOTAL_KB"] = b"0"
    for name, content in values.items():
        user.file(f".mbl-store/team/bench/{name}.bin", content)
    user.file(".mbl-store/team/bad/arm_uc_default_certificate.bin", b"")
    user.file(".mbl-store/team/config.json", "{")
    user.file(".mbl-store/user/config.json", json.dumps({"api_key": "ak_very_secret"}))
    (user.home / ".mbl-store/team").chmod(0o750)
    checked = user.run({IMPORT: {}}, options=["--check"])
    assert checked.changed == 1 and not list(user.team.glob("*.yml"))
    first, _second = user.twice({IMPORT: {}})
    entries = {entry["name"]: entry for entry in first.results[0]["entries"]}
    assert entries["bench"]["result"] == "imported" and entries["bad"]["result"] == "refused"
    assert any("is now 'dev_manufacturer'" in repair for repair in entries["bench"]["repairs"])
    assert "'dev_manufacturer'" in first.output and "'bad' was not imported" in first.output
    assert "chmod 2770" in first.output and "ak_very_secret" not in first.output
    assert first.results[0]["api_keys"][str(user.home / ".mbl-store/user")] == "imported"
    shown = yaml.safe_load(user.view(user.team / "bench.developer-credentials.yml"))
    assert shown["entry"]["values"]["MBED_CLOUD_DEV_MANUFACTURER"] == "dev_manufacturer"
    shutil.rmtree(user.team / "bench")
    nowhere = user.run({IMPORT: {"src": "nowhere"}})
    assert nowhere.failed and "not a store of mbl-cli" in nowhere.results[0]["msg"]
