# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/scaling.md shows for more than one controller. Its commands are run by tests/integration/test_sites.py."""

from __future__ import annotations

import configparser
import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.report.entries import BoardReport, Report
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.files import read_report, write_report

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/scaling.md").read_text()
SOURCE = next(block for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S) if "prefix: slice" in block)
SLICES = 5

# --- slices ---

Sliced = Callable[[list[str]], dict[str, list[str]]]


@pytest.fixture
def sliced(tmp_path: Path) -> Sliced:
    """The slices of each board, from an inventory with boards of these names in this order."""
    (tmp_path / "slices.yml").write_text(SOURCE)

    def slices(names: list[str]) -> dict[str, list[str]]:
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"mbl": {"hosts": dict.fromkeys(names)}}, sort_keys=False))
        inventory = InventoryManager(loader=DataLoader(), sources=[str(tmp_path)])
        return {
            name: [group.name for group in inventory.get_host(name).get_groups() if group.name.startswith("slice_")]
            for name in names
        }

    return slices


names = st.lists(st.from_regex("(north-)?mbed-linux-os-[0-9]{1,4}", fullmatch=True), min_size=1, unique=True)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(names, st.randoms(use_true_random=False))
def test_a_board_is_in_one_slice_whatever_else_was_found_in_whatever_order(
    sliced: Sliced, boards: list[str], chance: random.Random
) -> None:
    slices = sliced(boards)
    assert all(len(of_board) == 1 for of_board in slices.values())
    assert {of_board[0] for of_board in slices.values()} <= {f"slice_{number}" for number in range(1, SLICES + 1)}
    others = chance.sample(boards, chance.randint(1, len(boards)))
    assert sliced(others) == {name: slices[name] for name in others}


def test_slices_are_about_as_large_as_the_page_says(sliced: Sliced) -> None:
    slices = sliced([f"mbed-linux-os-{number}" for number in range(1000)])
    sizes = [sum(of_board == [f"slice_{number}"] for of_board in slices.values()) for number in range(1, SLICES + 1)]
    assert sum(sizes) == 1000
    assert all(abs(size - 200) < 4 * 13 for size in sizes)


# --- execution environment ---

DEFINITION = next(block for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S) if "base_image" in block)


def names_of(requirements: Path) -> set[str]:
    lines = (line.partition("#")[0].strip() for line in requirements.read_text().splitlines())
    return {re.split(r"[ <>=\[]", line)[0] for line in lines if line}


def test_ansible_builder_finds_what_the_collection_needs(tmp_path: Path) -> None:
    written = {name: tmp_path / name for name in ("pip", "bindep")}
    options = [part for name, file in written.items() for part in (f"--write-{name}", file)]
    subprocess.run(["ansible-builder", "introspect", *options, ROOT / ".build"], check=True, capture_output=True)
    assert names_of(written["pip"]) == names_of(ROOT / "requirements.txt") >= {"zeroconf", "cryptography"}
    assert names_of(written["bindep"]) == {"openssh-client", "openssh-clients"}


def test_ansible_builder_takes_the_page_s_definition(tmp_path: Path) -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    archive = f"pelion-mbl-{version}.tar.gz"
    assert archive in DEFINITION
    collection = tmp_path / "collection"
    collection.mkdir()
    (collection / "README.md").touch()
    shutil.copy(ROOT / "galaxy.yml", collection)
    subprocess.run(["ansible-galaxy", "collection", "build", collection], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "execution-environment.yml").write_text(DEFINITION)
    subprocess.run(["ansible-builder", "create"], cwd=tmp_path, check=True, capture_output=True)
    context = tmp_path / "context"
    # As the image's build does.
    install = ["ansible-galaxy", "collection", "install", "-r", "requirements.yml", "--force"]
    install += ["-p", tmp_path / "installed"]
    subprocess.run(install, cwd=context / "_build", check=True, capture_output=True)
    assert (tmp_path / "installed/ansible_collections/pelion/mbl/MANIFEST.json").is_file()
    assert "update-crypto-policies" in next(context.glob("*file")).read_text()


# --- systemd ---

UNITS = sorted((ROOT / "docs").glob("pelion-provision.*"))


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    parts = {unit.name: configparser.ConfigParser(strict=False, interpolation=None) for unit in UNITS}
    for unit in UNITS:
        parts[unit.name].optionxform = str
        parts[unit.name].read_string(unit.read_text())
        # Installed where it looks for it.
        (tmp_path / unit.name).write_text(
            unit.read_text().replace("/srv/pelion/venv/bin/ansible-playbook", "/bin/true")
        )
    assert set(parts) == {"pelion-provision.service", "pelion-provision.timer"}
    command = parts["pelion-provision.service"]["Service"]["ExecStart"]
    playbook = re.search(r"pelion\.mbl\.(\w+)", command)
    assert playbook and (ROOT / "playbooks" / f"{playbook[1]}.yml").is_file()
    assert parts["pelion-provision.timer"]["Timer"]["OnUnitInactiveSec"]
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    verify = ["systemd-analyze", "verify", "--man=no", *(tmp_path / unit.name for unit in UNITS)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "pelion-provision" in line]) == (0, [])


def test_no_secret_is_in_the_environment_of_the_service() -> None:
    text = (ROOT / "docs/pelion-provision.service").read_text()
    environment = re.findall(r"^Environment=(.*)$", text, re.M)
    assert environment and not re.search("API_KEY|PASSWORD=|SECRET", " ".join(environment))


# --- one report ---


def test_the_playbook_tells_the_boards_that_should_be_at_a_silent_site(tmp_path: Path) -> None:
    write_report(Report("provision", "2026-11-25T00:00:00Z", [BoardReport("a", "ok")]), tmp_path / "all/north")
    extra = {
        "sites": "north, south",
        "reports": str(tmp_path / "all"),
        "expected": {"south": ["b"]},
        "report": str(tmp_path / "merged"),
        "provision_pelion_team_store": str(tmp_path / "team"),
    }
    merge = ["ansible-playbook", ROOT / "playbooks/merge_reports.yml", "-e", json.dumps(extra)]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build"), "HOME": str(tmp_path)}
    done = subprocess.run(merge, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    merged = read_report(tmp_path / "merged")
    assert {board.name: (board.site, board.outcome) for board in merged.boards} == {
        "a": ("north", "ok"),
        "b": ("south", "not_reached"),
    }
    assert not (tmp_path / "team").exists()
    for half, words in ({"reports": ""}, "-e sites="), ({"sites": "north"}, "-e reports="):
        lacking = [*merge[:-1], json.dumps(half)]
        done = subprocess.run(lacking, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert words in done.stdout + done.stderr
