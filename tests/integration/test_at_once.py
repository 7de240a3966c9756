# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards that are worked on at once: the same as one by one, since each has its own variables and connection.

A program that notes what it is called with stands for ssh. tests/versions runs this with each ansible-core.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from processes import start_of
from warm import commands

ROOT = Path(__file__).parents[2]
HOSTS = [f"board-{number}" for number in range(12)]
UNREACHABLE = HOSTS[4]
SSH = """#!/bin/sh
[ "$1" != -G ] || exit 1
{ printf '%s\\n' "$@"; echo; } >>"$NOTES/$$"
case $* in *board-4.invalid*) echo no route >&2; exit 255 ;; esac
cat >/dev/null
sleep "${SLOW:-0}"
"""


class Bench:
    """With ``become``, half of the boards are to become another user. The program that stands for ssh knows nothing of
    that, so that before ansible-core 2.19 it is waited for in vain."""

    def __init__(self, home: Path, *, become: bool = True) -> None:
        self.home = home
        self._become = become
        self.notes = home / "notes"
        (home / "ssh").write_text(SSH)
        (home / "ssh").chmod(0o755)
        self.write("hosts.yml", {"mbl": {"hosts": {name: self.variables(number) for number, name in enumerate(HOSTS)}}})
        self.write("ask.yml", [{"name": "Ask", "pelion.mbl.pelion_fleet_ask": None, "register": "alone"}])

    def variables(self, number: int) -> dict[str, Any]:
        """Of a host: all that may differ does, in its connection and in what only templates show."""
        return {
            "ansible_host": f"board-{number}.invalid",
            "ansible_port": 2000 + number,
            "ansible_user": f"user-{number}",
            "ansible_ssh_executable": str(self.home / "ssh"),
            "ansible_ssh_common_args": f"-o HostKeyAlias={number} -o 'KnownHostsCommand=/bin/echo {number}'",
            "ansible_ssh_extra_args": "-o Tag={{ inventory_hostname }}-{{ of_play }}-{{ of_block }}",
            "ansible_control_path": str(self.home / f"%%C-{number}"),
            "ansible_become": self._become and number % 2 == 0,
            "ansible_become_user": f"root-{number}",
            "provision_pelion_dev_cert": "{{ of_role }}",
            "provision_pelion_update_resources": "b",
            # Told in the result, so that it shows the variables that the board's task sees.
            **({} if number % 3 else {"provision_pelion_new_boards": TEMPLATE}),
        }

    def write(self, name: str, content: Any) -> None:
        (self.home / name).write_text(yaml.safe_dump(content, sort_keys=False))

    def play(self, tasks: list[dict[str, Any]], *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [commands() / "ansible-playbook", *self.arguments(tasks, *options)],
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
        )

    def command(self, tasks: list[dict[str, Any]]) -> list[str]:
        """For a process of its own, to be limited or interrupted."""
        return [sys.executable, "-m", "ansible", "playbook", *self.arguments(tasks)]

    def arguments(self, tasks: list[dict[str, Any]], *options: str) -> list[str]:
        play = {"hosts": "mbl", "gather_facts": False, "vars": {"of_play": "p", "of_role": "r"}}
        block = {"name": "Block", "vars": {"of_block": "b"}, "block": tasks}
        self.write("play.yml", [{**play, "tasks": [block]}])
        return ["-i", str(self.home / "hosts.yml"), str(self.home / "play.yml"), *options]

    def environment(self, **more: str) -> dict[str, str]:
        self.notes.mkdir(exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "NOTES": str(self.notes),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build"),
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "5000",
            **more,
        }

    def calls(self) -> list[str]:
        """The arguments of each call of ssh since the last time, but for the random part of the program's prompt."""
        files = list(self.notes.iterdir())
        called = [re.sub(r"(BECOME-SUCCESS-|prompt.*key=)\w+", "", file.read_text()) for file in files]
        for file in files:
            file.unlink()
        return sorted(called)

    def results(self, variable: str) -> dict[str, Any]:
        return json.loads((self.home / variable).read_text())


