# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud: the lab's own, asked in this process. What may go wrong on the way to it and back is chosen here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

import requests
import urllib3
from actors import Hub
from cloud.api import api
from cloud.state import State
from virtual import CLOCK

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_transport import ApiTransport
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.pelion_api import PelionApi

LONGEST_LAG = 60.0
FAULTS = ("nothing is sent", "the answer is lost", "429", "503")
OF_LISTS = (*FAULTS, "an answer of before")


class Cloud:
    """``state`` is the service's; ``made`` and ``api`` are for those who ask it."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.state = State("coaps://bootstrap.lab.pelion.test:5684", "coaps://lwm2m.lab.pelion.test:5684")
        self.account, self.key = self.state.add_account()
        self.lagged = False
        self._app: Any = api(self.state)
        self._answers: dict[str, list[tuple[float, requests.Response, bytes]]] = {}

    def api(self, warn: Callable[[str], None] = lambda text: None) -> PelionApi:
        return PelionApi(ApiTransport("https://api.lab.pelion.test", self.key, warn=warn), warn=warn)

    def attempt(
        self,
        _transport: ApiTransport,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
        form: Mapping[str, Any] | None,
    ) -> tuple[requests.Response, bytes]:
        """In the place of ApiTransport._attempt: what it raises and returns."""
        asked = f"{path}?{urlencode(query or {})}"
        is_list = method == "GET" and query is not None
        fault = self.hub.exchange(f"{method} {path}", "cloud", OF_LISTS if is_list else FAULTS)
        if fault == "nothing is sent":
            pool: Any = None
            raise requests.ConnectionError(urllib3.exceptions.NewConnectionError(pool, "refused"))
        if fault in ("429", "503"):
            return _response(int(fault), {}), b"{}"
        if fault == "an answer of before":
            former = [kept for kept in self._answers.get(asked, ()) if kept[0] >= CLOCK.seconds - LONGEST_LAG]
            if former:
                self.lagged = True
                return former[0][1:]
        response, content = self._ask(method, path, query, body)
        if is_list:
            self._answers.setdefault(asked, []).append((CLOCK.seconds, response, content))
        if fault == "the answer is lost":
            raise requests.ReadTimeout("the answer is lost")
        return response, content

    def _ask(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Mapping[str, Any] | None
    ) -> tuple[requests.Response, bytes]:
        """By the ASGI application, which waits for nothing but what is given to it."""
        content = b"" if body is None else json.dumps(body).encode()
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": urlencode(query or {}).encode(),
            "headers": [(b"authorization", f"Bearer {self.key}".encode()), (b"content-type", b"application/json")],
        }
        said: list[Mapping[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            said.append(message)

        try:
            self._app(scope, receive, send).send(None)
        except StopIteration:
            pass
        else:
            raise AssertionError(f"{method} {path}: the lab's cloud waits for something")
        answer = b"".join(message["body"] for message in said if message["type"] == "http.response.body")
        return _response(int(said[0]["status"]), {"Content-Type": "application/json"}), answer


def _response(status: int, headers: Mapping[str, str]) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    now = datetime.fromtimestamp(CLOCK.seconds, timezone.utc)
    response.headers.update({**headers, "Date": format_datetime(now, usegmt=True)})
    response.raw = urllib3.HTTPResponse(b"", headers=dict(response.headers), status=status)
    return response
