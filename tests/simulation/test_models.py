# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of a board is held to the real program: the same calls, the same cuts, the same answers.

The cloud's model is the lab's cloud itself, whose tests are in tests/unit/simulator.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from actors import Actor, Hub
from board_model import Board as Model
from choices import Choices
from virtual import CLOCK, installed, restart

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import Board, _write_items
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import Items

DEVICE_ID = "0161dbbcdd660a580a010c3403c00001"
"""Which the real board's client names."""

# Commands before which the real program is cut, each with the moment of the model that it stands for.
CUTS = {
    r"mount -o bind .*pal.new": "runs the utility",
    r"umount": "mounts the old set again",
    r"mv .*pal .*pal.old": "mounts the old set again",
    r"mv .*pal.new .*pal$": "is between the renames",
    r"mv .*record.new .*record$": "has the new set in its place",
    r"mv .*pal.old .*": "throws the old set away",
}


class Real:
    def __init__(self, directory: Path) -> None:
        from board_box import BoardBox

        self.box = BoardBox(directory / "board").boot()
        self._await_client()

    def board(self) -> Board:
        return self.box.board()

    def power_cut(self) -> None:
        self.box.reboot()
        self._await_client()

    def _await_client(self) -> None:
        """Without credentials it ends at once, as the model's does."""
        holds_some = self.box.root / "config/user/pal/WORKING" / kcm.file_name(kcm.DEVELOPER_CERTIFICATE)
        while not holds_some.exists() and "mbl-cloud-clien" in self.box.processes():
            time.sleep(0.02)

    def cut_off(self, at: str, inject: Callable[[], object], *, power: bool = True) -> None:
        """``inject``, cut before the command that fits ``at``; it is done once before, on a copy, to find that. With
        its ``power``, or killed with all that runs there."""
        self.box.power_off()
        copy = self.box.root.with_name("copy")
        shutil.copytree(self.box.root, copy, symlinks=True)
        mine, self.box = self.box, self.box.elsewhere(copy)
        commands = self._inject(0, inject)
        self.box, number = mine, next(n for n, c in enumerate(commands, 1) if re.search(at, c))
        self._inject(number, inject, power=power)
        if not power:
            shutil.rmtree(copy)
            return
        self.box.no_shims()
        self.box.boot()
        shutil.rmtree(copy)

    def _inject(self, number: int, inject: Callable[[], object], *, power: bool = True) -> list[str]:
        self.box.cut_before(0)
        self.box.boot()
        self.box.cut_next(number)
        with contextlib.suppress(BoardError):
            inject()
        if power:
            self.box.power_off()
        return self.box.commands()

    def meddle(self, items: Items, inject: Callable[[], object]) -> None:
        """``inject``; when it has stopped the client, another tool provisions the board, which knows no lock."""
        self.box.replaced(
            "systemctl",
            '#!/bin/sh\n/usr/bin/systemctl "$@"\nif [ "$1" = stop ] && [ ! -e /config/user/meddled ]; then\n'
            f": >/config/user/meddled\nmkdir -p /scratch/provisioning-certs\ninputs=/scratch/provisioning-certs\n"
            f"{_write_items(items)}write_items\n"
            "/opt/arm/pelion-provisioning-util --provision >/dev/null 2>&1\nrm -rf /scratch/provisioning-certs\nfi\n",
        )
        try:
            inject()
        finally:
            self.box.in_place("systemctl")

    def end(self) -> None:
        self.box.power_off()


