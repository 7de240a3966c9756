# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why ssh did not reach a board."""

from __future__ import annotations

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.reasons import Reason
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.failure import Failure
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.unreachable import why_unreachable

KEY = "SHA256:" + "k" * 43
CHANGED = f"""Task failed: Data could not be sent to remote host "bench-1". @@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
The fingerprint for the ED25519 key sent by the remote host is
{KEY}.
Please contact your system administrator.
Host key verification failed.
"""
FAILED = "Failed to connect to the host via ssh:"


def test_a_changed_host_key_is_reported_with_what_forgets_it() -> None:
    board = Failure(CHANGED, unreachable=True).report("bench-1")
    assert (board.outcome, board.code) == ("unreachable", "host-key-changed")
    assert KEY in board.reason and "NASTY" not in board.reason
    assert "pelion.mbl.forget_host -e boards=bench-1" in board.next_step


def test_a_changed_host_key_that_ssh_does_not_show_is_reported_as_well() -> None:
    assert why_unreachable("b", "Host IDENTIFICATION HAS CHANGED").facts["fingerprint"] == "not known"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (f"{FAILED} ssh: connect to host 192.0.2.1 port 22: Connection timed out", "ssh-timeout"),
        (f"{FAILED} Connection timed out during banner exchange", "ssh-timeout"),
        (f"{FAILED} Timeout, server 192.0.2.1 not responding.", "ssh-timeout"),
        (f"{FAILED} ssh: connect to host 192.0.2.1 port 22: Connection refused", "connection-refused"),
        (f"{FAILED} ssh: connect to host 192.0.2.1 port 22: No route to host", "no-route"),
        (f"{FAILED} ssh: connect to host fe80::1%eth9 port 22: Network is unreachable", "no-route"),
        (f"{FAILED} ssh: Could not resolve hostname board: Name or service not known", "address-unknown"),
        (f"{FAILED} root@192.0.2.1: Permission denied (publickey,password).", "login-refused"),
        (
            f"{FAILED} No RSA host key is known for b and you have requested strict checking.\r\n"
            "Host key verification failed.",
            "host-key-refused",
        ),
        (f"{FAILED} kex_exchange_identification: read: Connection reset by peer", "connection-lost"),
        (f"{FAILED} Connection closed by 192.0.2.1 port 22", "connection-lost"),
        (f"{FAILED} Shared connection to 192.0.2.1 closed by remote host.", "connection-lost"),
        (f"{FAILED} muxclient: something quite new", "unreachable"),
    ],
)
def test_what_ssh_says_has_a_code_and_is_reported_in_its_words(said: str, code: str) -> None:
    assert why_unreachable("b", said) == Reason(code)
    board = Failure(said, unreachable=True).report("b")
    assert (board.code, board.reason) == (code, said)
    assert board.next_step
