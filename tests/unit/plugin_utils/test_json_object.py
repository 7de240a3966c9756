# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON is taken with its types, or refused in words that say what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.json_object import JsonObject

GIVEN = JsonObject({"text": "a", "number": 3, "flag": True, "object": {"b": 1}, "texts": ["c"], "null": None})

Read = Callable[[JsonObject], Any]


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda o: o.text("text"), "a"),
        (lambda o: o.text("absent", "default"), "default"),
        (lambda o: o.text_or_none("text"), "a"),
        (lambda o: o.text_or_none("null"), None),
        (lambda o: o.text_or_none("absent"), None),
        (lambda o: o.number("number"), 3),
        (lambda o: o.number("absent"), 0),
        (lambda o: o.number_or_none("null"), None),
        (lambda o: o.flag("flag"), True),
        (lambda o: o.flag("absent"), False),
        (lambda o: o.flag_or_none("absent"), None),
        (lambda o: o.mapping("object"), {"b": 1}),
        (lambda o: o.mapping("absent"), {}),
        (lambda o: o.mapping_or_none("null"), None),
        (lambda o: o.texts("texts"), ["c"]),
        (lambda o: o.texts("absent"), []),
        (lambda o: o.each("texts", str.upper), ["C"]),
    ],
)
def test_a_value_is_taken_as_what_it_is(read: Read, value: Any) -> None:
    assert read(GIVEN) == value


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda o: o.text("absent"), "without absent"),
        (lambda o: o.text("null"), "None as null"),
        (lambda o: o.text_or_none("number"), "3 as number"),
        (lambda o: o.number("flag"), "True as flag"),
        (lambda o: o.number("text"), "'a' as text"),
        (lambda o: o.flag("number"), "3 as number"),
        (lambda o: o.flag_or_none("text"), "'a' as text"),
        (lambda o: o.mapping("texts"), "where an object should be"),
        (lambda o: o.mapping("null"), "where an object should be"),
        (lambda o: o.texts("text"), "no list of text"),
        (lambda o: JsonObject({"texts": [1]}).texts("texts"), "1 where text should be"),
        (lambda o: JsonObject([]), "where an object should be"),
    ],
)
def test_anything_else_is_refused(read: Read, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(GIVEN)
