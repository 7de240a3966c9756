# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No update certificate gives way that the team does not know: only its key may be able to update the board."""

from __future__ import annotations

from collections.abc import Container

from ..board.inspection import Inspection


def unknown_update(found: Inspection, wanted: str | None, known: Container[str]) -> str | None:
    """The fingerprint of the board's update certificate when it is neither ``wanted`` nor ``known``, else None."""
    held = found.update_certificate
    if held is None or held["fingerprint"] == wanted or held["fingerprint"] in known:
        return None
    return held["fingerprint"]


def why_refused(fingerprint: str, store: str) -> str:
    """What to tell of a board that holds such a certificate. ``store`` is the team store's directory."""
    return (
        f"This board holds an update certificate ({fingerprint[:16]}…) that the team store {store} does not know under "
        "any name. Once it is replaced, the board takes no more updates that are signed with its key. Is this the "
        "store that the board was provisioned from? If so, set when_update_unknown (of the role: "
        "provision_pelion_when_update_unknown) to replace."
    )
