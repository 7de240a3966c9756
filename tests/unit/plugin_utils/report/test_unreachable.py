# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.pelion.mbl.plugins.plugin_utils.report.unreachable import explain

KEY = "SHA256:" + "k" * 43
CHANGED = f"""Task failed: Data could not be sent to remote host "bench-1". @@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
The fingerprint for the ED25519 key sent by the remote host is
{KEY}.
Please contact your system administrator.
"""


def test_a_changed_host_key_is_told_with_what_forgets_it() -> None:
    reason, next_step = explain("bench-1", CHANGED)
    assert KEY in reason and "NASTY" not in reason
    assert "pelion.mbl.forget_host -e boards=bench-1" in next_step


def test_a_changed_host_key_of_which_ssh_tells_no_more_is_told_as_well() -> None:
    assert "has changed:" in explain("bench-1", "Host IDENTIFICATION HAS CHANGED")[0]


def test_anything_else_is_told_as_it_was_said() -> None:
    assert explain("bench-1", "No route to host") == (
        "No route to host",
        "Is it on and connected? Then run again; what is in order already is left as it is.",
    )
