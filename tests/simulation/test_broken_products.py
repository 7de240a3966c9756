# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Products that are broken on purpose: for each, the schedules find that an invariant does not hold, and which one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from choices import Choices
from schedule import play

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet import (
    carrying_out,
    concluding,
    decision,
    leaving,
    refusals,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.identity import Identities
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.proof import Proof
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reservations import Reservations
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.work import Work
from ansible_collections.pelion.mbl.plugins.plugin_utils.store import directory
from ansible_collections.pelion.mbl.plugins.plugin_utils.team import update_keeper

MOST = 600
"""Schedules, until one finds it."""


@contextlib.contextmanager
def _no_reservations(self: Reservations) -> Iterator[dict[str, str]]:
    yield {}


def _without(checks: Any, check: Any) -> Any:
    return tuple(one for one in checks if one is not check)


def _policy_ignored(found: Any, items: Any, policy: Any) -> Work:
    return work_for(found, items, "keep_identity")


work_for = decision.work_for

Break = tuple[Any, str, Any]
BROKEN: dict[str, tuple[list[Break], str]] = {
    "places are given by every run as if it were alone": (
        [(Reservations, "locked", _no_reservations)],
        "no certificate has more boards than places",
    ),
    "the roster is passed over": (
        [(refusals, "ADMISSION", _without(refusals.ADMISSION, refusals.not_in_roster))],
        "keys go to known boards only",
    ),
    "new boards are not refused": (
        [(refusals, "ADMISSION", _without(refusals.ADMISSION, refusals.new_board))],
        "keys go to known boards only",
    ),
    "an update certificate that nobody knows is replaced": (
        [(refusals, "CREDENTIALS", _without(refusals.CREDENTIALS, refusals.update_unknown))],
        "an unknown update certificate stays",
    ),
    "the policy for boards that have bootstrapped is passed over": (
        [(decision, "work_for", _policy_ignored), (carrying_out, "work_for", _policy_ignored)],
        "a bootstrap stays unless a policy says otherwise",
    ),
    "a new certificate forgets the former one": (
        [(UpdateResources, "succeeding", lambda self, earlier: self)],
        "no signing key is lost",
    ),
    "a store has no lock": (
        [(directory, "_taken", lambda descriptor, operation: True)],
        "no signing key is lost",
    ),
    "a claim is taken for its proof": (
        [(concluding, "prove", lambda api, claims, timeout, identities: Proof({}))],
        "who is told as proven is so",
    ),
    "check mode looks at what is to be replaced": (
        [(decision, "Part", lambda **part: _Part(**{**part, "to_be_made": False}))],
        "check mode foresees",
    ),
    "a renamed board loses its device with its name": (
        [(leaving, "_with_keys", lambda shows, keys: [])],
        "no device of another board leaves",
    ),
    "a board is known by its name alone": (
        [(Identities, "is_changed", lambda self, name: False)],
        "keys go to known boards only",
    ),
    "a store's damage is not told in its own words": (
        [(update_keeper, "_recipe", lambda *given: 1 // 0)],
        "ZeroDivisionError",
    ),
}
_Part = decision.Part


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_product_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks, rule = BROKEN[name]
    for owner, attribute, broken in breaks:
        monkeypatch.setattr(owner, attribute, broken)
    rules = []
    for seed in range(MOST):
        rules.append(play(Choices(seed)).rule)
        if rules[-1] == rule:
            print(f"{name}: schedule {seed + 1}")
            return
    raise AssertionError(f"not found by {MOST} schedules, which found {sorted(set(rules))}")
