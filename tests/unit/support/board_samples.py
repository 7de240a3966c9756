# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two sets of items for a BoardBox, put on it and looked for."""

from __future__ import annotations

from typing import Any

from board_box import item_set

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.answers import Restart
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import Board, record_of
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import Items

FIRST, SECOND = item_set(1), item_set(2)


def inject(board: Board, items: Items, bootstrap: str = "as-is", *, timeout: int = 20, **options: Any) -> Restart:
    """Ask the board, then put ``items`` on it."""
    found = board.inspect(may_change=True)
    return board.inject(
        items, found_digest=found.kcm_digest, bootstrap=bootstrap, registration_timeout=timeout, **options
    )


def holds(found: Inspection, items: Items) -> bool:
    """Whether the board was found to hold ``items``, whole and by our hand."""
    developer, update = found.developer_certificate, found.update_certificate
    record = record_of(items)
    return bool(
        found.configured
        and found.provisioned_by == "pelion.mbl"
        and found.record["fingerprint"] == items.fingerprint
        and developer
        and developer["fingerprint"] == record["developer_certificate"]
        and update
        and update["fingerprint"] == record["update_certificate"]
    )
