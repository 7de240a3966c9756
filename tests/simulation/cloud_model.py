# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud: the lab's own, asked in this process. What may go wrong on the way to it and back is chosen here."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode

import requests
import urllib3
from actors import Hub
from cloud.api import api
from cloud.service_error import ServiceError
from cloud.state import State
from requests.structures import CaseInsensitiveDict
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match
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
        """By the application's own functions, which wait for nothing but what is given to them; the framework around
        them, which the lab's tests go through, is left out."""
        content = b"" if body is None else json.dumps(body).encode()
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "root_path": "",
            "query_string": urlencode(query or {}).encode(),
            "headers": [(b"authorization", f"Bearer {self.key}".encode()), (b"content-type", b"application/json")],
        }

        async def receive() -> Mapping[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        found = next((r, child) for r in _routes() for match, child in [r.matches(scope)] if match is Match.FULL)
        route, child = found
        _ASKED.state = self.state
        answer: Any = None
        try:
            route.endpoint(Request({**scope, **child}, receive)).send(None)
        except StopIteration as end:
            answer = end.value
        except ServiceError as error:
            answer = JSONResponse(error.to_json(), error.status)
        else:
            raise AssertionError(f"{method} {path}: the lab's cloud waits for something")
        return _response(answer.status_code, {"Content-Type": "application/json"}), answer.body


class _Asked:
    """The state of the cloud that is asked just now, so that one application serves all schedules."""

    state: State

    def __getattr__(self, name: str) -> Any:
        return getattr(self.state, name)


_ASKED: Any = _Asked()


@functools.cache
def _routes() -> list[Any]:
    return list(api(_ASKED).routes)


@functools.lru_cache(1000)
def _date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, timezone.utc), usegmt=True)


def _response(status: int, headers: Mapping[str, str]) -> requests.Response:
    """What of a response the transport looks at."""
    told = CaseInsensitiveDict({**headers, "Date": _date(CLOCK.seconds)})
    raw = urllib3.HTTPResponse(b"", headers=dict(told), status=status) if status >= 400 else None
    response: Any = SimpleNamespace(status_code=status, headers=told, reason=None, raw=raw)
    return cast(requests.Response, response)
