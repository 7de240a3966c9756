# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's variables, in the three places that name them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.pelion.mbl.plugins.action.pelion_fleet_ask import (
    PREFIX,
    ROLE_VARIABLES,
    WISHES,
)

ROLE = Path(__file__).parents[2] / "roles/provision_pelion"
OPTIONS = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]


def test_the_documented_variables_are_the_known_ones() -> None:
    assert set(OPTIONS) == {PREFIX + name for name in ROLE_VARIABLES}


def test_what_has_a_default_has_it_in_both_places() -> None:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    assert defaults == {name: option["default"] for name, option in OPTIONS.items() if not option.get("required")}


@pytest.mark.parametrize("name", WISHES)
def test_the_first_task_validates_what_the_specification_does(name: str) -> None:
    asked, documented = WISHES[name], OPTIONS[PREFIX + name]
    # Empty means that there is none, and is no number.
    kinds = {"raw": "int"} if name == "renew_before_days" else {"path": "str"}
    assert asked["type"] == kinds.get(documented["type"], documented["type"])
    for part in ("choices", "elements"):
        assert asked.get(part) == documented.get(part)
    if "default" in asked:
        assert asked["default"] == documented.get("default", "")


def test_all_wishes_are_asked_for() -> None:
    tasks = (ROLE / "tasks/main.yml").read_text()
    for name in ROLE_VARIABLES:
        assert f"{PREFIX}{name}" in tasks
