# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.taken_names import OtherHost, TakenNames

TAKEN = TakenNames(
    [
        OtherHost("Server", "192.0.2.1", is_board=False),
        OtherHost("jump", None, is_board=False),
        OtherHost("Board-7", "192.0.2.7", is_board=True),
    ],
    groups=["Webservers", "all"],
    reserved=["localhost", "127.0.0.1"],
)


@pytest.mark.parametrize(
    "name", ["server", "SERVER", "192.0.2.1", "jump", "webservers", "all", "localhost", "LocalHost"]
)
def test_what_means_something_else_is_no_name_of_a_board(name: str) -> None:
    assert TAKEN.spelling_of(name) is None


def test_a_board_that_another_source_names_keeps_that_spelling() -> None:
    assert TAKEN.spelling_of("board-7") == "Board-7"
    assert TAKEN.spelling_of("192.0.2.7") == "192.0.2.7", "its own address leads nothing astray"


def test_a_new_name_is_taken_as_it_is() -> None:
    assert TAKEN.spelling_of("Board-8") == "Board-8"


def test_a_board_called_like_a_group_is_refused_though_a_source_names_it() -> None:
    taken = TakenNames([OtherHost("lab", None, is_board=True)], groups=["lab"], reserved=[])
    assert taken.spelling_of("lab") is None
