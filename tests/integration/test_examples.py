# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example of the plugins' documentation, pasted. Names and ids of boards and one path are the lab's own; all else
is as it stands there. (The event source has its own test, where its server is.)"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from credential_samples import a_key, c_source, developer_values, update_values
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fleet import ROOT, Fleet
from own_directory import Bench

ORDER = [
    "pelion_api_key",
    "pelion_dev_cert",
    "mbl_identify",
    "mbl_diagnose",
    "pelion_fleet_waves",
    "pelion_fleet_info",
    "pelion_update_proof",
    "pelion_fleet_name",
    "pelion_fleet_report",
    "pelion_fleet_merge",
    "pelion_certificate_check",
    "mbl_kcm_inject",
    "mbl_pelion_status",
    "pelion_dev_cert_info",
    "pelion_device_info",
    "mbl_update_resources",
    "mbl_sign_update",
    "pelion_store_import",
    "pelion_store_info",
    "pelion_device",
    "mbl_kcm_empty",
    "pelion_fleet_forget",
]
"""In the order of a fleet's life: what one makes, the next ones find."""
BEFORE: dict[str, list[dict[str, Any]]] = {
    "mbl_identify": [
        {
            "ansible.builtin.import_role": {"name": "pelion.mbl.provision_pelion"},
            "vars": {
                "provision_pelion_dev_cert": "bench-2026",
                "provision_pelion_update_resources": "bench-update",
                "provision_pelion_vendor_domain": "example.com",
                "provision_pelion_device_class": "bench-board",
            },
        }
    ],
    "mbl_kcm_inject": [{"pelion.mbl.pelion_dev_cert": {"name": "bench-2027"}, "run_once": True}],
}
"""What an example takes for granted."""
IDS = ["0167d7b9a5c700000000000100100456", "0167d7b9a5c700000000000100100457"]
"""The devices of the examples."""


def examples(plugin: Path) -> str:
    for node in ast.parse(plugin.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "EXAMPLES":
            return ast.literal_eval(node.value)
    raise AssertionError(f"{plugin.name} has no examples")


def plays(module: str) -> Iterator[dict[str, Any]]:
    entries = yaml.safe_load(examples(ROOT / "plugins/modules" / f"{module}.py"))
    tasks = [{"name": "Take for granted", **task} for task in BEFORE.get(module, [])]
    tasks += [entry for entry in entries if "hosts" not in entry]
    if tasks:
        yield {"name": module, "hosts": "mbl", "gather_facts": False, "tasks": tasks}
    yield from (entry for entry in entries if "hosts" in entry)


def test_all_modules_with_examples_are_in_the_order() -> None:
    modules = (ROOT / "plugins/modules").glob("*.py")
    assert sorted(ORDER) == sorted(path.stem for path in modules if yaml.safe_load(examples(path)))


@pytest.fixture(scope="module")
def own_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """With a cloud of its own: an example fails for any certificate that ends soon, other tests' included."""
    fleet = Fleet.up(tmp_path_factory.mktemp("own-lab") / "state", "--devices", "3")
    yield fleet
    fleet.down()


@pytest.fixture(scope="module")
def bench(own_lab: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """With the files that the examples name: those of the manifest tool, a table, and two old stores of mbl-cli."""
    bench = Bench(own_lab, tmp_path_factory.mktemp("bench"))
    pem = a_key(number=2).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    files = {
        "devices.csv": bench.named("board,name\nmbed-linux-os-9709,gate\n").encode(),
        "manifest.bin": b"a manifest",
        "update_default_resources.c": c_source(update_values()),
        ".update-certificates/default.key.pem": pem,
        **{
            f"{store}/{name}.bin": value
            for store in ("home/.mbl-store/team/old", "srv/older")
            for name, value in developer_values().items()
        },
    }
    for name, content in files.items():
        path = bench.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return bench


def test_those_of_the_modules(bench: Bench) -> None:
    written = [play for module in ORDER for play in plays(module)]
    text = bench.named(yaml.safe_dump(written, sort_keys=False, width=1000))
    text = text.replace("/srv/old/team", str(bench.directory / "srv"))
    for number, device_id in enumerate(IDS):
        text = text.replace(device_id, f"'{{{{ lab_devices[{number}] }}}}'")
    (bench.directory / "playbook.yml").write_text(text)
    answers = {
        "key": bench.run("printenv PELION_API_KEY").stdout.strip(),
        # When they are asked for, the boards are devices.
        "lab_devices": f"{{{{ (lookup('ansible.builtin.file', '{bench.home}/.mbl-store/team/fleet.json') | from_json)"
        ".boards.values() | map(attribute='device_id') }}",
    }
    (bench.directory / "answers.yml").write_text(yaml.safe_dump(answers))
    done = bench.run("ansible-playbook -i inventory/ -e @answers.yml playbook.yml")
    assert done.returncode == 0, done.output
    assert all(recap.ignored == 0 for recap in done.recap.values()), done.output
    ran = dict(re.findall(r"^TASK \[(.*?)\] \*+\n((?:(?!TASK|PLAY).*\n)*)", done.stdout, re.MULTILINE))
    left_out = {
        task["name"]
        for play in written
        for task in play["tasks"]
        if not re.search("^(ok|changed): ", ran[task["name"]], re.MULTILINE)
    }
    assert left_out == {"Show those that are not registered"}, done.output


@pytest.mark.parametrize("number", range(3))
def test_those_of_the_inventory(bench: Bench, number: int) -> None:
    """The boards of the lab are behind an interface of another name."""
    text = examples(ROOT / "plugins/inventory/mbl_mdns.py").split("---\n")[number]
    text = (
        bench.named(text)
        .replace("[eth1, eth2]", "[lab0]")
        .replace("eth1", "lab0")
        .replace("expected: 20", "expected: 3")
    )
    (bench.directory / "mbl_mdns.yml").write_text(text)
    listed = bench.run("ansible-inventory -i mbl_mdns.yml --list")
    assert listed.returncode == 0, listed.output
    inventory = json.loads(listed.stdout)
    by_hand = ["mbed-linux-os-77"] if "addresses:" in text else []
    assert sorted(inventory["mbl"]["hosts"]) == sorted([*bench.addresses, *by_hand])
    assert ("bench_one" in inventory) == ("bench_one" in text)
    # The board that nobody has is told.
    assert ("not found: mbed-linux-os-1234" in listed.stderr) == ("roster:" in text)


def test_the_inventory_has_no_other_examples() -> None:
    assert examples(ROOT / "plugins/inventory/mbl_mdns.py").count("\nplugin:") == 3
