# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on demand: what goes wrong, for which requests, how often."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

_JSON = "application/json"


@dataclass
class Answer:
    """A whole HTTP answer; ``headers`` without its length."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": _JSON})


class Exchange(Protocol):
    """One request, as a fault sees it."""

    async def answer(self) -> Answer:
        """Have the request carried out; what the service answers."""

    async def reply(
        self, answer: Answer, chunks: AsyncIterator[bytes] | None = None, length: int | None = None
    ) -> None:
        """Send ``answer``, or its head and ``chunks`` with a Content-Length of ``length`` (None: chunked)."""

    async def cut(self) -> None:
        """Close the connection."""


async def _latency(exchange: Exchange) -> None:
    await exchange.reply(await exchange.answer())


async def _status(
    exchange: Exchange, *, status: int, retry_after: str | int | None = None, processed: bool = False
) -> None:
    """An error without the service's own error object; ``processed``: after the request was carried out."""
    if processed:
        await exchange.answer()
    headers = {"content-type": "text/plain"}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    await exchange.reply(Answer(status, b"simulated fault\n", headers))


async def _cut(exchange: Exchange, *, after: int | None = None, processed: bool = True) -> None:
    """Close the connection: before any answer, or ``after`` so many bytes of its body."""
    if after is None:
        if processed:
            await exchange.answer()
        return await exchange.cut()
    answer = await exchange.answer()

    async def chunks() -> AsyncIterator[bytes]:
        yield answer.body[:after]

    await exchange.reply(answer, chunks(), len(answer.body))
    return await exchange.cut()


async def _body(
    exchange: Exchange,
    *,
    text: str,
    status: int | None = None,
    content_type: str = _JSON,
    processed: bool = False,
) -> None:
    """Another body, such as broken JSON or a proxy's HTML page, with status 200 unless told."""
    if processed:
        await exchange.answer()
    await exchange.reply(Answer(status or 200, text.encode(), {"content-type": content_type}))


async def _truncated(exchange: Exchange, *, after: int) -> None:
    """Only the first bytes of the body, in a well-formed answer of just that length."""
    answer = await exchange.answer()
    await exchange.reply(Answer(answer.status, answer.body[:after], answer.headers))


async def _edited(exchange: Exchange, *, remove: list[str] | None = None, set: dict[str, Any] | None = None) -> None:
    """The service's answer with fields removed or set; a place is like ``data.*.id`` or ``limits``."""
    answer = await exchange.answer()
    document = json.loads(answer.body)
    for place in remove or []:
        for parent, last in _places(document, place):
            del parent[last]
    for place, value in (set or {}).items():
        for parent, last in _places(document, place, missing=True):
            parent[last] = value
    await exchange.reply(Answer(answer.status, json.dumps(document).encode(), answer.headers))


async def _drip(exchange: Exchange, *, interval: float, size: int = 1) -> None:
    """The service's answer, ``size`` bytes every ``interval`` seconds."""
    answer = await exchange.answer()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(answer.body), size):
            yield answer.body[start : start + size]
            await asyncio.sleep(interval)

    await exchange.reply(answer, chunks(), len(answer.body))


async def _flood(exchange: Exchange, *, size: int | None = None, status: int = 200) -> None:
    """``size`` bytes of a JSON string that says nothing; without end if not told."""
    chunk = b"x" * 65536

    async def chunks() -> AsyncIterator[bytes]:
        yield b'"'
        sent = 1
        for _unused in itertools.count():
            if size is not None and sent >= size:
                return
            part = chunk if size is None else chunk[: size - sent]
            yield part
            sent += len(part)

    await exchange.reply(Answer(status, b""), chunks(), size)


async def _redirect(exchange: Exchange, *, location: str, status: int = 302) -> None:
    """To ``location``, instead of carrying the request out."""
    await exchange.reply(Answer(status, b"", {"location": location}))


Kinds = dict[str, Callable[..., Any]]

API_FAULTS: Kinds = {
    "latency": _latency,
    "status": _status,
    "cut": _cut,
    "body": _body,
    "truncated": _truncated,
    "edited": _edited,
    "drip": _drip,
    "flood": _flood,
    "redirect": _redirect,
}


@dataclass
class Fault:
    """What is to go wrong.

    ``method`` and ``path`` (shell patterns) say for which requests; ``skip`` so many of them are left alone
    first, then ``times`` (None: all) are hit. ``seconds`` pass before anything is done. ``options``
    are the keyword parameters of the kind's function.
    """

    kind: str
    method: str = "*"
    path: str = "*"
    times: int | None = None
    skip: int = 0
    seconds: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)

    def matches(self, method: str, path: str) -> bool:
        return fnmatchcase(method, self.method) and fnmatchcase(path, self.path)


class Faults:
    """The faults of ``kinds`` that are switched on, in that order. Safe to use from several threads."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(
        self,
        kind: str,
        *,
        method: str = "*",
        path: str = "*",
        times: int | None = None,
        skip: int = 0,
        seconds: float = 0.0,
        **options: Any,
    ) -> Fault:
        """Switch a fault on; see Fault. Raises ValueError or TypeError for what makes no sense."""
        if kind not in self._kinds:
            raise ValueError(f"no fault {kind!r}; there are {', '.join(self._kinds)}")
        inspect.signature(self._kinds[kind]).bind(None, **options)
        fault = Fault(kind, method, path, times, skip, seconds, options)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def to_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def take(self, method: str, path: str) -> list[Fault]:
        """The faults that hit this request: any number of latencies, then at most one other."""
        hit = []
        with self._lock:
            for fault in self._faults:
                if not fault.matches(method, path) or (hit and hit[-1].kind != "latency"):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                elif fault.times is None or fault.times > 0:
                    if fault.times is not None:
                        fault.times -= 1
                    hit.append(fault)
            self._faults = [fault for fault in self._faults if fault.times != 0]
        return hit


async def apply(faults: list[Fault], exchange: Exchange) -> None:
    """Answer ``exchange`` as ``faults`` (of Faults.take) have it; with none, as the service does."""
    await asyncio.sleep(sum(fault.seconds for fault in faults))
    last = faults[-1] if faults else Fault("latency")
    await API_FAULTS[last.kind](exchange, **last.options)


def _places(document: Any, place: str, missing: bool = False) -> list[tuple[Any, Any]]:
    """The containers, with key or index, that ``place`` means; with ``missing`` also where nothing is yet."""
    *way, last = place.split(".")
    containers = [document]
    for step in way:
        containers = [item for container in containers for item in _items(container, step)]
    return [
        (container, key)
        for container in containers
        for key in _keys(container, last)
        if missing or isinstance(container, list) or key in container
    ]


def _items(container: Any, step: str) -> list[Any]:
    return [container[key] for key in _keys(container, step)]


def _keys(container: Any, step: str) -> list[Any]:
    if isinstance(container, list):
        return list(range(len(container))) if step == "*" else [int(step)]
    return list(container) if step == "*" else [step]
