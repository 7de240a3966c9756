# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between the sockets and the API: the log of requests, and the faults."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .faults import Answer, Faults, apply

_TRANSPORT = "lab.transport"
_ID = re.compile(r"\b[0-9a-f]{32}\b")


class WireProtocol(HttpToolsProtocol):
    """HTTP of uvicorn that lets the application get at its connection, to cut it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[_TRANSPORT] = self.transport  # type: ignore[typeddict-unknown-key]


@dataclass
class Call:
    """A request that arrived. ``connection`` is the client's address; ``status`` is None until it is sent, if ever."""

    method: str
    path: str
    query: str
    connection: str
    status: int | None = None


class CallLog:
    """The latest requests to the API. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=20_000)

    def add(self, call: Call) -> None:
        with self._lock:
            self._calls.append(call)

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()

    @property
    def calls(self) -> list[Call]:
        with self._lock:
            return list(self._calls)

    def counts(self) -> Counter[str]:
        """``GET /v3/trusted-certificates/{id}`` -> how often."""
        return Counter(f"{call.method} {_ID.sub('{id}', call.path)}" for call in self.calls)


class Wire:
    """The ASGI application that serves ``api`` through ``faults`` and writes ``log``."""

    def __init__(self, api: ASGIApp, faults: Faults, log: CallLog) -> None:
        self._api = api
        self._faults = faults
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope["client"]
        call = Call(
            scope["method"],
            scope["path"],
            scope["query_string"].decode("latin-1"),
            "{}:{}".format(*client) if client else "",
        )
        # On arrival, so that who has the answer finds the call here.
        self._log.add(call)
        exchange = _WireExchange(self._api, call, scope, receive, send)
        # When the cloud stops in the middle of a fault, uvicorn would report a crash.
        with suppress(asyncio.CancelledError):
            await apply(self._faults.take(call.method, call.path), exchange)


class _WireExchange:
    def __init__(self, api: ASGIApp, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        self._api = api
        self._call = call
        self._scope = scope
        self._receive = receive
        self._send = send

    async def answer(self) -> Answer:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._api(self._scope, self._receive, keep)
        head, *parts = messages
        headers = {name.decode(): value.decode() for name, value in head.get("headers", [])}
        headers.pop("content-length", None)
        return Answer(head["status"], b"".join(part.get("body", b"") for part in parts), headers)

    async def reply(
        self, answer: Answer, chunks: AsyncIterator[bytes] | None = None, length: int | None = None
    ) -> None:
        self._call.status = answer.status
        headers = dict(answer.headers)
        if chunks is None:
            length = len(answer.body)
        if length is not None and answer.status != 204:
            headers["content-length"] = str(length)
        await self._send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            }
        )
        if chunks is None:
            await self._send({"type": "http.response.body", "body": answer.body})
            return
        # Sending to a client that is gone is no error and takes no time, so a flood would never notice.
        gone = asyncio.create_task(self._disconnected())
        sent = 0
        try:
            async for chunk in chunks:
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
                await asyncio.sleep(0)
                if gone.done():
                    return
                sent += len(chunk)
        finally:
            gone.cancel()
        if length is None or sent == length:
            await self._send({"type": "http.response.body", "body": b""})

    async def cut(self) -> None:
        self._scope[_TRANSPORT].close()
        # Else the server would take the missing end for a mistake of ours.
        await self._disconnected()

    async def _disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
