# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Products that are broken on purpose: for each, schedules find that an invariant does not hold, and which one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import runs
from choices import Choices
from schedule import play
from world import EVENTS

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet import decision, refusals
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.leaving import leaving
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reservations import Reservations
from ansible_collections.pelion.mbl.plugins.plugin_utils.team import update_keeper

MOST = 200
"""Schedules, until one finds it. Most are found by the first 20."""


@contextlib.contextmanager
def _no_reservations(self: Reservations) -> Iterator[dict[str, str]]:
    yield {}


def _without(checks: Any, check: Any) -> Any:
    return tuple(one for one in checks if one is not check)


_Part = decision.Part

# What is broken, the events that happen meanwhile, and the rule that this breaks.
BROKEN: dict[str, tuple[tuple[Any, str, Any], tuple[str, ...], str]] = {
    "places are given by every run as if it were alone": (
        (Reservations, "locked", _no_reservations),
        (),
        "no certificate has more boards than places",
    ),
    "the roster is passed over": (
        (refusals, "ADMISSION", _without(refusals.ADMISSION, refusals.not_in_roster)),
        EVENTS,
        "keys go to known boards only",
    ),
    "new boards are not refused": (
        (refusals, "ADMISSION", _without(refusals.ADMISSION, refusals.new_board)),
        EVENTS,
        "keys go to known boards only",
    ),
    "an update certificate that nobody knows is replaced": (
        (refusals, "CREDENTIALS", _without(refusals.CREDENTIALS, refusals.update_unknown)),
        ("wrong_store", "another_tool"),
        "an unknown update certificate stays",
    ),
    "a new certificate forgets the former one": (
        (UpdateResources, "succeeding", lambda self, earlier: self),
        EVENTS,
        "no signing key is lost",
    ),
    "check mode looks at what is to be replaced": (
        (decision, "Part", lambda **part: _Part(**{**part, "to_be_made": False})),
        EVENTS,
        "check mode foresees",
    ),
    "a renamed board loses its device with its name": (
        (runs, "leaving", lambda names, remembered, says, there, shows=None: leaving(names, remembered, {}, there)),
        ("renamed",),
        "no device of another board leaves",
    ),
    "an error is not told in its own words": (
        (update_keeper, "_recipe", lambda *given: 1 // 0),
        (),
        "ZeroDivisionError",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_product_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (owner, attribute, broken), events, rule = BROKEN[name]
    monkeypatch.setattr(owner, attribute, broken)
    found = set()
    for seed in range(MOST):
        found.add(play(Choices(seed), events).rule)
        if rule in found:
            return
    raise AssertionError(f"not found by {MOST} schedules, which found {found}")


def test_a_seed_decides_all() -> None:
    one, other = (play(Choices(11)) for _time in range(2))
    assert (one.taken, one.history) == (other.taken, other.history)
