# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world that real code is put into: time that passes when the schedule says so, and dear pure functions remembered.

Within ``installed`` only. Modules that took a name from elsewhere are given another thing under that name.
"""

from __future__ import annotations

import email.utils
import functools
import importlib
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import requests
import yaml

HOUSE = "ansible_collections.pelion.mbl.plugins.plugin_utils"
EPOCH = datetime(2026, 11, 23, 12, tzinfo=timezone.utc).timestamp()


class Clock:
    """Seconds since 1970."""

    began = seconds = EPOCH
    sleep: Callable[[float], None] = staticmethod(lambda seconds: None)

    def __call__(self) -> float:
        return self.seconds

    @contextmanager
    def at(self, seconds: float) -> Iterator[None]:
        before, self.seconds = self.seconds, seconds
        try:
            yield
        finally:
            self.seconds = before


CLOCK = Clock()


class VirtualDatetime(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.fromtimestamp(CLOCK.seconds, tz)


def _sleep(seconds: float) -> None:
    CLOCK.sleep(seconds)  # whichever it is by then


_TIME = SimpleNamespace(time=CLOCK, monotonic=CLOCK, sleep=_sleep, struct_time=time.struct_time)
_COUNTS: Counter[str] = Counter()
"""Of ids, by who asks for them. Begins anew with each schedule, so that its ids are the same ones, also those of the
other schedules: what was made for an id then serves for all."""


def restart() -> None:
    """Time and ids as at the begin of every schedule."""
    _COUNTS.clear()
    CLOCK.began = CLOCK.seconds = EPOCH


def _next(kind: str) -> int:
    _COUNTS[kind] += 1
    return _COUNTS[kind]


def _hex(octets: int = 16) -> str:
    asking = sys._getframe(1)
    if asking.f_code.co_name == "new_id" and asking.f_back:
        asking = asking.f_back
    kind = asking.f_code.co_name
    return f"{zlib.crc32(kind.encode()):08x}{_next(kind):0{2 * octets - 8}x}"


_SECRETS = SimpleNamespace(token_hex=_hex, randbits=lambda bits: _next("bits"), randbelow=lambda most: 0)


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """As ``function``, which is pure and dear; its errors are not remembered."""
    cached = functools.lru_cache(20000)(function)

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        found = cached(*args, **options)
        return dict(found) if isinstance(found, dict) else found

    return call


def _from_a_pool(make: Callable[..., Any]) -> Callable[..., Any]:
    """Certificates made at the begin of time, which every schedule takes in the same order."""
    pool = remembered(lambda recipe, number: make(recipe))

    def call(recipe: Any, now: datetime | None = None) -> Any:
        with CLOCK.at(EPOCH):
            found = pool(recipe, _next("update certificates"))
        return replace(found, made=(now or found.made).replace(microsecond=0))

    return call


def _at_epoch(function: Callable[..., Any]) -> Callable[..., Any]:
    """Made at the begin of time, whenever it is asked for, so that it serves for every schedule."""

    def call(*args: Any, **options: Any) -> Any:
        with CLOCK.at(EPOCH):
            return function(*args, **options)

    return call


def _yaml() -> SimpleNamespace:
    """Reading and writing YAML, for store.py."""
    loaded = functools.lru_cache(20000)(yaml.safe_load)
    dumped: dict[str, str] = {}

    def dump(document: Any, **options: Any) -> str:
        key = repr(document)
        if key not in dumped:
            dumped[key] = yaml.dump(document, **options)
        return dumped[key]

    return SimpleNamespace(safe_load=loaded, dump=dump, YAMLError=yaml.YAMLError)


Patch = tuple[Any, str, Any, Any]


@functools.cache
def _patches() -> list[Patch]:
    def house(name: str) -> Any:
        return importlib.import_module(f"{HOUSE}.{name}")

    issuing = importlib.import_module("cloud.issuing")
    rules, times, made = house("credentials.rules"), house("times"), house("credentials.update_certificate")
    security_file = importlib.import_module("cloud.security_file").security_file
    instead: dict[int, Any] = {
        id(datetime): VirtualDatetime,
        id(time): _TIME,
        id(made.make_update_resources): _from_a_pool(made.make_update_resources),
        id(issuing.issue_developer): remembered(_at_epoch(issuing.issue_developer)),
        id(issuing.Authority): remembered(_at_epoch(issuing.Authority)),
    }
    for pure in (
        rules.load_certificate,
        house("credentials.certified").describe_certificate,
        house("credentials.update_resources").load_pem_private_key,
        security_file,
        times.parse_time,
        times.time_text,
        importlib.import_module("cloud.times").rfc3339,
        made.derive_ids,
        made.common_name,
        email.utils.parsedate_to_datetime,
        house("cloud.api_transport").api_url,
    ):
        instead[id(pure)] = remembered(pure)
    secrets = importlib.import_module("secrets")
    found: list[Patch] = []
    for module in list(sys.modules.values()):
        name = getattr(module, "__name__", "")
        if name.startswith((HOUSE, "cloud.")) or name in ("cloud", "urllib3.util.retry"):
            for key, value in list(vars(module).items()):
                if id(value) in instead:
                    found.append((module, key, value, instead[id(value)]))
                elif value is secrets:
                    found.append((module, key, value, _SECRETS))
    program = house("board.board")._PROGRAM.read_text()
    dear = [
        (house("board.board"), "_PROGRAM", SimpleNamespace(read_text=lambda: program)),
        (house("store.store"), "yaml", _yaml()),
        (house("store.store").Store, "_entry", _entry(house("store.store").Store._entry)),
        (house("fleet.memory"), "_time", remembered(house("fleet.memory")._time)),
        (house("board.client_log"), "_time_of", remembered(house("board.client_log")._time_of)),
        (house("cloud.api_transport"), "requests", _Requests()),
        (house("board.board"), "_write_items", _by_values(house("board.board")._write_items)),
        (house("board.answers"), "_octets", _by_lines(house("board.answers")._octets)),
        (house("team.signers"), "_signs", _by_content(house("team.signers")._signs)),
        (issuing.Authority, "issue_device", remembered(_at_epoch(issuing.Authority.issue_device))),
        (issuing.Authority, "issued", remembered(issuing.Authority.issued)),
        (house("credentials.developer_credentials"), "parse_c_source", remembered(_c_source())),
    ]
    for module in (house("credentials.developer_credentials"), house("credentials.update_resources")):
        dear.append((module, "require", _require(module.require)))
    return found + [(owner, name, vars(owner)[name], new) for owner, name, new in dear]


def _c_source() -> Callable[..., Any]:
    return importlib.import_module(f"{HOUSE}.credentials.c_source").parse_c_source


def _require(require: Callable[..., None]) -> Callable[..., None]:
    """The rules, once for the same values."""
    kept: set[Any] = set()

    def call(rules: Any, values: Any, source: str) -> None:
        key = (id(rules), *values.items())
        if key not in kept:
            require(rules, values, source)
            kept.add(key)

    return call


def _by_values(write: Callable[[Any], str]) -> Callable[[Any], str]:
    kept: dict[Any, str] = {}

    def call(items: Any) -> str:
        key = tuple(items.values.items())
        if key not in kept:
            kept[key] = write(items)
        return kept[key]

    return call


def _entry(read: Callable[..., Any]) -> Callable[..., Any]:
    """An entry of the same content in the same file."""
    kept: dict[Any, Any] = {}

    def call(store: Any, kind: type, path: Path, text: bytes, name: str | None) -> Any:
        key = (kind, path, text, name)
        if key not in kept:
            kept[key] = read(store, kind, path, text, name)
        return kept[key]

    return call


class _Requests:
    """``requests`` for the transport, which has no connection of its own here."""

    def __getattr__(self, name: str) -> Any:
        return getattr(requests, name)

    class Session:
        auth: Any = None

        def __init__(self) -> None:
            self.headers: dict[str, str] = {}

        def close(self) -> None: ...


def _by_lines(read: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    cached = functools.lru_cache(20000)(read)
    return lambda lines: cached(tuple(lines))


def _by_content(signs: Callable[[Any], bool | None]) -> Callable[[Any], bool | None]:
    kept: dict[Any, bool | None] = {}

    def call(resources: Any) -> bool | None:
        key = (resources.der, resources.private_key)
        if key not in kept:
            kept[key] = signs(resources)
        return kept[key]

    return call


@contextmanager
def installed(*more: Patch) -> Iterator[None]:
    patches = [*_patches(), *more]
    for owner, name, _old, new in patches:
        setattr(owner, name, new)
    try:
        yield
    finally:
        for owner, name, old, _new in reversed(patches):
            setattr(owner, name, old)
