# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is documented is what is done: options, defaults, choices, examples of every module."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COLLECTION = "ansible_collections.pelion.mbl"
MODULES = sorted(file.stem for file in (ROOT / "plugins/modules").glob("*.py"))
STEPS = [f"pelion_fleet_{step}" for step in ("ask", "at_once", "carry_out", "check", "conclude", "decide", "tell")]
PUBLIC = [module for module in MODULES if module not in STEPS]
"""All but the steps of the role, which nobody else calls."""


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ansible-doc says of each module, fragments included."""
    names = [f"pelion.mbl.{module}" for module in MODULES]
    command = [sys.executable, "-m", "ansible", "doc", "--type", "module", "--json", *names]
    home = tmp_path_factory.mktemp("home")
    environment = os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build"), "ANSIBLE_HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=home)
    return {name.rpartition(".")[2]: document for name, document in json.loads(done.stdout).items()}


def action_of(module: str) -> Any:
    return importlib.import_module(f"{COLLECTION}.plugins.action.{module}").ActionModule


def comparable(options: dict[str, Any], nested: str) -> dict[str, Any]:
    """``options`` in the one form that documentation and argument spec have in common."""
    return {
        name: {
            "type": option.get("type", "str"),
            "required": option.get("required", False),
            "default": option.get("default"),
            "choices": list(option.get("choices") or []),
            "elements": option.get("elements"),
            "aliases": option.get("aliases", []),
            "options": comparable(option.get(nested) or {}, nested),
        }
        for name, option in options.items()
    }


@pytest.mark.parametrize("module", MODULES)
def test_the_options_are_the_documented_ones(module: str, documents: dict[str, Any]) -> None:
    accepted = comparable(action_of(module).ARGUMENTS, "options")
    assert accepted == comparable(documents[module]["doc"]["options"], "suboptions")


@pytest.mark.parametrize("module", MODULES)
def test_each_module_says_how_it_behaves(module: str, documents: dict[str, Any]) -> None:
    doc = documents[module]["doc"]
    assert doc["version_added"]
    assert {"check_mode", "diff_mode", "idempotent"} <= set(doc["attributes"])
    for attribute in doc["attributes"].values():
        assert attribute["support"] in ("full", "partial", "none", "N/A")
        assert attribute["description"]
    assert documents[module]["return"] or module in STEPS


@pytest.mark.parametrize("module", PUBLIC)
def test_the_examples_use_the_module_and_its_options_only(module: str, documents: dict[str, Any]) -> None:
    known = {f"pelion.mbl.{name}": set(documents[name]["doc"]["options"]) for name in MODULES}
    tasks = list(_tasks(yaml.safe_load(documents[module]["examples"])))
    assert any(f"pelion.mbl.{module}" in task for task in tasks)
    for task in tasks:
        assert task.get("name")
        for name in known.keys() & task.keys():
            assert set(task[name] or {}) <= known[name]


def _tasks(entries: list[dict[str, Any]]) -> Any:
    for entry in entries:
        if "hosts" in entry:
            for section in ("pre_tasks", "tasks", "post_tasks"):
                yield from _tasks(entry.get(section, []))
        else:
            yield entry


@pytest.mark.parametrize("module", PUBLIC)
def test_results_are_documented_down_to_their_fields(module: str, documents: dict[str, Any]) -> None:
    def check(fields: dict[str, Any], where: str) -> None:
        for name, field in fields.items():
            place = f"{where}.{name}"
            assert field.get("description"), place
            assert field.get("type"), place
            if field["type"] == "dict" or field.get("elements") == "dict":
                assert field.get("contains") or field.get("sample") is not None, place
                check(field.get("contains") or {}, place)
            elif field["type"] != "bool" and "V(" not in str(field["description"]):
                assert "sample" in field, place

    check(documents[module]["return"], module)


@pytest.mark.parametrize("module", MODULES)
def test_each_module_has_its_action(module: str) -> None:
    assert (ROOT / "plugins/action" / f"{module}.py").is_file()
    assert issubclass(
        action_of(module), importlib.import_module(f"{COLLECTION}.plugins.plugin_utils.task.action").Action
    )


def test_the_api_key_is_kept_out_of_logs() -> None:
    for module in MODULES:
        for name, argument in action_of(module).ARGUMENTS.items():
            if name.endswith(("_key", "password")):
                assert argument.get("no_log") is True, (module, name)