TEMPLATE = (
    "{{ inventory_hostname }} {{ of_play }} {{ of_block }} {{ ansible_play_batch | length }} "
    "{{ ansible_play_hosts_all | length }} {{ groups.mbl | length }} {{ hostvars['board-5'].ansible_port }} "
    "{{ ansible_check_mode }} {{ provision_pelion_dev_cert }}"
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def bench_without_become(tmp_path: Path) -> Bench:
    return Bench(tmp_path, become=False)


def at_once(**options: Any) -> dict[str, Any]:
    return {
        "name": "Ask all",
        "pelion.mbl.pelion_fleet_at_once": {"task": "ask.yml", **options},
        "run_once": True,
        "register": "together",
    }


def write(home: Path, name: str, value: str) -> dict[str, Any]:
    return {
        "name": "Keep",
        "ansible.builtin.copy": {"content": "{{ " + value + " | to_json }}", "dest": str(home / name)},
        "vars": {"ansible_become": False},
        "delegate_to": "localhost",
        "connection": "local",
        "run_once": True,
        "check_mode": False,
    }


ONE_BY_ONE = {"ansible.builtin.import_tasks": "ask.yml", "ignore_errors": True, "ignore_unreachable": True}
EACH_ALONE = "dict(ansible_play_hosts_all | zip(ansible_play_hosts_all | map('extract', hostvars, 'alone')))"


@pytest.mark.parametrize("options", [(), ("--check", "--limit", "board-1,board-4,board-6", "-e", "of_play=given")])
def test_each_board_has_its_own_variables_connection_and_result(bench: Bench, options: tuple[str, ...]) -> None:
    ended = bench.play([at_once(), write(bench.home, "together", "together")], *options)
    assert ended.returncode == 0, ended.stdout
    together, calls = bench.results("together"), bench.calls()
    names = ["board-1", UNREACHABLE, "board-6"] if options else HOSTS
    assert sorted(together["boards"]) == sorted(names) and together["one_by_one"] == []
    asked = [name for name in names if int(name[6:]) % 3]
    assert together["failed_boards"] == asked

    ended = bench.play([ONE_BY_ONE, write(bench.home, "alone", EACH_ALONE)], *options)
    assert ended.returncode == 0, ended.stdout
    alone = bench.results("alone")
    assert calls == bench.calls() and len(calls) == len(asked)
    for name in names:
        ours, own = told(together["boards"][name]), told(alone[name])
        assert ours == own
    assert any("board-6 " in json.dumps(result) for result in together["boards"].values())


def told(result: Mapping[str, Any]) -> dict[str, Any]:
    left_out = ("warnings", "deprecations", "exception", "invocation", "skip_reason")
    return {name: value for name, value in result.items() if name not in left_out and value is not False}


TELL = {
    "name": "Tell",
    "pelion.mbl.pelion_fleet_tell": {"results": "together"},
    "run_once": "{{ not together.failed_boards }}",
    "when": "inventory_hostname in together.failed_boards",
}


def test_a_board_that_failed_fails_by_itself_and_one_not_reached_is_unreachable(bench: Bench) -> None:
    after = {"name": "After", "ansible.builtin.debug": {"msg": "here"}}
    ended = bench.play([at_once(), TELL, after], "--limit", "board-1,board-3,board-4")
    recap = dict(re.findall(r"^(board-\d+) +: (.*)$", ended.stdout, re.MULTILINE))
    assert "failed=1" in recap["board-1"] and "unreachable=0" in recap["board-1"]
    assert "failed=0" in recap["board-4"] and "unreachable=1" in recap["board-4"]
    assert "failed=0" in recap["board-3"] and "unreachable=0" in recap["board-3"]
    assert re.findall(r"ok: \[(.*)\] => \{", ended.stdout) == ["board-3"] and ended.returncode != 0


def test_with_nothing_to_tell_no_board_has_a_process(bench: Bench) -> None:
    ended = bench.play([at_once(), TELL], "--limit", "board-0,board-3,board-6")
    assert ended.returncode == 0 and ended.stdout.count("skipping: ") == 1, ended.stdout


@pytest.mark.parametrize("kind", ["rescue", "condition"])
def test_where_it_cannot_be_known_which_boards_take_part_each_has_a_task_of_its_own(bench: Bench, kind: str) -> None:
    alone = {
        "ansible.builtin.import_tasks": "ask.yml",
        "run_once": "{{ not together.one_by_one }}",
        "when": "inventory_hostname in together.one_by_one",
    }
    tasks = [at_once(), alone, write(bench.home, "together", "together")]
    if kind == "rescue":
        tasks = [{"name": "Try", "block": tasks, "rescue": [{"ansible.builtin.debug": {"msg": "rescued"}}]}]
    else:
        bench.write("included.yml", tasks)
        tasks = [{"ansible.builtin.include_tasks": "included.yml", "when": "inventory_hostname != 'board-6'"}]
    ended = bench.play(tasks, "--limit", "board-0,board-3,board-6", ANSIBLE_DEPRECATION_WARNINGS="0")
    assert ended.returncode == 0, ended.stdout
    assert bench.results("together")["boards"] == {}
    assert (ended.stdout + ended.stderr).count("worked on one by one") == 1
    asked = ended.stdout.partition("[Ask]")[2].partition("TASK")[0]
    assert sorted(re.findall(r"ok: \[(.*)\]", asked)) == ["board-0", "board-3"] + ["board-6"] * (kind == "rescue")


def test_where_few_files_may_be_open_fewer_boards_are_worked_on_at_a_time(bench_without_become: Bench) -> None:
    bench = bench_without_become
    command = bench.command([at_once(), write(bench.home, "together", "together")])
    limited = ["sh", "-c", 'ulimit -n 140; exec "$@"', "sh", *command]
    ended = subprocess.run(limited, env=bench.environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "Only 4 boards are worked on at a time" in ended.stdout + ended.stderr
    reached = [result for result in bench.results("together")["boards"].values() if result.get("failed")]
    assert {result["reason"] for result in reached} == {"no-answer"} and len(bench.calls()) == 8


def test_an_interrupt_ends_it_and_what_it_called(bench_without_become: Bench) -> None:
    bench = bench_without_become
    command = bench.command([at_once()])
    # Whoever runs the tests in the background has them ignore it, and so what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen(
        command,
        env=bench.environment(SLOW="600"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        patience = iter(range(600))
        while len(called := [int(file.name) for file in bench.notes.iterdir()]) < 8 and next(patience, -1) >= 0:
            time.sleep(0.1)
        assert len(called) == 8, "all that are asked wait at the same time"
        # A busy machine soon gives their numbers to other processes.
        began = {process: start_of(process) for process in called}
        os.killpg(running.pid, signal.SIGINT)
        running.wait(timeout=60)
        patience = iter(range(600))
        while (left := alive(began)) and next(patience, -1) >= 0:
            time.sleep(0.1)
        assert not left
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)


def alive(began: dict[int, str | None]) -> list[int]:
    return [process for process, moment in began.items() if moment and start_of(process) == moment]
