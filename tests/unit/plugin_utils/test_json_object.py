# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON is taken with its types, or refused in words that say what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.json_object import JsonObject, read

GIVEN = JsonObject({"text": "a", "number": 3, "flag": True, "object": {"b": 1}, "texts": ["c"], "null": None})

Take = Callable[[JsonObject], Any]


@pytest.mark.parametrize(
    ("take", "value"),
    [
        (lambda o: o.text("text"), "a"),
        (lambda o: o.text("absent", "default"), "default"),
        (lambda o: o.text_or_none("text"), "a"),
        (lambda o: o.text_or_none("null"), None),
        (lambda o: o.text_or_none("absent"), None),
        (lambda o: o.number("number"), 3),
        (lambda o: o.number("absent"), 0),
        (lambda o: o.flag("flag"), True),
        (lambda o: o.flag("absent"), False),
        (lambda o: o.mapping("object"), {"b": 1}),
        (lambda o: o.mapping("absent"), {}),
        (lambda o: o.mapping_or_none("null"), None),
        (lambda o: o.texts("texts"), ["c"]),
        (lambda o: o.texts("absent"), []),
    ],
)
def test_a_value_is_taken_as_what_it_is(take: Take, value: Any) -> None:
    assert take(GIVEN) == value


@pytest.mark.parametrize(
    ("take", "words"),
    [
        (lambda o: o.text("absent"), "without absent"),
        (lambda o: o.text("null"), "None as null"),
        (lambda o: o.text_or_none("number"), "3 as number"),
        (lambda o: o.number("flag"), "True as flag"),
        (lambda o: o.number("text"), "'a' as text"),
        (lambda o: o.flag("number"), "3 as number"),
        (lambda o: o.mapping("texts"), "where an object should be"),
        (lambda o: o.mapping("null"), "where an object should be"),
        (lambda o: o.texts("text"), "no list of text"),
        (lambda o: JsonObject({"texts": [1]}).texts("texts"), "1 as texts"),
        (lambda o: JsonObject([]), "where an object should be"),
    ],
)
def test_anything_else_is_refused(take: Take, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        take(GIVEN)


@dataclass
class Inner:
    name: str
    upper: str = ""

    @classmethod
    def from_json(cls, value: Any) -> Inner:
        found = read(cls, value)
        return replace(found, upper=found.name.upper())


@dataclass
class Outer:
    name: str
    number: int = 3
    flag: bool | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    inner: Inner | None = None
    more: Sequence[Inner] = ()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"name": "a", "of a later version": 1}, Outer("a")),
        ({"name": "a", "flag": None, "inner": None}, Outer("a")),
        (
            {
                "name": "a",
                "number": 4,
                "flag": True,
                "facts": {},
                "inner": {"name": "c"},
                "more": [{"name": "d"}],
            },
            Outer("a", 4, True, {}, Inner("c", "C"), [Inner("d", "D")]),
        ),
    ],
)
def test_a_dataclass_is_read_by_its_fields(given: Any, found: Outer) -> None:
    assert read(Outer, given) == found


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "where an object should be"),
        ({}, "without name"),
        ({"name": None}, "None as name"),
        ({"name": "a", "number": True}, "True as number"),
        ({"name": "a", "flag": 1}, "1 as flag"),
        ({"name": "a", "facts": None}, "where an object should be"),
        ({"name": "a", "inner": {}}, "without name"),
        ({"name": "a", "more": {}}, "no list of more"),
    ],
)
def test_what_does_not_fit_a_dataclass_is_refused(given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(Outer, given)
