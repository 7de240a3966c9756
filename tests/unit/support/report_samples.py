# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports that have something of everything."""

from __future__ import annotations

from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.report.entries import (
    OUTCOMES,
    BoardReport,
    HeldCertificate,
    Place,
    Report,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.words import printable


def report(text: str = "board") -> Report:
    """A board of each outcome, with ``text`` wherever a network or a board may have chosen it."""
    held = HeldCertificate("a" * 64, f"{text} certificate", "2036-11-20T00:00:00Z")
    soon = HeldCertificate("b" * 64, None, "2026-12-01T00:00:00Z")
    boards = [
        BoardReport(
            f"{text}-{number}",
            outcome,
            reason="" if outcome in ("ok", "changed") else f"{text} says so.",
            next_step="" if outcome in ("ok", "changed") else f"Do {text}.",
            code="" if outcome in ("ok", "changed") else "failed",
            address=text,
            device_id=text,
            state=text,
            developer_certificate=held,
            update_certificate=soon,
            last_seen="2026-11-25T00:00:00Z",
        )
        for number, outcome in enumerate(OUTCOMES)
    ]
    places = [Place(text, 97, 100, "ACTIVE", "2036-11-20T00:00:00Z"), Place("old", 3, 100, "INACTIVE", "")]
    return Report("status", "2026-11-25T00:00:00Z", boards, places, [f"{text} is wrong."])


# A text of nothing printable is shown as an empty one, and has no place of its own in some forms.
texts = st.text(st.characters(), min_size=1, max_size=40).filter(printable)
