# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

from ansible_collections.pelion.mbl.plugins.plugin_utils.task.action import without
from ansible_collections.pelion.mbl.plugins.plugin_utils.task.kept_results import KeptResults, as_made


def in_process(kept: KeptResults, key: tuple[str, str], *results: dict[str, object]) -> int:
    """A task's process, which is forked from Ansible's; its id."""
    process = os.fork()
    if process == 0:
        for result in results:
            kept.keep(key, result)
        os._exit(0)
    return process


def test_results_of_many_processes_come_whole() -> None:
    kept = KeptResults()
    keys = [(f"board-{number}", "task") for number in range(20)]
    processes = [in_process(kept, key, {"site": key[0] * 20_000}) for key in keys]
    for process in processes:
        assert os.waitpid(process, 0)[1] == 0
    for key in keys:
        assert kept.take(key) == [{"site": key[0] * 20_000}]


def test_what_was_taken_is_gone() -> None:
    kept = KeptResults()
    kept.keep(("board", "one"), {"number": 1})
    kept.keep(("board", "two"), {"number": 2})
    assert kept.take(("board", "two")) == [{"number": 2}]
    kept.keep(("board", "two"), {"number": 3})
    assert kept.take(("board", "one")) == [{"number": 1}]
    assert kept.take(("board", "two")) == [{"number": 3}]
    assert kept.take(("board", "two")) == []


def test_a_result_is_as_it_was_made() -> None:
    assert as_made({"msg": "$REDACTED$ ended"}, []) == {"msg": "$REDACTED$ ended"}
    assert as_made({"site": "$REDACTED$"}, [{"site": "south"}, {"site": "north"}]) == {"site": "north"}
    looped = {"failed": True, "results": [{"msg": "$REDACTED$"}]}
    assert as_made(looped, [{"msg": "north"}]) == {"failed": True, "results": [{"msg": "north"}]}


def test_secrets_are_taken_out_of_a_result() -> None:
    result = {"changed": True, "msg": "key ak_123: ak_12", "list": [{"ak_123": 1, "empty": ""}]}
    stars = "********"
    assert without({"ak_12", "ak_123", ""}, result) == {
        "changed": True,
        "msg": f"key {stars}: {stars}",
        "list": [{stars: 1, "empty": ""}],
    }
