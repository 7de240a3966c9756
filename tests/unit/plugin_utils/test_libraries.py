# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A missing library is told as such, and not as a bug of Ansible's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PLUGINS = [path.stem for path in (ROOT / "plugins/action").glob("*.py")]


@pytest.fixture(params=["requests", "cryptography", "zeroconf"])
def without(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, str]]:
    """An environment in which a library cannot be imported."""
    library = request.param
    (tmp_path / f"{library}.py").write_text(f"raise ModuleNotFoundError({library!r}, name={library!r})")
    return library, {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build"),
        "HOME": str(tmp_path),
    }


def test_every_plugin_can_be_imported_without_it(without: tuple[str, dict[str, str]]) -> None:
    _library, environment = without
    path = os.pathsep.join([environment["PYTHONPATH"], str(ROOT / ".build")])
    imports = "".join(f"import ansible_collections.pelion.mbl.plugins.action.{name}\n" for name in PLUGINS)
    imports += "import ansible_collections.pelion.mbl.plugins.inventory.mbl_mdns\n"
    subprocess.run([sys.executable, "-c", imports], env={**environment, "PYTHONPATH": path}, check=True)


def test_it_is_named_with_what_to_do(without: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    library, environment = without
    if library == "zeroconf":
        (tmp_path / "mbl_mdns.yml").write_text("plugin: pelion.mbl.mbl_mdns\n")
        command = ["inventory", "-i", tmp_path / "mbl_mdns.yml", "--list"]
    else:
        command = ["adhoc", "localhost", "-m", "pelion.mbl.pelion_dev_cert", "-a", "name=x"]
    ended = subprocess.run(
        [sys.executable, "-m", "ansible", *command], env=environment, capture_output=True, text=True, check=False
    )
    output = " ".join((ended.stdout + ended.stderr).split())
    assert f"Missing on the controller: {library}." in output
    named = output.partition(" -m pip install -r ")[2].split()[0].strip('"')
    assert Path(named).read_text() == (ROOT / "requirements.txt").read_text()
    assert "bug" not in output
