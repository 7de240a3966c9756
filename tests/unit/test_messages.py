# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts for users stand on their own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [path for folder in ("plugins/action", "plugins/plugin_utils") for path in (ROOT / folder).rglob("*.py")]


def texts(source: Path) -> Iterator[str]:
    """Those of a module that are not documentation of itself."""
    tree = ast.parse(source.read_text())
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "plugins")))
def test_no_message_sends_to_a_page_that_the_user_may_not_have(source: Path) -> None:
    assert not [text for text in texts(source) if "docs/" in text]
