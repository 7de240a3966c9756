# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the rooms of plugins/plugin_utils: each imports only rooms below it; and what extensions may import."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "plugins"
HOUSE = PLUGINS / "plugin_utils"
EXTENSIONS = ROOT / "extensions"

ORDER = ("task", "report", "fleet", "team", "cloud", "board", "credentials", "store", "discovery")
"""The uppermost first."""
FOR_ALL = {"durable_file", "errors", "json_object", "libraries", "reasons", "times", "words"}
"""Modules beside the rooms."""
ALONE = {"store", "discovery"}
"""Rooms that import no other room."""
KNOWS_ANSIBLE = {"task", "store/vault.py"}
"""Rooms, and the one file elsewhere, that may import Ansible (see store/vault.py for why)."""
DOMAIN = "pelion_mbl_domain"
"""The house as extensions call it, which run without Ansible's way of finding collections."""
OF_EXTENSIONS = {"discovery", "fleet", "report"} | FOR_ALL
"""What they may import of it: nothing that reaches a board, the cloud or a store."""
LIBRARIES = {"yaml"}
"""What they may import beside the standard library."""

FILES = sorted(HOUSE.rglob("*.py"))


def imported_modules(file: Path) -> Iterator[tuple[str, ...]]:
    """What ``file`` imports: paths below plugin_utils as tuples, other modules as ``('/', name)``."""
    here = file.relative_to(HOUSE).parts
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield "/", alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield "/", node.module or ""
        elif isinstance(node, ast.ImportFrom):
            base = (*here[: len(here) - node.level], *(node.module or "").split("."))
            base = tuple(part for part in base if part)
            if node.module and (HOUSE.joinpath(*base[:-1], f"{base[-1]}.py")).is_file():
                yield base
            else:
                for alias in node.names:
                    yield (*base, alias.name)


def test_the_rooms_are_all_there() -> None:
    rooms = {path.name for path in HOUSE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms == set(ORDER)
    assert {path.stem for path in HOUSE.glob("*.py")} - {"__init__"} == FOR_ALL
    assert all((HOUSE / room / "__init__.py").read_bytes() == b"" for room in ORDER)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_a_room_imports_only_rooms_below_it(file: Path) -> None:
    room = file.relative_to(HOUSE).parts[0] if file.parent != HOUSE else None
    below = ORDER[ORDER.index(room) + 1 :] if room else ()
    for imported in imported_modules(file):
        if imported[0] == "/":
            assert "ansible_collections" not in imported[1], "relative imports, as everywhere here"
            if imported[1].split(".")[0] == "ansible":
                assert {room, str(file.relative_to(HOUSE))} & KNOWS_ANSIBLE, f"{imported[1]} is Ansible's"
        elif imported[0] not in FOR_ALL and imported[0] != room:
            assert imported[0] in below, f"{'.'.join(imported)} is not below {room}"
            assert room not in ALONE


@pytest.mark.parametrize("file", sorted(PLUGINS.glob("[!p]*/*.py")), ids=lambda file: str(file.relative_to(PLUGINS)))
def test_plugins_import_their_rooms_relatively(file: Path) -> None:
    assert "ansible_collections.pelion" not in file.read_text().partition("\nfrom __future__")[2].replace(
        "# ansible_collections", ""
    )


def modules_named(file: Path) -> Iterator[str]:
    """The modules that ``file`` imports, all by their full names."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "an extension is in no package"
            yield node.module or ""


@pytest.mark.parametrize("file", sorted(EXTENSIONS.rglob("*.py")), ids=lambda file: str(file.relative_to(EXTENSIONS)))
def test_an_extension_knows_neither_ansible_nor_the_rooms_that_act(file: Path) -> None:
    for imported in modules_named(file):
        first, _dot, rest = imported.partition(".")
        if first == DOMAIN:
            assert rest.partition(".")[0] in OF_EXTENSIONS, imported
            assert HOUSE.joinpath(*rest.split(".")).with_suffix(".py").is_file(), imported
        else:
            assert first in sys.stdlib_module_names | LIBRARIES, imported
