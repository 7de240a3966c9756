# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a step of the role provision_pelion says of its failure."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.errors import ApiError
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.rules import CredentialError
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reasons import failure
from ansible_collections.pelion.mbl.plugins.plugin_utils.reasons import Reason
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.places import PlacesError
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import NoSecretError
from ansible_collections.pelion.mbl.plugins.plugin_utils.task.fleet_action import FleetAction


class Failing(FleetAction):
    def __init__(self, error: PelionError) -> None:
        self._error = error

    def take_step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        raise self._error


def facts_of(error: PelionError) -> dict[str, Any]:
    with pytest.raises(type(error)) as caught:
        Failing(error).perform({})
    assert caught.value is error
    return error.facts


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreError("x is damaged.", path="x"), "store"),
        (NoSecretError("x is damaged."), "store"),
        (PlacesError("x is damaged."), "store"),
        (ApiError("The API did not answer."), "cloud"),
        (CredentialError("URI", "bench", "scheme", "is not coaps"), "credentials"),
    ],
)
def test_the_errors_of_other_rooms_get_a_code_and_keep_their_facts(error: PelionError, code: str) -> None:
    before = dict(error.facts)
    assert facts_of(error) == {**before, "reason": code, "reason_facts": {}}


def test_a_reason_that_is_there_stays() -> None:
    assert facts_of(BoardError.of("locked", "123"))["reason"] == "locked"
    reason = Reason("not-registered", {"device_id": "1", "state": "deregistered"})
    assert facts_of(failure(reason)) == {"reason": reason.code, "reason_facts": reason.facts}


def test_what_is_of_no_kind_gets_no_code() -> None:
    assert facts_of(PelionError("Odd.")) == {}
