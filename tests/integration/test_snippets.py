# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files for variables that pages and clone show: each line that they leave to choose is chosen and run."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import ROOT, Fleet, Play
from own_directory import Bench

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.signing_files import SigningFiles
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import (
    Recipe,
    derive_ids,
    make_update_resources,
)

sys.path.append(str(ROOT / "tests/unit"))
from test_pages import snippets

LEFT = re.compile(r"^# (?=provision_pelion_\w+: )", re.MULTILINE)
SNIPPETS = {name: text for name, text in snippets() if LEFT.search(text)}
NAMES = {"provision_pelion_dev_cert", "provision_pelion_update_resources"}
FILE = {"provision_pelion_update_src"}
GENERATED = {"provision_pelion_vendor_domain", "provision_pelion_device_class"}


def left_by(text: str) -> list[str]:
    """The variables in lines that are comments."""
    return re.findall(r"^# (provision_pelion_\w+): ", text, re.MULTILINE)


def chosen(text: str, variables: set[str]) -> str:
    """With the lines of these variables and without those of others that say how update resources are made."""
    text = re.sub(
        r"^# (provision_pelion_\w+)(?=: )", lambda line: line[1] if line[1] in variables else line[0], text, flags=re.M
    )
    others = "|".join((FILE | GENERATED) - variables)
    return re.sub(rf"^({others})(?=: )", r"# \1", text, flags=re.MULTILINE) if others else text


@pytest.fixture(scope="module")
def bench(lab: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    for board in lab.boards:
        lab.make_fresh(board)
    bench = Bench(lab, tmp_path_factory.mktemp("bench"))
    connection = bench.directory / "inventory/group_vars/mbl.yml"
    text = re.sub(r"^provision_pelion_.*\n", "", connection.read_text(), flags=re.MULTILINE)
    connection.unlink()
    (connection.parent / "mbl").mkdir()
    (connection.parent / "mbl/connection.yml").write_text(text)
    SigningFiles(bench.directory / "manifest").write(make_update_resources(Recipe(*derive_ids("example.com", "b"))))
    yield bench


def run(bench: Bench, text: str) -> Play:
    (bench.directory / "inventory/group_vars/mbl/snippet.yml").write_text(text)
    play = bench.play("provision", "--check", f"--limit {min(bench.addresses)},localhost")
    assert "Traceback" not in play.output and "not found: " not in play.output, play.output
    return play


@pytest.mark.parametrize(
    ("name", "variable"), [(name, variable) for name, text in SNIPPETS.items() for variable in left_by(text)]
)
def test_a_line_that_is_chosen_alone(bench: Bench, name: str, variable: str) -> None:
    """It does what it says, or one error says which variable is missing as well."""
    text = SNIPPETS[name]
    alone = re.sub(rf"^# (?={variable}: )", "", text, flags=re.MULTILINE)
    assert alone != text
    play = run(bench, alone)
    if play.returncode == 0:
        return
    assert play.returncode == 2, play.output
    [error] = re.findall(r"^fatal: .*", play.stdout, re.MULTILINE)
    missing = (NAMES if variable in NAMES else GENERATED | NAMES) - {variable}
    assert any(other in error for other in missing), error


@pytest.mark.parametrize("name", SNIPPETS)
@pytest.mark.parametrize("made", [FILE, GENERATED], ids=["file", "generated"])
def test_lines_that_belong_together(bench: Bench, name: str, made: set[str]) -> None:
    play = run(bench, chosen(SNIPPETS[name], NAMES | made))
    assert play.returncode == 0, play.output
    assert "1 board: 1 would be changed" in play.output


def test_all_lines_are_known() -> None:
    left = {variable for text in SNIPPETS.values() for variable in left_by(text)}
    assert left == NAMES | FILE | GENERATED
    assert Path(ROOT / "inventory/group_vars/mbl.yml").read_text() in SNIPPETS.values()
