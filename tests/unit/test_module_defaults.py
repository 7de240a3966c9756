# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores and account: said once for a play, and then by no task, and the groups of modules that take them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.pelion.mbl.plugins.plugin_utils.task.pelion_options import PELION_ARGUMENTS
from ansible_collections.pelion.mbl.plugins.plugin_utils.task.store_options import STORE_ARGUMENTS

ROOT = Path(__file__).parents[2]
GROUPS = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
ROLE = ROOT / "roles/provision_pelion/tasks"
OPTIONS = {*STORE_ARGUMENTS, "api_host", "ca_path"}
PREFIX = "pelion.mbl."


def tasks_of(
    entries: list[dict[str, Any]], directory: Path, given: dict[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """All tasks, those in blocks and in files that are imported or included too, also where a variable names these."""
    for task in entries:
        yield task
        yield from tasks_of(task.get("block", []), directory, given)
        for kind in ("import_tasks", "include_tasks"):
            if name := task.get(f"ansible.builtin.{kind}"):
                variables = {**(given or {}), **task.get("vars", {})}
                file = directory / name.replace("{{ mbl_task }}", variables.get("mbl_task", ""))
                yield from tasks_of(yaml.safe_load(file.read_text()), file.parent, variables)


def calls_of(tasks: Iterator[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The modules of this collection that are called, with their own options."""
    for task in tasks:
        for name in task:
            if name.startswith(PREFIX):
                yield name.removeprefix(PREFIX), task[name] or {}


def arguments_of(module: str) -> dict[str, Any]:
    arguments: dict[str, Any] = importlib.import_module(
        f"ansible_collections.pelion.mbl.plugins.action.{module}"
    ).ActionModule.ARGUMENTS
    return arguments


@pytest.mark.parametrize(("group", "options"), [("store", STORE_ARGUMENTS), ("pelion", PELION_ARGUMENTS)])
def test_a_group_is_all_modules_that_take_its_options(group: str, options: dict[str, Any]) -> None:
    modules = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
    assert GROUPS[group] == [module for module in modules if options.keys() <= arguments_of(module).keys()]


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_play_gives_stores_and_account_to_its_modules_once(playbook: Path) -> None:
    for play in yaml.safe_load(playbook.read_text()):
        calls = list(calls_of(tasks_of(play.get("tasks", []), playbook.parent)))
        for module, options in calls:
            assert not OPTIONS & options.keys(), (play["name"], module)
        defaults = play.get("module_defaults", {})
        for group in ("pelion", "store"):
            needed = any(module in GROUPS[group] for module, _options in calls)
            assert (f"group/{PREFIX}{group}" in defaults) == needed, play["name"]
        assert ("vars/team.yml" in play.get("vars_files", [])) == bool(defaults), play["name"]


def test_the_playbooks_variables_are_the_options() -> None:
    variables = yaml.safe_load((ROOT / "playbooks/vars/team.yml").read_text())
    assert variables["mbl_stores"].keys() | variables["mbl_account"].keys() == OPTIONS
    assert variables["mbl_stores"].keys() == STORE_ARGUMENTS.keys()


def test_the_role_gives_stores_and_account_to_its_modules_once() -> None:
    (block,) = yaml.safe_load((ROLE / "main.yml").read_text())
    for module, options in calls_of(tasks_of([block], ROLE)):
        assert not OPTIONS & options.keys(), module
        taken = arguments_of(module).keys() & (OPTIONS | {"verify"})
        given = {
            option
            for group, defaults in block["module_defaults"].items()
            if module in GROUPS[group.removeprefix(f"group/{PREFIX}")]
            for option in defaults
        }
        assert given == taken, module


def test_no_template_reads_the_dictionary_of_all_variables() -> None:
    """`vars` is deprecated in ansible-core 2.20, and gone in 2.24."""
    for place in ("playbooks", "roles", "docs", "inventory", "extensions"):
        for path in (ROOT / place).rglob("*.*"):
            if path.suffix in (".yml", ".j2", ".md"):
                assert not re.search(r"\{[{%][^}]*\bvars\b", path.read_text()), path
