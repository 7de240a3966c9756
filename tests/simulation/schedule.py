# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One schedule from its begin to its end: a fleet, people and faults; then all is well again, and everybody is to end
in order."""

from __future__ import annotations

import contextlib
import functools
import gc
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from actors import Actor
from choices import Choices, shrunk
from cloud import records
from cloud import state as cloud_state
from invariants import BrokenError, require
from runs import Person, Run
from store_model import patches, store_at
from virtual import CLOCK, installed, restart
from world import DAY, EVENTS, EVENTS_RATE, FAULTS, GOOD, MOST_ALIVE, WHO_IS_WHO, World

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_transport import ApiTransport
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet import assignment
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.forgetting import forget_boards
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import read_fleet
from ansible_collections.pelion.mbl.plugins.plugin_utils.report import status
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.entries import OK

MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
TO_SETTLE = 600.0
UNFORESEEN = "before the run has decided"
"""In the warning of check mode."""
HOST_KEYS = re.compile(r"forget_host with -e boards=(\S+), then")
"""In a warning: the boards whose host keys are to be forgotten."""
ON_ITS_OWN = ("bootstrapped-since", "changed-since")


@dataclass
class Outcome:
    """``error`` is what went wrong, None when all held; ``taken`` are the choices."""

    taken: list[int]
    history: list[str]
    error: BaseException | None
    told: str = ""

    @property
    def rule(self) -> str:
        if self.error is None:
            return ""
        return self.error.rule if isinstance(self.error, BrokenError) else type(self.error).__name__


def play(choices: Choices, only: Sequence[str] = EVENTS, story: Callable[[Schedule], object] | None = None) -> Outcome:
    """Play the schedule that ``choices`` decide, in which ``only`` these events happen; or another ``story``."""
    restart()
    _collect_seldom()
    home = _home()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, home)
        home.mkdir()
        places = 2 + choices.pick(2)
        with installed():
            world = World(choices, home)
        more = [
            *patches(world.hub, world.store_changed),
            (ApiTransport, "_attempt", ApiTransport._attempt, _attempt(world)),
            (assignment, "DEVICES_PER_CERTIFICATE", assignment.DEVICES_PER_CERTIFICATE, places),
            (status, "DEVICES_PER_CERTIFICATE", status.DEVICES_PER_CERTIFICATE, places),
            (cloud_state, "DEVICES_PER_DEVELOPER_CERTIFICATE", records.DEVICES_PER_DEVELOPER_CERTIFICATE, places),
        ]
        stack.enter_context(installed(*more))
        error: BaseException | None = None
        told = ""
        try:
            schedule = Schedule(world)
            story(schedule) if story else schedule.play(only)
        except _CodeError as found:
            error, told = found.error, found.told
        except AssertionError as found:
            error = found
        world.hub.end()
    return Outcome(choices.taken, world.hub.history, error, told)


@functools.cache
def _collect_seldom() -> None:
    """What is remembered from schedule to schedule need not be gone through again and again."""
    gc.freeze()
    gc.set_threshold(20000, 50, 1000)


@functools.cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=MEMORY, prefix="bottle-")


def _home() -> Path:
    """The same one for all schedules of this process, so that what was read in one need not be read anew."""
    return Path(_kept().name, "world")


def _attempt(world: World) -> Callable[..., Any]:
    def attempt(transport: ApiTransport, *request: Any) -> Any:
        return world.cloud.attempt(transport, *request)

    return attempt


class _CodeError(Exception):
    """Something other than PelionError came out of the product, or of the models."""

    def __init__(self, error: BaseException, told: str) -> None:
        super().__init__(str(error))
        self.error, self.told = error, told


class Schedule:
    def __init__(self, world: World) -> None:
        self.world, self.choices, self.hub = world, world.choices, world.hub

    def play(self, only: Sequence[str] = EVENTS) -> None:
        world, pick = self.world, self.choices.pick
        for _number in range(2 + pick(3)):
            world.add_board()
        world.cloud.state.set_account(world.cloud.account.id, certificate_limit=2 + pick(3))
        self.hub.calm = True
        if pick(2):
            self.alone("provision", sorted(world.network))
        self.past([event for event in only if event in WHO_IS_WHO])
        self.hub.calm = False
        self.hub.rates = {kind: rate for kind, rate in FAULTS.items() if pick(2)}
        events = list(dict.fromkeys(only[pick(len(only))] for _event in range(pick(6)))) if only else []
        self.trouble(1 + pick(5), events)
        self.heal()
        self.end()

    def past(self, events: Sequence[str]) -> None:
        """What the fleet has lived through: ``events``, several at once, and runs without faults after them."""
        pick = self.choices.pick
        for _time in range(pick(4) if events else 0):
            for _event in range(1 + pick(4)):
                self.world.happen(events[pick(len(events))])
            self.world.some_run()
            self.until(lambda: all(actor.gone for _run, actor in self.world.runs))

    def trouble(self, runs: int, events: Sequence[str]) -> None:
        world = self.world
        at_once = 1 + self.choices.pick(3)
        while True:
            alive = [actor for _run, actor in world.runs if not actor.gone]
            if runs and len(alive) < MOST_ALIVE and (not alive or at_once > 0 or self.choices.rarely(0.04)):
                runs, at_once = runs - 1, at_once - 1
                world.some_run()
            elif not alive and not runs:
                return
            if events and self.choices.rarely(EVENTS_RATE):
                world.happen(events[self.choices.pick(len(events))])
            self.hub.step()
            self.look()

    def look(self) -> None:
        """Whether something is wrong by now."""
        if self.world.broken:
            raise self.world.broken
        for actor in self.hub.actors:
            if actor.error:
                raise _CodeError(actor.error, actor.told)
        if len(self.hub.actors) > 40:
            self.hub.actors = [actor for actor in self.hub.actors if not actor.ended]
        require(self.hub.steps < 20000, "there is an end", "20000 steps")

    def until(self, is_done: Callable[[], bool]) -> None:
        while not is_done():
            self.hub.step()
            self.look()

    def alone(self, kind: str, names: Sequence[str], *, check: bool = False, person: Person | None = None) -> Run:
        """A run with nothing going wrong and nobody beside it, to its end."""
        run = self.world.begin_run(kind, names, self.wishes(), person or self.world.people[0], check=check)
        actor = self.world.runs[-1][1]
        self.until(lambda: actor.gone)
        return run

    def settle(self) -> None:
        """Time goes by, and whoever was on the way has arrived."""
        done: list[Actor] = [self.hub.spawn("time", lambda: self.hub.sleep(TO_SETTLE))]
        self.until(lambda: done[0].gone)

    def wishes(self) -> Any:
        return GOOD

    # --- all is well again ---

    def heal(self) -> None:
        """No fault any more; copies are flashed anew, machines that are no boards of the fleet stay."""
        world = self.world
        self.hub.calm = True
        world.power_comes(world.boards[0])
        for board in world.boards:
            board.foreign_until, board.online, board.clock = 0.0, True, 0.0
            if board.is_copy:
                world.flashed_anew(board)
        world.cloud.state.set_account(world.cloud.account.id, certificate_limit=50)
        for certificate in world.cloud.state.certificates_of(world.cloud.account.id):
            certificate.status = "ACTIVE"
        CLOCK.seconds += 2 * DAY
        self.settle()

    def end(self) -> None:
        world = self.world
        keys = tuple(f"{name} {b.host_key}" for name, b in world.network.items() if not b.stranger)
        wishes = replace(GOOD, when_bootstrapped="keep_identity", when_update_unknown="replace", roster=keys)
        self.wishes = lambda: wishes  # type: ignore[method-assign]
        person = Person("zoe", world.team)
        names = sorted(world.network)
        foreseen = self.alone("provision", names, check=True, person=person)
        done = self.alone("provision", names, person=person)
        # Of a board that is to be put in order, check mode says that nothing foresees what its client does then.
        is_unforeseen = any(UNFORESEEN in text for text in foreseen.warnings)
        reasons = {*self.unforeseen, *(["copied"] if is_unforeseen else [])}
        on_its_own = {name for name, result in done.results.items() if result.get("reason") in reasons}
        before, after = _told(foreseen, on_its_own), _told(done, on_its_own)
        if is_unforeseen:
            before["prepared"] = after["prepared"]
        require(before == after, "check mode foresees", f"{before} was {after}")
        self.forget(person, done)
        self.settle()
        again = self.alone("provision", names, person=person)
        require(not again.problem, "everybody ends in order", again.problem)
        if "cloned" in world.excuses and any("has its" in result.get("msg", "") for result in again.results.values()):
            return  # Its copy has taken its place as another device, which nobody can tell from its own.
        for name, board in world.network.items():
            if not board.stranger:
                result = again.results[name]
                require(
                    not result.get("failed") and not result.get("unreachable"),
                    "everybody ends in order",
                    f"{name}: {result}",
                )
        last = self.alone("provision", names, person=person) if again.changed else again
        require(not last.changed, "a run repeated changes nothing", _told(last))
        memory = read_fleet(store_at(world.team))
        for name, board in world.network.items():
            if not board.stranger:
                assert board.disk.kcm
                require(
                    memory[name].device_id == board.disk.kcm.identity,
                    "everybody ends in order",
                    f"{name} {memory[name]}",
                )
                require(board.registered_with, "everybody ends in order", f"{name} never registered")
        report = self.alone("status", names, person=person).report
        assert report
        bad = [
            one
            for one in report.boards
            if one.name in world.network and not world.network[one.name].stranger and one.outcome != OK
        ]
        require(not bad, "status tells of each board", str(bad))
        known = {one.device_id for one in memory.values()}
        # Also one that is somebody else's: it stands in the stranger's line, since nobody knows better.
        strangers = [board for board in world.network.values() if board.stranger]
        of_strangers = {one for board in strangers for one in (board.identity, board.lies)}
        ours = {one.certificate for one in memory.values()}
        certificates = {one.id for one in world.cloud.state.certificates.values() if one.name in ours}
        strays = [one.id for one in world.cloud.state.devices.values() if one.ca_id in certificates - {None}]
        said = " ".join(report.warnings)
        wrong = [one for one in strays if (one in said) == (one in known) and one not in of_strangers]
        if " more. " in said:
            wrong = [one for one in wrong if one in said]
        require(not wrong, "status tells of devices of nobody", f"{wrong}: {said}")
        self.leave(person)

    def leave(self, person: Person) -> None:
        """Boards that are gone can be removed, unless a stranger is one of them, and one that is there can leave."""
        network, devices = self.world.network, self.world.cloud.state.devices
        memory = read_fleet(store_at(person.store))
        strangers = [board for board in network.values() if board.stranger]
        here, said = {board.host_key for board in strangers}, {board.lies or board.identity for board in strangers}
        gone = [
            name
            for name in sorted(memory.keys() - network.keys())
            if not here & {*memory[name].host_keys} and memory[name].device_id not in said
        ]
        if gone:
            run = self.alone("remove_gone", gone, person=person)
            require(not run.problem, "who is gone can be removed", f"{gone}: {run.problem}")
        for name, board in sorted(network.items()):
            if not board.stranger:
                identity = board.identity
                run = self.alone("deprovision", [name], person=person)
                require(not run.problem and run.results[name]["changed"], "boards can leave", f"{name}: {run.problem}")
                # It stays where the team knows it by another name, which a stranger keeps there.
                known = {one.device_id for one in read_fleet(store_at(person.store)).values()}
                require(identity not in devices.keys() - known, "boards can leave", f"{name} is still {identity}")
                return

    @property
    def unforeseen(self) -> tuple[str, ...]:
        """Of a board of which there was a copy, nobody knows whether the copy's device is its own."""
        copies = ("injected-not-registered", "reconnected-not-registered") if "cloned" in self.world.excuses else ()
        return (*ON_ITS_OWN, *copies)

    def forget(self, person: Person, run: Run) -> None:
        """What the warnings of a ``run`` and docs/simulation.md ask a person to do."""
        team, told = store_at(person.store), " ".join(run.warnings)
        keyless = [name for names in HOST_KEYS.findall(told) for name in names.split(",")]
        forget_boards(team, keyless, host_keys_only=True)
        if any(result.get("reason") == "copied" for result in run.results.values()):
            keys = {board.host_key for board in self.world.boards if board.lies}
            names = {name for name, board in read_fleet(team).items() if keys & {*board.host_keys}}
            forget_boards(team, names | {name for name, board in self.world.network.items() if board.lies})


def _told(run: Run, without: Collection[str] = ()) -> dict[str, Any]:
    told = {name: result for name, result in run.results.items() if name not in without}
    results = {name: {k: r.get(k) for k in ("changed", "failed", "reason")} for name, r in told.items()}
    return {**results, "prepared": run.prepared, "problem": run.problem}


def shortest(outcome: Outcome, tries: int = 300) -> Outcome:
    """The shortest schedule found that breaks the same rule."""

    def fails(candidate: Sequence[int]) -> bool:
        return play(Choices(given=candidate)).rule == outcome.rule

    return play(Choices(given=shrunk(outcome.taken, fails, tries)))
