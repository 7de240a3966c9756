# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is published: a tarball that everybody who builds it gets to the bit, and one version in all places."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text())
reproducible = runpy.run_path(str(ROOT / ".ci/reproducible.py"))["reproducible"]
NAMES = ["z.txt", "a.txt", "deep/b.txt", "deep/a/c.txt"]


def built(place: Path, names: list[str], seconds: int) -> bytes:
    """The tarball of a collection whose files were made in that order and at that time."""
    (place / "source").mkdir(parents=True)
    shutil.copy(ROOT / "galaxy.yml", place / "source")
    for name in [*names, "README.md"]:
        file = place / "source" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
        os.utime(file, (seconds, seconds))
    subprocess.run(["ansible-galaxy", "collection", "build", "source"], cwd=place, check=True, capture_output=True)
    [tarball] = place.glob("*.tar.gz")
    return tarball.read_bytes()


def test_everybody_builds_the_same_tarball_and_it_can_be_installed(tmp_path: Path) -> None:
    first, second = built(tmp_path / "1", NAMES, 10**9), built(tmp_path / "2", NAMES[::-1], 10**9 + 60)
    assert first != second
    made = reproducible(first, 1)
    assert made == reproducible(second, 1) != reproducible(second, 2)
    (tmp_path / "made.tar.gz").write_bytes(made)
    command = ["ansible-galaxy", "collection", "install", "made.tar.gz", "--force", "-p", tmp_path / "installed"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    installed = tmp_path / "installed/ansible_collections" / GALAXY["namespace"] / GALAXY["name"]
    assert [(installed / name).read_text() for name in NAMES] == NAMES


def test_pages_name_the_tarball_of_this_version() -> None:
    named = f"{GALAXY['namespace']}-{GALAXY['name']}-{GALAXY['version']}.tar.gz"
    for page in (ROOT / "docs").glob("*.md"):
        assert set(re.findall(r"\b\w+-\w+-[0-9.]+\.tar\.gz", page.read_text())) <= {named}, page


def test_nothing_is_said_to_come_with_a_version_that_there_is_not() -> None:
    versions = {
        version
        for file in (*ROOT.glob("plugins/**/*.py"), *ROOT.glob("roles/*/meta/*.yml"), *ROOT.glob("extensions/**/*.py"))
        for version in re.findall(r"^ *version_added: ['\"]?([0-9.]+)", file.read_text(), re.MULTILINE)
    }
    released = yaml.safe_load((ROOT / "changelogs/changelog.yaml").read_text())["releases"].keys()
    assert versions and versions <= {*released, GALAXY["version"]}


def test_the_collection_takes_another_name_by_the_commands_of_the_page(tmp_path: Path) -> None:
    place = tmp_path / "ansible_collections/acme/boards"
    place.mkdir(parents=True)
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True).stdout
    subprocess.run(["xargs", "-0", "cp", "-P", "--parents", "-t", place], cwd=ROOT, input=listed, check=True)
    [commands] = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs/publishing.md").read_text(), re.MULTILINE | re.DOTALL)
    script = f"set -e; git init --quiet; git add --all; {commands}"
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)

    done = run("bash", "-c", script)
    assert done.returncode == 0, done.stderr
    left = run("git", "grep", "-nIE", r"pelion\\?[./]mbl")
    assert not left.stdout
    for command in (
        ("ansible-doc", "acme.boards.pelion_fleet_report"),
        ("ansible-doc", "-t", "role", "acme.boards.provision_pelion"),
        ("ansible-playbook", "-i", "localhost,", "--syntax-check", "acme.boards.provision"),
        ("python", "-c", "from ansible_collections.acme.boards.plugins.action import pelion_fleet_report"),
    ):
        done = run(*command)
        assert done.returncode == 0, done.stdout + done.stderr


def test_addresses_are_in_one_place() -> None:
    found = subprocess.run(
        ["git", "-C", ROOT, "grep", "-lI", GALAXY["repository"].removeprefix("https://")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["galaxy.yml"]
