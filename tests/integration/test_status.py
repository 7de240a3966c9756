# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What mbl_pelion_status tells is what it is documented to tell, of boards in several states."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from fleet import ROOT, Fleet, Provision

MODULE = ROOT / "plugins/modules/mbl_pelion_status.py"
DOCUMENTED = yaml.safe_load(re.search(r'RETURN = r"""(.*?)"""', MODULE.read_text(), re.DOTALL)[1])
INSTEAD = DOCUMENTED.pop("failure")
"""Comes alone."""
TYPES = {"bool": bool, "str": str, "int": int, "dict": dict, "list": list}


def ask(fleet: Fleet, board: str, arguments: str = "") -> tuple[bool, dict[str, Any]]:
    """Whether it succeeded, and its result."""
    ended = fleet.run(
        "ansible", board, "-m", "pelion.mbl.mbl_pelion_status", "-a", arguments, environment={"ANSIBLE_NOCOLOR": "1"}
    )
    return "SUCCESS" in ended.stdout, json.loads(ended.stdout[ended.stdout.index("=> {") + 3 :])


def assert_documented(result: dict[str, Any], fields: dict[str, Any]) -> None:
    assert result.keys() == fields.keys()
    for name, value in result.items():
        assert value is None or isinstance(value, TYPES[fields[name]["type"]]), name
        if value is not None and "contains" in fields[name]:
            for one in value if isinstance(value, list) else [value]:
                assert_documented(one, fields[name]["contains"])


def test_it_tells_what_is_documented(fleet: Fleet, provision: Provision) -> None:
    board = fleet.boards[0]
    _good, fresh = ask(fleet, board)
    assert fresh.pop("changed") is False
    assert_documented(fresh, DOCUMENTED)
    assert (fresh["configured"], fresh["registered"], fresh["provisioned_by"]) == (False, False, None)

    assert provision("--limit", board).returncode == 0
    good, whole = ask(fleet, board)
    assert good
    assert whole.pop("changed") is False
    assert_documented(whole, DOCUMENTED)
    assert (whole["configured"], whole["registered"], whole["obstacles"]) == (True, True, [])
    assert whole["bootstrapped_with"]["fingerprint"] == whole["developer_certificate"]["fingerprint"]
    assert abs(whole["clock_drift"]) < 60


def test_a_failure_can_be_the_result(fleet: Fleet) -> None:
    board = fleet.boards[0]
    off = fleet.run(
        *("ansible", board, "-m", "pelion.mbl.mbl_pelion_status", "-a", "on_failure=return", "-e", "ansible_port=9"),
        environment={"ANSIBLE_NOCOLOR": "1"},
    )
    assert "UNREACHABLE" not in off.output and '"unreachable": true' in off.stdout, off.output
    assert INSTEAD["sample"].keys() == {"msg", "unreachable"}
