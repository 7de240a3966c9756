# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.client_log import ClientLog

DEVICE = "0161dbbcdd660a580a010c3403c00000"


def lines(*messages: str) -> list[str]:
    return [f"2018-12-06T07:11:58+0000 [INFO][mbl ]: {message}" for message in messages]


REGISTERED = ("Client registered", f"Endpoint Name: {DEVICE}", f"Device Id: {DEVICE}")
FAILED = ("Error occurred : ConnectBootstrapFailed", "Error code : 257", "Error details : no route")
ERROR = "ConnectBootstrapFailed (no route)"
EXIT = "Device not configured for mbed Cloud - exit"
AT = "2018-12-06T07:11:58Z"


@pytest.mark.parametrize(
    "messages, state",
    [
        ((), ClientLog()),
        (("Starting", "Endpoint Name: x"), ClientLog()),
        (REGISTERED, ClientLog(True, DEVICE, registered_at=AT)),
        (FAILED, ClientLog(False, None, ERROR, 257)),
        (FAILED + REGISTERED, ClientLog(True, DEVICE, registered_at=AT)),
        (REGISTERED + FAILED, ClientLog(False, DEVICE, ERROR, 257, AT)),
        ((*REGISTERED, EXIT), ClientLog(False, DEVICE, EXIT, registered_at=AT)),
        (
            ("Certificate expired:mbed.UpdateAuthCert", EXIT),
            ClientLog(False, None, f"{EXIT} (Certificate expired:mbed.UpdateAuthCert)"),
        ),
    ],
)
def test_the_last_word_counts(messages: list[str], state: tuple[object, ...]) -> None:
    assert ClientLog.of(lines(*messages)) == state


def test_after_a_dropped_connection_it_is_registered_again_without_a_second_client_registered() -> None:
    back = "2018-12-06T07:12:58+0000 [INFO][mClt]: M2MInterfaceImpl::registration_updated"
    log = ClientLog.of([*lines(*REGISTERED, *FAILED), back])
    assert log == ClientLog(True, DEVICE, registered_at="2018-12-06T07:12:58Z")


@pytest.mark.parametrize(
    "value", ["not-an-id", DEVICE[:-1], f"{DEVICE}0", DEVICE.replace("0", "\u0660"), "", "{{ 1 }}"]
)
def test_a_device_id_is_checked_where_it_is_read(value: str) -> None:
    log = ClientLog.of(lines("Client registered", f"Device Id: {value}"))
    assert log.device_id is None
    assert log.registered is False
    assert "names a device ID that is not 32 hexadecimal digits" in log.error


def test_lines_of_another_time_tell_no_state_but_when_it_registered() -> None:
    at = datetime(2018, 12, 6, 7, 11, 58, tzinfo=timezone.utc).timestamp()
    said = lines(*REGISTERED)
    assert ClientLog.of(said, since=at, until=at).registered is True
    for since, until in ((at + 1, at + 9), (at - 9, at - 1)):
        assert ClientLog.of(said, since=since, until=until) == ClientLog(registered_at=AT)
    assert ClientLog.of(["no stamp [INFO][mbl ]: Client registered"], since=0, until=at) == ClientLog()


@pytest.mark.parametrize("name", ["ConnectBootstrapFailed", "ConnectNetworkError", "ConnectSecureConnectionFailed"])
def test_errors_that_are_known_have_a_meaning(name: str) -> None:
    assert ClientLog.of(lines(f"Error occurred : {name}", "Error code : 1", "Error details : x")).error_meaning
    assert ClientLog.of(lines(f"Error occurred : {name}")).error_meaning
    assert ClientLog.of(lines("Error occurred : Novelty")).error_meaning is None


def test_a_line_in_another_form_tells_nothing() -> None:
    assert (
        ClientLog.of(["Client registered? no", "Device Id", "", "\x00\xff", "9999-99-99T99:99:99+9999 x"])
        == ClientLog()
    )


@pytest.mark.parametrize(
    ("stamp", "at"),
    [
        ("0001-01-01T00:00:00+0000", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59+0000", "9999-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00+1400", None),
        ("9999-12-31T23:59:59-1400", None),
    ],
)
def test_the_first_and_the_last_year_are_times_too(stamp: str, at: str | None) -> None:
    log = ClientLog.of([f"{stamp} tracing.c [INFO][mbl ]: Client registered"])
    assert (log.registered, log.registered_at) == (True, at)


@given(st.lists(st.text()), st.floats(allow_nan=False) | st.none())
def test_no_line_is_too_strange(said: list[str], since: int | None) -> None:
    log = ClientLog.of(said, since=since, until=since)
    assert log.device_id is None or len(log.device_id) == 32


PROBE_LINES = [
    "2026-11-28T11:00:03+0000 [ERR ][UC  ]: [HUB ] arm_uc_hub_state_machine.c:392: version: 0 <= 0",
    "2026-11-28T11:00:03+0000 [ERR ][mbl ]: Error occurred : UpdateWarningRollbackProtection",
    "2026-11-28T11:00:03+0000 [ERR ][mbl ]: Error code : 520",
]


def test_what_it_says_of_updates_is_not_of_its_registration() -> None:
    log = ClientLog.of(["2026-11-28T11:00:01+0000 [INFO][mbl ]: Client registered", *PROBE_LINES])
    assert (log.registered, log.error, log.error_code) == (True, None, None)
    (answer,) = log.describe_update_answers()
    assert answer["meaning"].startswith("It was given an update that is not newer")
    assert (answer["name"], answer["code"]) == ("UpdateWarningRollbackProtection", 520)
    assert answer["at"] == "2026-11-28T11:00:03Z"


def test_an_error_of_the_connection_stays_one_beside_that_of_an_update() -> None:
    connection = [
        "2026-11-28T11:00:01+0000 [ERR ][mbl ]: Error occurred : ConnectNetworkError",
        "2026-11-28T11:00:01+0000 [ERR ][mbl ]: Error code : 261",
        "2026-11-28T11:00:01+0000 [ERR ][mbl ]: Error details : Client in reconnection mode NetworkError",
    ]
    for lines in ([*connection, *PROBE_LINES], [*PROBE_LINES, *connection]):
        log = ClientLog.of(lines)
        assert (log.registered, log.error_code) == (False, 261)
        assert log.error == "ConnectNetworkError (Client in reconnection mode NetworkError)"
        assert [answer["code"] for answer in log.update_answers] == [520]


def test_the_latest_words_on_updates_are_kept() -> None:
    lines = [f"2026-11-28T11:00:03+0000 [ERR ][mbl ]: Error occurred : UpdateWarning{number}" for number in range(9)]
    log = ClientLog.of([*lines, "2026-11-28T11:00:03+0000 [ERR ][mbl ]: Error occurred : Unknown"])
    assert [answer["name"] for answer in log.update_answers][-2:] == ["UpdateWarning8", "Unknown"]
    assert len(log.update_answers) == 5
    assert log.describe_update_answers()[0]["meaning"] is None
