# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud's modules as users run them, against a cloud of each test's own."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cloud import Cloud
from tasks_of_a_user import User

ROOT = Path(__file__).parents[2]
LIST, CREATE = "GET /v3/trusted-certificates", "POST /v3/developer-certificates"


class Controller(User):
    """Of a user of ``cloud``."""

    def __init__(self, home: Path, cloud: Cloud) -> None:
        super().__init__(
            home, PELION_API_HOST=cloud.https_url, PELION_API_KEY=cloud.api_key, PELION_CA_PATH=str(cloud.ca_path)
        )
        self.cloud = cloud

    def forget(self, *names: str) -> None:
        for name in names:
            self.environment.pop(name)


@pytest.fixture
def controller(cloud: Cloud, home: Path) -> Controller:
    return Controller(home, cloud)


def certificate(name: str = "bench", **options: Any) -> dict[str, Any]:
    return {"pelion.mbl.pelion_dev_cert": {"name": name, **options}}


def certificates(cloud: Cloud) -> list[dict[str, Any]]:
    return cloud.state.snapshot()["certificates"]


def test_a_certificates_life(cloud: Cloud, controller: Controller) -> None:
    made = controller.twice(certificate(description="ours"))[0].results[0]
    assert made["source"] == "made"
    assert [entry["id"] for entry in certificates(cloud)] == [made["id"]]

    device_id = cloud.state.seed_devices(1, made["id"])[0]
    overview, devices = controller.run(
        {"pelion.mbl.pelion_dev_cert_info": {}},
        {"pelion.mbl.pelion_device_info": {"certificate": "bench", "states": ["registered"]}},
    ).results
    entry = overview["certificates"][0]
    assert {name: entry[name] for name in ("id", "name", "account_id", "common_name", "not_after")} == {
        name: made[name] for name in ("id", "name", "account_id", "common_name", "not_after")
    }
    assert (entry["devices"], entry["devices_limit"], entry["status"]) == (1, 100, "ACTIVE")
    assert (entry["in_cloud"], entry["stored_as"]) == (True, "bench")
    assert [device["id"] for device in devices["devices"]] == [device_id]

    controller.twice(certificate(state="inactive"))
    refused = controller.run(certificate())
    assert refused.failed
    assert "INACTIVE" in refused.msg
    controller.twice(certificate(force=True))
    refused = controller.run(certificate(state="absent"))
    assert refused.failed
    assert (refused.results[0]["devices"], len(certificates(cloud))) == (1, 1)
    controller.twice(certificate(state="absent", force=True))
    assert not certificates(cloud)


def test_a_devices_life(cloud: Cloud, controller: Controller) -> None:
    device_id = cloud.state.seed_devices(1)[0]
    noted = {"name": "bench-1", "description": "left", "custom_attributes": {"shelf": "3"}}
    controller.twice({"pelion.mbl.pelion_device": {"ids": [device_id], **noted}})
    entry = cloud.state.snapshot()["devices"][0]
    assert {name: entry[name] for name in noted} == noted
    known = controller.run({"pelion.mbl.pelion_device_info": {"ids": [device_id, "0" * 32], "states": ["registered"]}})
    assert [device["name"] for device in known.results[0]["devices"]] == ["bench-1"]
    suspension = {"ids": [device_id], "suspended": True, "reason": "in repair"}
    controller.twice({"pelion.mbl.pelion_device": suspension})
    controller.twice({"pelion.mbl.pelion_device": {**suspension, "suspended": False, "reason": "repaired"}})
    controller.twice({"pelion.mbl.pelion_device": {"ids": [device_id], "state": "absent"}})
    assert not cloud.state.snapshot()["devices"]


def test_many_devices_are_named_in_one_task(cloud: Cloud, controller: Controller) -> None:
    ids = cloud.state.seed_devices(3)
    named = [{"id": device_id, "name": f"bench-{number}"} for number, device_id in enumerate(ids)]
    named[2]["custom_attributes"] = {"shelf": "4"}
    done, _again = controller.twice(
        {"pelion.mbl.pelion_device": {"devices": named, "custom_attributes": {"shelf": "3"}}}
    )
    assert [device["name"] for device in done.results[0]["devices"]] == ["bench-0", "bench-1", "bench-2"]
    shelves = [entry["custom_attributes"]["shelf"] for entry in cloud.state.snapshot()["devices"]]
    assert shelves == ["3", "3", "4"]
    refused = controller.run({"pelion.mbl.pelion_device": {"ids": [*ids, "0" * 32], "state": "present", "name": "x"}})
    assert refused.failed and refused.results[0]["missing_ids"] == ["0" * 32]
    for options, said in (({}, "one of the following is required"), ({"ids": ids, "suspended": True}, "reason")):
        refused = controller.run({"pelion.mbl.pelion_device": options})
        assert refused.failed and said in refused.msg


