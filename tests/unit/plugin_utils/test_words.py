# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.words import nearest, printable, some


@given(st.text())
def test_a_printable_text_is_on_one_line(text: str) -> None:
    assert printable(text).isprintable()
    assert len(printable(text, 7)) <= 7


@given(st.lists(st.text("ab", min_size=1), max_size=30), st.integers(2, 12))
def test_no_name_gets_lost(names: list[str], most: int) -> None:
    told, _and, more = some(names, most).partition(" and ")
    shown = told.split(", ") if told else []
    assert shown == names[: len(shown)] and len(shown) <= most
    assert len(shown) + (int(more.removesuffix(" more")) if more else 0) == len(names)


def test_the_nearest_name_is_a_likely_one() -> None:
    assert nearest("vendor_domian", ["vendor_domain", "device_class"]) == "vendor_domain"
    assert nearest("colour", ["vendor_domain", "device_class"]) == ""
