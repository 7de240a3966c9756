# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to tell of a board that ssh did not reach, from what ssh said."""

from __future__ import annotations

import re


def explain(name: str, said: str) -> tuple[str, str]:
    """Reason and next step for the board ``name``. ``said`` is Ansible's text with ssh's in it, of any length.

    A changed host key is not a matter of trying again, and ssh's own advice would leave the team's memory as it was.
    """
    if "IDENTIFICATION HAS CHANGED" in said:
        shown = re.search(r"\bSHA256:[A-Za-z0-9+/]{43}", said)
        new = f" to {shown[0]}" if shown else ""
        return (
            f"Its ssh host key has changed{new}: it was flashed anew, or another machine answers in its place.",
            f"If you have flashed it: pelion.mbl.forget_host -e boards={name}, then run again.",
        )
    return said, "Is it on and connected? Then run again; what is in order already is left as it is."
