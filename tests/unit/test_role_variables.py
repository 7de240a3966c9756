# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's variables, in the three places that name them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.wishes import UpdateWish, Wishes
from ansible_collections.pelion.mbl.plugins.plugin_utils.task.role_variables import (
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
    optional = {name: option for name, option in OPTIONS.items() if not option.get("required")}
    assert defaults == {name: option["default"] for name, option in optional.items() if "default" in option}
    assert set(optional) - set(defaults) == {PREFIX + "roster"}, "an empty one admits nobody"


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


def test_wishes_are_the_fields_of_their_dataclasses() -> None:
    given = {name: argument.get("default") for name, argument in WISHES.items()} | {"dev_cert": "a"}
    wishes = Wishes.of_variables(given)
    assert wishes == Wishes("a", UpdateWish(""))
    assert Wishes.from_json(json.loads(json.dumps(wishes.to_json()))) == wishes


def test_a_task_for_the_fleet_takes_no_variable_that_may_differ_from_board_to_board() -> None:
    tasks = "".join(file.read_text() for file in (ROLE / "tasks").iterdir())
    # The groups of module_defaults have the role's name, too.
    used = {name.removeprefix(PREFIX) for name in re.findall("(?<![_.])provision_pelion_[a-z_]+", tasks)}
    assert used.isdisjoint(WISHES)
    assert used == ROLE_VARIABLES - set(WISHES)
