# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a board tells of itself, and how far it comes on its way to the cloud, with the tools that it has."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from board_box import LOG, BoardBox
from board_samples import FIRST, SECOND, inject

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.surroundings import LOG_KEYS, MOST_OF_LOG, SECTIONS
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.way import Server, Step, server_in, server_of, steps_of

PROGRAM = (Path(__file__).parents[4] / "plugins/plugin_utils/board/diagnose_program.sh").read_text()


@pytest.fixture
def port() -> Iterator[int]:
    """At which connections are taken, and nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_sections_are_those_of_the_program() -> None:
    told = set(re.findall(r"^    tell(?:_file)? ([a-z-]+) ", PROGRAM, re.MULTILINE))
    assert told == set(SECTIONS)


def test_a_board_tells_all_of_it_and_changes_nothing(box: BoardBox) -> None:
    inject(box.board(), FIRST, "not-yet")
    (box.root / "etc/os-release").write_text('NAME="MBL"\n')
    (box.root / f"{LOG}.1").write_text("an older line\n")
    before = box.run("find /config /scratch /run/pelion-mbl -type f | xargs stat -c '%n %i %Y'")
    found = box.board().look_around()
    assert found.lines["image"] == ['NAME="MBL"']
    assert found.lines["log-1"] == ["an older line"]
    assert any("Client registered" in line for line in found.lines["log-0"])
    assert any("/config/user/pal/WORKING" in line for line in found.lines["files"])
    assert any("mbl-cloud-client" in line for line in found.lines["processes"])
    assert all(found.lines.get(key) for key in ("kernel", "clock", "mounts", "space", "memory"))
    assert found.server is None and not found.steps
    assert box.run("find /config /scratch /run/pelion-mbl -type f | xargs stat -c '%n %i %Y'") == before


def test_it_is_looked_at_while_another_run_is_at_work(box: BoardBox) -> None:
    inject(box.board(), FIRST, "not-yet")
    first = "$(cat /proc/sys/kernel/random/boot_id):1:$(awk '{print $22}' /proc/1/stat)"
    box.run(f"mkdir -p /run/pelion-mbl; ln -s {first} /run/pelion-mbl/lock.99")
    with pytest.raises(BoardError, match="Another provisioning run is at work"):
        box.board().inspect(may_change=False)
    assert box.board().look_around().lines["done"] == ["yes"]


def test_logs_are_cut_and_a_pipe_is_not_waited_for(box: BoardBox) -> None:
    line = "x" * 99 + "\n"
    (box.root / LOG).write_text("the oldest line\n" + line * (MOST_OF_LOG // 200))
    (box.root / f"{LOG}.1").write_text("an older line\n" + line * (MOST_OF_LOG // 100))
    (box.root / f"{LOG}.2").write_text("never told\n")
    os.mkfifo(box.root / f"{LOG}.3")
    lines = box.board().look_around().lines
    assert lines["log-0"][0] == "the oldest line"
    assert "an older line" not in lines["log-1"] and lines["log-1"]
    assert "log-2" not in lines and "log-3" not in lines
    assert len(lines["cut"]) == 3
    assert sum(len(line) + 1 for key in LOG_KEYS for line in lines.get(key, ())) <= MOST_OF_LOG + 100


def test_what_a_board_does_not_have_is_said(box: BoardBox) -> None:
    (box.root / "usr").mkdir(exist_ok=True)
    lines = box.board().look_around().lines
    assert "image: there is no /etc/os-release on this board" in lines["untried"]


def test_a_command_that_hangs_is_ended(box: BoardBox) -> None:
    box.replaced("dmesg", "#!/bin/sh\necho before\nexec sleep 1000\n")
    begun = time.monotonic()
    lines = box.board().look_around().lines
    assert lines["kernel-log"] == ["before"] and lines["done"] == ["yes"]
    assert time.monotonic() - begun < 600, "it would hang for 1000 seconds"
    assert "sleep 1000" not in box.run("ps")


def test_the_way_ends_where_it_ends(box: BoardBox, port: int) -> None:
    (box.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    steps = box.board().look_around(Server("localhost", port)).steps
    assert steps[:2] == [Step("name", "good", "127.0.0.1"), Step("tcp", "good", port=port)]
    assert steps[-1] == Step("tls", "untried", "no openssl", port)
    (closed,) = box.board().look_around(Server("127.0.0.1", 1)).steps[1:2]
    assert closed == Step("tcp", "bad", "Connection refused", 1)
    nowhere = box.board().look_around(Server("nowhere.invalid", port)).steps
    assert (nowhere[0].kind, nowhere[0].outcome) == ("name", "bad")
    assert (nowhere[1].kind, nowhere[1].outcome) == ("tcp", "bad")


def test_tls_is_tried_where_the_image_can(box: BoardBox, port: int) -> None:
    (box.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    shown = "CONNECTED(00000003)\n-----BEGIN CERTIFICATE-----"
    for said, outcome in ((shown, "good"), ("CONNECTED(00000003)\nno peer certificate available", "bad")):
        box.replaced("openssl", f"#!/bin/sh\necho '{said}'\n")
        assert box.board().look_around(Server("localhost", port)).steps[-1].outcome == outcome


def test_without_tools_nothing_is_guessed(box: BoardBox, port: int) -> None:
    for tool in ("ping", "telnet"):
        box.replaced(tool, f"#!/bin/sh\necho {tool}: not found\nexit 127\n")
    steps = box.board().look_around(Server("localhost", port)).steps
    assert {step.outcome for step in steps} == {"untried"}
    # And nothing is refused for it.
    done = inject(box.board(), FIRST, "not-yet", server=Server("localhost", port))
    assert done.registered


@pytest.mark.parametrize(
    ("server", "code"),
    [(Server("nowhere.invalid", 5684), "cloud-name"), (Server("127.0.0.1", 1), "cloud-connect")],
)
def test_nothing_is_injected_where_the_server_is_not_reached(box: BoardBox, server: Server, code: str) -> None:
    inject(box.board(), FIRST, "not-yet")
    before = box.content()
    with pytest.raises(BoardError) as refused:
        inject(box.board(), SECOND, "keep-identity", timeout=1, server=server)
    assert refused.value.facts["reason"] == code
    assert server.host in str(refused.value)
    assert box.content() == before
    # It goes on as it was, without a restart.
    assert box.board().inspect(may_change=True).registered


def test_a_network_that_comes_up_late_is_waited_for(box: BoardBox, port: int) -> None:
    box.replaced("telnet", "#!/bin/sh\nif mkdir /tmp/tried; then echo \"telnet: bad address 'x'\"; exit 1; fi\n")
    assert inject(box.board(), FIRST, "not-yet", server=Server("127.0.0.1", port)).registered
    assert (box.root / "tmp/tried").is_dir()


@pytest.mark.parametrize(
    ("uri", "server"),
    [
        ("coaps://a.example.com:443?aid=1", Server("a.example.com", 443)),
        ("coaps://a.example.com?aid=1", Server("a.example.com", 5684)),
        ("coaps://[fe80::1]:5684", Server("fe80::1", 5684)),
        ("coaps://udp-bootstrap.example.com:5684", None),
        ("https://a.example.com", None),
        ("coaps://-o.example.com", None),
        ("coaps://a.example.com:99999", None),
        ("coaps://$(reboot):1", None),
    ],
)
def test_the_server_of_an_address(uri: str, server: Server | None) -> None:
    assert server_of(uri) == server
    assert server_in(["x", f"state_bootstrap - server_address {uri}", "y"]) == server


def test_odd_answers_are_passed_over() -> None:
    assert steps_of(["", "tcp x good", "tcp 1 maybe", "name - bad no"]) == [Step("name", "bad", "no")]