def test_a_fleet_is_named_by_its_boards_or_by_a_table(cloud: Cloud, controller: Controller) -> None:
    one, other = cloud.state.seed_devices(2)
    store = controller.home / ".mbl-store/team"
    store.mkdir(parents=True, mode=0o2770)
    boards = {"one": {"host_keys": [], "device_id": one, "certificate": "bench", "seen": "2026-11-25T00:00:00Z"}}
    (store / "fleet.json").write_text(json.dumps({"format": 1, "boards": boards}))
    done, _again = controller.twice(
        {"pelion.mbl.pelion_fleet_name": {"boards": [{"board": "one", "groups": ["Bench"]}]}}
    )
    assert (done.results[0]["devices"][0]["name"], done.results[0]["devices"][0]["groups"]) == ("one", ["Bench"])
    new = controller.run({"pelion.mbl.pelion_fleet_name": {"boards": [{"board": "new"}]}})
    assert not new.changed and not new.failed and "not provisioned them yet: new" in new.output
    cloud.state.update_device(cloud.account_id, other, {"serial_number": "S-1"})
    table = controller.home / "names.csv"
    table.write_text("board,serial_number,name,attribute_shelf\none,,gate,3\n,S-1,hall,\n")
    planned = controller.run({"pelion.mbl.pelion_fleet_name": {"src": "names.csv"}}, options=["--check", "--diff"])
    assert planned.changed and cloud.state.device(cloud.account_id, one).name == "one"
    controller.twice({"pelion.mbl.pelion_fleet_name": {"src": "names.csv"}})
    assert [device["name"] for device in cloud.state.snapshot()["devices"]] == ["gate", "hall"]
    plain = controller.run({"pelion.mbl.pelion_fleet_name": {"boards": [{"board": "one"}]}})
    assert not plain.changed and "still called 'gate'" in plain.results[0]["done"][0]
    asked = controller.run({"pelion.mbl.pelion_fleet_name": {"boards": [{"board": "one", "name": "porch"}]}})
    assert asked.results[0]["done"] == [f"one: its device {one} now has the name 'porch'."]
    table.write_text("board\nunknown\n")
    refused = controller.run({"pelion.mbl.pelion_fleet_name": {"src": str(table)}})
    assert refused.failed and "board 'unknown'" in refused.msg


def test_a_list_without_devices_changes_none(controller: Controller) -> None:
    assert controller.run({"pelion.mbl.pelion_device": {"devices": []}}).results[0]["devices"] == []


def test_a_production_device_is_not_removed(cloud: Cloud, controller: Controller) -> None:
    device_id = cloud.state.seed_devices(1, device_execution_mode=5)[0]
    refused = controller.run({"pelion.mbl.pelion_device": {"ids": [device_id], "state": "absent"}})
    assert refused.failed
    assert "have no developer certificate" in refused.msg


def test_a_saved_key_serves_the_other_modules(cloud: Cloud, controller: Controller) -> None:
    saved = controller.twice({"pelion.mbl.pelion_api_key": {}})[0].results[0]
    assert (saved["account_id"], saved["api_host"]) == (cloud.account_id, cloud.https_url)
    user_store = controller.home / ".mbl-store" / "user"
    assert user_store.stat().st_mode & 0o777 == 0o700
    for file in user_store.glob("*.yml"):
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.read_bytes().startswith(b"$ANSIBLE_VAULT;")

    controller.forget("PELION_API_KEY", "PELION_API_HOST")
    assert controller.run(certificate()).results[0]["source"] == "made"

    with Cloud() as other:  # a saved key goes to no other host
        controller.environment["PELION_API_HOST"] = other.https_url
        refused = controller.run(certificate())
        assert "not sent" in refused.msg
        assert not other.log.calls
    controller.forget("PELION_API_HOST")
    controller.twice({"pelion.mbl.pelion_api_key": {"state": "absent"}})
    assert "No API key" in controller.run({"pelion.mbl.pelion_dev_cert_info": {}}).msg


@pytest.mark.parametrize("status", [404, 500])
def test_only_an_account_is_a_yes(cloud: Cloud, controller: Controller, status: int) -> None:
    cloud.faults.add("status", status=status)
    refused = controller.run({"pelion.mbl.pelion_api_key": {"api_retries": 0}})
    assert refused.failed
    assert refused.results[0]["status"] == status
    assert not (controller.home / ".mbl-store" / "user").exists()


def test_a_wrong_key_is_not_saved(controller: Controller) -> None:
    controller.environment["PELION_API_KEY"] = "ak_1wrong"
    refused = controller.run({"pelion.mbl.pelion_api_key": {}})
    assert refused.results[0]["type"] == "invalid_auth"
    assert "ak_1wrong" not in refused.output
    assert not (controller.home / ".mbl-store" / "user").exists()