class Modelled:
    def __init__(self) -> None:
        self.hub = Hub(Choices(given=()))
        self.hub.calm = True
        CLOCK.sleep = self.hub.sleep
        cloud: Any = _AnyCloud()
        self.model = Model(1, self.hub, cloud)
        self._cut, self._power = "", True
        self._meddling: Items | None = None

    def board(self) -> Board:
        return Board(lambda text, seconds: self._run(text), lock_timeout=0, board_timeout=60, now=CLOCK)

    def _run(self, text: str) -> str:
        while any(not actor.gone and actor.wakes <= CLOCK.seconds for actor in self.hub.actors):
            self.hub.step()  # its client does what it was about to do
        programs: list[Actor] = []
        answers: list[str] = []

        def ask() -> None:
            answers.append(self.model.run(text, lambda program: (programs.append(program), self.hub.wait(program))[0]))

        asking = self.hub.spawn("a controller", ask)
        while not asking.gone:
            if self._cut and programs and programs[0].at == self._cut:
                self._cut = ""
                if self._power:
                    self.power_cut()
                else:
                    self.hub.kill(programs[0])
                    self.model.stop_client()
            if self._meddling and programs and programs[0].at == "copies its KCM":
                self.model.provision_by_another_tool(self._meddling.values)
                self._meddling = None
            assert self.hub.step()
        if asking.error:
            raise asking.error
        return answers[0]

    def power_cut(self) -> None:
        self.model.power_off()
        self.model.power_on()

    def cut_off(self, at: str, inject: Callable[[], object], *, power: bool = True) -> None:
        self._cut, self._power = CUTS[at], power
        with contextlib.suppress(BoardError):
            inject()

    def meddle(self, items: Items, inject: Callable[[], object]) -> None:
        self._meddling = items
        inject()

    def end(self) -> None:
        self.hub.end()


class _AnyCloud:
    """Lets every board in, as the real board's client does."""

    def bootstrap(self, der: bytes, endpoint: str, account: str, identity: str) -> Any:
        return SimpleNamespace(id=DEVICE_ID), SimpleNamespace(certificate=b"of the cloud")

    def register(self, *given: Any) -> Any:
        return SimpleNamespace(id=DEVICE_ID)


def seen(found: Inspection) -> dict[str, Any]:
    """What both must say."""
    names = {kcm.file_name(name): name for name in kcm.FACTORY_ITEMS}
    # A client that has just been started may or may not have registered by then.
    client = {
        "bootstrapped": found.bootstrapped,
        "registered": found.registered,
        "device_id": found.device_id,
        "since": found.registered_since_injection,
    }
    return {
        **({} if found.recovered else client),
        "holds": sorted(names[file] for file in found.files if file in names),
        "developer": (found.developer_certificate or {}).get("fingerprint"),
        "update": (found.update_certificate or {}).get("fingerprint"),
        "provisioned_by": found.provisioned_by,
        "configured": found.configured,
        "client": found.client_runs,
        "interrupted": found.interrupted,
        "recovered": found.recovered,
        "damaged": found.damaged,
    }


class Story:
    """Calls of one subject, each with what came of it."""

    def __init__(self, subject: Any) -> None:
        self.subject = subject
        self._found: Inspection | None = None
        self.told: list[Any] = []

    def do(self, what: str, *given: Any) -> None:
        try:
            self.told.append((what, getattr(self, what)(*given)))
        except BoardError as error:
            self.told.append((what, error.facts["reason"], error.facts["changed"], error.facts["recovered"]))

    def look(self) -> Any:
        self._found = self.subject.board().inspect(may_change=False)
        return seen(self._found)

    def contact(self) -> Any:
        self._found = self.subject.board().inspect(may_change=True)
        return seen(self._found)

    def inject(self, items: Items, bootstrap: str) -> Any:
        assert self._found
        restart = self.subject.board().inject(
            items, found_digest=self._found.kcm_digest, bootstrap=bootstrap, registration_timeout=10
        )
        return restart.way, restart.registered, restart.device_id, restart.client_runs, restart.recovered

    def reconnect(self) -> Any:
        assert self._found
        restart = self.subject.board().reconnect(found_digest=self._found.kcm_digest, registration_timeout=10)
        return restart.way, restart.registered, restart.device_id, restart.client_runs

    def empty(self) -> Any:
        assert self._found
        return self.subject.board().empty(found_digest=self._found.kcm_digest)

    def power_cut(self) -> Any:
        return self.subject.power_cut()

    def cut_off(self, at: str, items: Items, bootstrap: str) -> Any:
        return self.subject.cut_off(at, lambda: self.inject(items, bootstrap))

    def killed(self, at: str, items: Items, bootstrap: str) -> Any:
        return self.subject.cut_off(at, lambda: self.inject(items, bootstrap), power=False)

    def meddle(self, others: Items, items: Items, bootstrap: str) -> Any:
        return self.subject.meddle(others, lambda: self.inject(items, bootstrap))


