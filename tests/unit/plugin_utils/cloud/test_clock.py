# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cloud import Cloud
from cloud_access import api_of

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_transport import ApiTransport
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.clock import clock_difference

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


def header(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize(
    ("behind", "said"),
    [
        (timedelta(minutes=6), "about 6 minutes ahead of"),
        (timedelta(minutes=-119), "about 119 minutes behind"),
        (timedelta(hours=26), "about 26 hours ahead of"),
        (timedelta(days=-3, hours=-1), "about 3 days behind"),
        (timedelta(days=20000), "about 20000 days ahead of"),
    ],
)
def test_a_clock_that_differs_is_told(behind: timedelta, said: str) -> None:
    told = clock_difference(header(NOW - behind), NOW)
    assert told is not None and f"this machine is {said} the cloud's" in told


@pytest.mark.parametrize("seconds", [0, 300, -300])
def test_small_differences_are_not_told(seconds: int) -> None:
    assert clock_difference(header(NOW + timedelta(seconds=seconds)), NOW) is None


@pytest.mark.parametrize(
    "date", [None, "", "soon", "2026", "Mon, 32 Nov 2026 12:00:00 GMT", "Sat, 01 Jan 2000 00:00:00"]
)
def test_what_is_not_a_time_tells_nothing(date: str | None) -> None:
    assert clock_difference(date, NOW) is None


@contextmanager
def server_at(moment: datetime) -> Iterator[str]:
    """The URL of a service whose clock stands at ``moment``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def date_time_string(self, timestamp: float | None = None) -> str:
            return header(moment)

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            """Nothing to stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_it_is_told_once_to_the_task() -> None:
    told: list[str] = []
    with server_at(datetime.now(timezone.utc) - timedelta(hours=3)) as url:
        client = ApiTransport(url, "ak_1", warn=told.append)
        for _call in range(3):
            assert client.call("GET", "/") == {}
        client.close()
    assert abs(client.ahead - timedelta(hours=3)) < timedelta(minutes=1)
    assert [text[:54] for text in told] == ["The clock of this machine is about 3 hours ahead of th"]


def test_a_right_clock_tells_nothing(cloud: Cloud) -> None:
    told: list[str] = []
    with server_at(datetime.now(timezone.utc)) as url:
        ApiTransport(url, "ak_1", warn=told.append).call("GET", "/")
    api_of(cloud, warn=told.append).account()
    assert told == []
