# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a diff shows of a board: names and ends instead of nothing at all."""

from __future__ import annotations

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.injecting import shown

NAMES = ("bench", "up")
HELD = {"fingerprint": "f" * 64, "common_name": "cn", "not_after": "2036-01-01T00:00:00Z"}


def test_a_first_run_shows_what_would_be_made() -> None:
    empty = {"missing_items": [name.partition("_")[2] for name in kcm.FACTORY_ITEMS], "developer_certificate": None}
    assert shown(empty) == {
        "developer_certificate": "none",
        "update_certificate": "none",
        "missing": "everything",
        "provisioned_by": "nobody",
    }
    after = shown({"missing_items": [], "provisioned_by": "pelion.mbl"}, NAMES, planned=True)
    assert after["developer_certificate"] == "bench, which would be made"
    assert (after["missing"], after["provisioned_by"]) == ("none", "pelion.mbl")


def test_certificates_are_shown_by_the_names_of_the_store() -> None:
    state = {"developer_certificate": HELD, "update_certificate": HELD, "missing_items": ["mbed.UpdateAuthCert"]}
    assert shown(state)["update_certificate"] == f"cn, ends 2036-01-01, SHA-256 {'f' * 16}..."
    assert shown(state, NAMES)["developer_certificate"].startswith("bench, ends 2036-01-01")
    assert shown(state)["missing"] == ["mbed.UpdateAuthCert"]
    told_less = {"developer_certificate": {"fingerprint": "f" * 64}}
    assert shown(told_less)["developer_certificate"] == f"no name, ends no end, SHA-256 {'f' * 16}..."
    assert shown(told_less)["missing"] == "none"
