# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON objects that are read with the types that their values must have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class JsonObject:
    """An object of a JSON document. Keys that nobody asks for are passed over, so that later versions may add some.

    A key that is absent, or null where that is allowed, gives the default. Everything raises ValueError, in words that
    go on after "it".
    """

    def __init__(self, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise ValueError(f"has {value!r} where an object should be")
        self._given = value

    def text(self, key: str, default: str | None = None) -> str:
        """Without a ``default`` the key must be there."""
        if key not in self._given:
            if default is None:
                raise ValueError(f"has an object without {key}")
            return default
        return self._typed(key, str)

    def text_or_none(self, key: str) -> str | None:
        return None if self._given.get(key) is None else self._typed(key, str)

    def number(self, key: str, default: int = 0) -> int:
        return self._typed(key, int) if key in self._given else default

    def number_or_none(self, key: str) -> int | None:
        return None if self._given.get(key) is None else self._typed(key, int)

    def flag(self, key: str, default: bool = False) -> bool:
        return self._typed(key, bool) if key in self._given else default

    def flag_or_none(self, key: str) -> bool | None:
        return None if self._given.get(key) is None else self._typed(key, bool)

    def mapping(self, key: str) -> dict[str, Any]:
        """An object as it is; an absent one is empty."""
        return dict(JsonObject(self._given[key])._given) if key in self._given else {}

    def mapping_or_none(self, key: str) -> dict[str, Any] | None:
        return None if self._given.get(key) is None else self.mapping(key)

    def texts(self, key: str) -> list[str]:
        return self.each(key, _text)

    def each(self, key: str, read: Callable[[Any], T]) -> list[T]:
        """What ``read`` makes of each element of a list; an absent one is empty."""
        value = self._given.get(key, [])
        if not isinstance(value, list):
            raise ValueError(f"has no list of {key}")
        return [read(element) for element in value]

    def _typed(self, key: str, kind: type[T]) -> T:
        value = self._given[key]
        # Python takes True for a number.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"has {value!r} as {key}")
        return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"has {value!r} where text should be")
    return value
