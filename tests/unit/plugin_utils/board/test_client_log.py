# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.client_log import ClientLog

DEVICE = "0161dbbcdd660a580a010c3403c00000"


def lines(*messages: str) -> list[str]:
    return [f"2018-12-06T07:11:58+0000 [INFO][mbl ]: {message}" for message in messages]


REGISTERED = ("Client registered", f"Endpoint Name: {DEVICE}", f"Device Id: {DEVICE}")
FAILED = ("Error occurred : ConnectBootstrapFailed", "Error code : 6", "Error details : no route")


@pytest.mark.parametrize(
    "messages, state",
    [
        ((), ClientLog(None, None, None)),
        (("Starting", "Endpoint Name: x"), ClientLog(None, None, None)),
        (REGISTERED, ClientLog(True, DEVICE, None)),
        (FAILED, ClientLog(False, None, "ConnectBootstrapFailed (no route)")),
        (FAILED + REGISTERED, ClientLog(True, DEVICE, None)),
        (REGISTERED + FAILED, ClientLog(False, DEVICE, "ConnectBootstrapFailed (no route)")),
        (
            (*REGISTERED, "Device not configured for mbed Cloud - exit"),
            ClientLog(False, DEVICE, "Device not configured for mbed Cloud - exit"),
        ),
    ],
)
def test_the_last_word_counts(messages, state):
    assert ClientLog.of(lines(*messages)) == state


def test_a_line_in_another_form_tells_nothing():
    assert ClientLog.of(["Client registered? no", "Device Id", "", "\x00\xff"]) == ClientLog()