def test_the_old_environment_variables_serve_too(cloud: Cloud, controller: Controller) -> None:
    controller.forget("PELION_API_KEY", "PELION_API_HOST")
    controller.environment |= {"MBED_CLOUD_SDK_API_KEY": cloud.api_key, "MBED_CLOUD_SDK_HOST": cloud.http_url}
    assert controller.run({"pelion.mbl.pelion_dev_cert_info": {}}).results[0]["certificates"] == []


def test_a_loop_finds_the_environments_key_each_time(cloud: Cloud, controller: Controller) -> None:
    done = controller.run({**certificate("{{ item }}"), "loop": ["a", "b", "c"]})
    assert not done.failed, done.output
    assert [entry["name"] for entry in certificates(cloud)] == ["a", "b", "c"]


def test_nothing_in_the_working_directory_counts(cloud: Cloud, controller: Controller) -> None:
    controller.forget("PELION_API_KEY", "PELION_API_HOST")
    settings = {"host": cloud.http_url, "api_key": cloud.api_key}
    (controller.home / ".mbed_cloud_config.json").write_text(json.dumps(settings))
    (controller.home / ".env").write_text(f"MBED_CLOUD_SDK_API_KEY={cloud.api_key}\n")
    assert "No API key" in controller.run({"pelion.mbl.pelion_dev_cert_info": {}}).msg
    assert not cloud.log.calls


def test_options_may_be_set_once_for_all(cloud: Cloud, controller: Controller) -> None:
    controller.forget("PELION_API_KEY", "PELION_API_HOST", "PELION_CA_PATH")
    common = {"api_key": cloud.api_key, "api_host": cloud.https_url, "ca_path": str(cloud.ca_path)}
    done = controller.run(certificate(), module_defaults={"group/pelion.mbl.pelion": common})
    assert done.results[0]["source"] == "made"


def test_offline_the_store_serves(cloud: Cloud, controller: Controller) -> None:
    controller.run(certificate())
    cloud.log.clear()
    controller.environment["PELION_API_HOST"] = "https://localhost:9"
    assert controller.run(certificate(verify=False)).results[0]["source"] == "store"
    unreachable = controller.run(certificate(api_retries=0))
    assert "no answer" in unreachable.msg
    controller.forget("PELION_API_KEY")
    assert controller.run(certificate()).results[0]["source"] == "store"
    assert not cloud.log.calls


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (certificate("x" * 101), "1 to 100"),
        (certificate(api_host="http://api.example.com"), "unprotected"),
        (certificate(ca_path="/no/such/file"), "ca_path"),
        (certificate(team_store="/proc/version"), "/proc/version"),
    ],
)
def test_bad_input_changes_nothing(cloud: Cloud, controller: Controller, task: dict[str, Any], why: str) -> None:
    refused = controller.run(task)
    assert refused.failed
    assert why in refused.msg
    assert not certificates(cloud)


def test_without_a_vault_secret_nothing_is_made(cloud: Cloud, controller: Controller) -> None:
    refused = controller.run(certificate(), secret=[])
    assert refused.failed
    assert "--vault-password-file" in refused.msg
    assert not cloud.log.calls


def test_check_mode_and_diff(cloud: Cloud, controller: Controller) -> None:
    would = controller.run(certificate(description="ours"), options=["--check", "--diff"])
    assert would.changed == 1
    assert '+        "description": "ours"' in would.output
    assert not certificates(cloud)
    assert not (controller.home / ".mbl-store").exists()


def test_no_secret_is_shown_at_any_verbosity(cloud: Cloud, controller: Controller) -> None:
    controller.environment["ANSIBLE_DEBUG"] = "1"
    done = controller.run(
        {"pelion.mbl.pelion_api_key": {"api_key": cloud.api_key}},
        certificate(),
        {"pelion.mbl.pelion_dev_cert_info": {}},
        options=["-vvvvv", "--diff"],
    )
    assert [result["changed"] for result in done.results] == [True, True, False]
    assert cloud.api_key not in done.output
    key = next(iter(cloud.state.certificates.values())).private_key
    assert key is not None
    encoded = base64.b64encode(key).decode()
    for part in (encoded[:40], encoded[64:104], key.hex(), ", ".join(f"0x{byte:02x}" for byte in key[40:60])):
        assert part not in done.output


def test_through_pytest_ansible(cloud: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch, ansible_adhoc: Any) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PELION_API_HOST", cloud.https_url)
    monkeypatch.setenv("PELION_API_KEY", cloud.api_key)
    monkeypatch.setenv("PELION_CA_PATH", str(cloud.ca_path))
    device_id = cloud.state.seed_devices(1)[0]
    localhost = ansible_adhoc(inventory="localhost,", connection="local").localhost
    for changed in (True, False):
        outcome = getattr(localhost, "pelion.mbl.pelion_device")(ids=device_id, name="bench-1")
        assert outcome["localhost"]["changed"] is changed
    assert cloud.state.snapshot()["devices"][0]["name"] == "bench-1"