def stories() -> dict[str, list[tuple[Any, ...]]]:
    from board_box import item_set

    one, other, update = item_set(1), item_set(2), item_set(3)
    return {
        "a new board": [("look",), ("inject", one, "not-yet"), ("look",), ("contact",), ("look",)],
        "other credentials": [
            ("look",),
            ("inject", one, "not-yet"),
            ("contact",),
            ("inject", other, "keep-identity"),
            ("contact",),
            ("inject", update, "as-is"),
            ("look",),
        ],
        "a new identity": [
            ("look",),
            ("inject", one, "not-yet"),
            ("contact",),
            ("inject", other, "new-identity"),
            ("look",),
        ],
        "what changed since": [
            ("look",),
            ("inject", one, "not-yet"),
            ("inject", one, "not-yet"),
            ("inject", other, "keep-identity"),
            ("contact",),
            ("inject", other, "not-yet"),
            ("contact",),
        ],
        "emptied": [
            ("look",),
            ("inject", one, "not-yet"),
            ("empty",),
            ("contact",),
            ("empty",),
            ("look",),
            ("empty",),
            ("contact",),
            ("inject", other, "not-yet"),
            ("look",),
        ],
        "off and on": [
            ("look",),
            ("power_cut",),
            ("look",),
            ("inject", one, "not-yet"),
            ("power_cut",),
            ("contact",),
            ("reconnect",),
            ("contact",),
        ],
        "another tool at the same time": [
            ("look",),
            ("inject", one, "not-yet"),
            ("contact",),
            ("meddle", other, update, "keep-identity"),
            ("contact",),
            ("inject", update, "keep-identity"),
            ("look",),
        ],
        "register anew": [
            ("look",),
            ("reconnect",),
            ("look",),
            ("inject", one, "not-yet"),
            ("reconnect",),
            ("look",),
            ("reconnect",),
        ],
    }


def cut_stories() -> dict[str, list[tuple[Any, ...]]]:
    from board_box import item_set

    one, other = item_set(1), item_set(2)
    return {
        f"{how} before {at}": [
            ("look",),
            ("inject", one, "not-yet"),
            ("contact",),
            (how, at, other, "keep-identity"),
            ("look",),
            ("contact",),
            ("contact",),
            ("look",),
            ("inject", other, "keep-identity"),
            ("look",),
        ]
        for at in CUTS
        for how in ("cut_off", "killed")
    }


def test_the_model_of_a_board_does_what_the_real_program_does(tmp_path: Path) -> None:
    for number, (name, story) in enumerate({**stories(), **cut_stories()}.items()):
        real = Story(Real(tmp_path / str(number)))
        for what, *given in story:
            real.do(what, *given)
        real.subject.end()
        restart()
        with installed():
            model = Story(Modelled())
            for what, *given in story:
                model.do(what, *given)
            model.subject.end()
        for step, (was, modelled) in enumerate(zip(real.told, model.told, strict=True)):
            assert modelled == was, f"{name}, step {step}: {_differing(was, modelled)}"


def _differing(was: tuple[Any, ...], modelled: tuple[Any, ...]) -> Any:
    if isinstance(was[1], dict) and isinstance(modelled[1], dict):
        return {key: (told, modelled[1].get(key)) for key, told in was[1].items() if told != modelled[1].get(key)}
    return was, modelled
