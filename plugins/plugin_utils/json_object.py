# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON objects, read field by field, each with its type.

Keys that nobody asks for are passed over, so that later versions may add some. Everything raises ValueError, in words
that go on after "it".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import cache, partial
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def read(kind: type[T], value: Any) -> T:
    """The dataclass ``kind`` from an object that has its fields: texts, numbers, flags, objects, lists, and dataclasses
    themselves, by their ``from_json`` if they have one. An absent key gives the field's default."""
    given = JsonObject(value)._given
    found: dict[str, Any] = {}
    of: Any = kind  # mypy does not take a type[T] for hashable
    for name, read_value, required in _fields(of):
        if name in given:
            found[name] = read_value(name, given[name])
        elif required:
            raise ValueError(f"has an object without {name}")
    return kind(**found)


class JsonObject:
    """An object of a JSON document. A key that is absent, or null where that is allowed, gives the default."""

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
        return _typed(str, key, self._given[key])

    def text_or_none(self, key: str) -> str | None:
        return None if self._given.get(key) is None else self.text(key)

    def number(self, key: str) -> int:
        return _typed(int, key, self._given.get(key, 0))

    def flag(self, key: str) -> bool:
        return _typed(bool, key, self._given.get(key, False))

    def mapping(self, key: str) -> dict[str, Any]:
        """An object as it is; an absent one is empty."""
        return _mapping(key, self._given.get(key, {}))

    def mapping_or_none(self, key: str) -> dict[str, Any] | None:
        return None if self._given.get(key) is None else self.mapping(key)

    def texts(self, key: str) -> list[str]:
        """A list; an absent one is empty."""
        return _each(partial(_typed, str), key, self._given.get(key, []))


@cache
def _fields(kind: Any) -> list[tuple[str, Callable[[str, Any], Any], bool]]:
    """Each field's name, how it is read, and whether it must be there."""
    hints = get_type_hints(kind)
    return [
        (one.name, _reader(hints[one.name]), one.default is MISSING and one.default_factory is MISSING)
        for one in fields(kind)
    ]


def _reader(hint: Any) -> Callable[[str, Any], Any]:
    """Reads a value of that type, given its key as well."""
    origin, arguments = get_origin(hint), get_args(hint)
    if NoneType in arguments:
        (inner,) = (_reader(argument) for argument in arguments if argument is not NoneType)
        return lambda key, value: None if value is None else inner(key, value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping
    if origin is not None:
        return partial(_each, _reader(arguments[0]))
    if hasattr(hint, "from_json"):
        return lambda _key, value: hint.from_json(value)
    if hasattr(hint, "__dataclass_fields__"):
        return lambda _key, value: read(hint, value)
    return partial(_typed, hint)


def _each(read_element: Callable[[str, Any], T], key: str, value: Any) -> list[T]:
    if not isinstance(value, list):
        raise ValueError(f"has no list of {key}")
    return [read_element(key, element) for element in value]


def _mapping(_key: str, value: Any) -> dict[str, Any]:
    return dict(JsonObject(value)._given)


def _typed(kind: type[T], key: str, value: Any) -> T:
    # Python takes True for a number.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"has {value!r} as {key}")
    return value
