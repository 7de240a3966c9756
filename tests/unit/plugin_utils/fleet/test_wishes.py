# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a board wishes for, as other parts are told it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.wishes import UpdateWish

WHOLE = UpdateWish("up", "f.c", "k.pem", "example.com", "board", "v", "c", 30, "2026-01-01T00:00:00Z", replace=True)


@pytest.mark.parametrize(
    ("without", "given"),
    [
        ({}, {"name", "src", "private_key_src", "replace"}),
        ({"replace": False}, {"name", "src", "private_key_src"}),
        (
            {"src": "", "private_key_src": "", "class_id": "", "vendor_id": ""},
            {"name", "vendor_domain", "device_class", "renew_before_days", "renew_if_made_before"},
        ),
        (
            {"src": "", "private_key_src": "", "class_id": "", "vendor_id": "", "replace": False},
            {"name", "vendor_domain", "device_class"},
        ),
    ],
    ids=["a rotation to a file", "a file", "a rotation", "at first"],
)
def test_the_module_that_makes_them_is_told_what_concerns_it(without: dict[str, Any], given: set[str]) -> None:
    """A file is not generated, and only a rotation renews."""
    wish = replace(WHOLE, **without)
    assert wish.arguments() == {name: getattr(wish, name) for name in given}
