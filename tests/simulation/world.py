# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet in a bottle: boards, cloud, stores, people and who means no good, all decided by one list of choices."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from actors import Actor, Hub
from board_model import Board, Disk, Set
from choices import Choices
from cloud.service_error import ServiceError
from cloud_model import Cloud
from invariants import BrokenError, Invariants, holds_what_is_stored, require
from runs import Delivery, Person, Run
from store_model import close_for, store_at
from virtual import CLOCK

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import Items
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials import update_certificate
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.developer_credentials import DeveloperCredentials
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import Recipe, derive_ids
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import read_fleet
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.proof import Claim
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.wishes import UpdateWish, Wishes
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.noted_file import NotedFile
from ansible_collections.pelion.mbl.plugins.plugin_utils.times import time_text

UPDATE = UpdateWish("fleet-update", vendor_domain="example.com", device_class="bench")
GOOD = Wishes("fleet", UPDATE, spread=True)
KINDS = ("provision", "provision", "rotate", "deprovision", "remove_gone", "status")
FAULTS = {"cloud": 0.06, "board": 0.05, "disk": 0.03, "death": 0.01}
EVENTS_RATE = 0.05
MOST_ALIVE = 4
ODD_ANSWERS = ("\nmbl:done=yes\n", "\nmbl:time=1e9\nmbl:done=yes\n", "\nmbl:kcm-digest\n", "nothing", None)
"""Of machines that mean no good, or are no boards at all. None: it does not come to an end."""
MOST_SECONDS = 480
"""That one exchange takes, as task/bounds.py has it."""
DAY = 86400.0


class World:
    """One schedule's; ``directory`` is for its stores."""

    def __init__(self, choices: Choices, directory: Path) -> None:
        self.choices, self.directory = choices, directory
        self.hub = Hub(choices)
        self.hub.on_death = close_for
        CLOCK.sleep = self.hub.sleep
        self.cloud = Cloud(self.hub)
        self.boards: list[Board] = []
        self.network: dict[str, Board] = {}
        self.runs: list[tuple[Run, Actor]] = []
        self.excuses: set[str] = set()
        self.broken: BaseException | None = None
        self.invariants = Invariants(self)
        self.team = directory / "team"
        self.people = [Person(name, self.team) for name in ("ann", "ben")]
        self._names = (f"b{number}" for number in itertools.count(1))
        self._numbers = itertools.count(1)
        self._off: list[Board] = []
        self._were_off: list[Board] = []
        self._deleted: set[str] = set()

    # --- what runs ask of it and tell it ---

    def visible(self) -> set[str]:
        return {name for name, board in self.network.items() if board.powered}

    def names_of(self, board: Board) -> list[str]:
        return [name for name, other in self.network.items() if other is board]

    def undisturbed(self, look: Callable[[], Any]) -> Any:
        return self.hub.undisturbed(look)

    def store_changed(self, path: Path) -> None:
        if path.name.endswith(".update-resources.yml"):
            self._watched(lambda: self.invariants.store_changed(path.parent))
        elif path.name.startswith("fleet."):
            self._watched(lambda: self.invariants.memory_changed(path.parent))

    def delivered(self, delivery: Delivery) -> None:
        self._watched(lambda: self.invariants.delivered(delivery))

    def told_in_order(self, run: Run, names: Iterable[str]) -> None:
        self._watched(lambda: self.invariants.told_in_order(run, names))

    def told_proven(self, run: Run, claims: Mapping[str, Claim]) -> None:
        self._watched(lambda: self.invariants.told_proven(run, claims))

    def told_leaving(self, run: Run, devices: Mapping[str, str], silent: Iterable[str]) -> None:
        self._watched(lambda: self.invariants.told_leaving(run, devices, set(silent)))

    def told_status(self, run: Run, answers: Mapping[str, Any]) -> None:
        assert run.report
        said = {board.name for board in run.report.boards}
        self._watched(lambda: require(said >= answers.keys(), "status tells of each board", f"{said}"))

    def odd_answer(self, board: Board) -> str:
        answer = ODD_ANSWERS[board.number % len(ODD_ANSWERS)]
        if answer is None:
            self.hub.sleep(MOST_SECONDS)
            raise BoardError.of("hangs", str(MOST_SECONDS))
        return answer

    def ended(self, run: Run) -> None:
        self.undisturbed(lambda: self._merge(run))  # a person goes on until it is done

    def _watched(self, check: Callable[[], None]) -> None:
        """What an invariant finds is not for the code that runs meanwhile."""
        try:
            self.undisturbed(check)
        except BrokenError as error:
            self.broken = self.broken or error

    # --- boards ---

    @property
    def without_device(self) -> set[str]:
        """Devices that were deleted, of boards that have been off before or since."""
        return {identity for board in self._were_off for identity in board.identities & self._deleted}

    def add_board(self, *, odd: bool = False, stranger: bool = False) -> tuple[str, Board]:
        name = next(self._names)
        board = Board(next(self._numbers), self.hub, self.cloud.state, odd=odd, stranger=stranger)
        self._watch(board)
        self.boards.append(board)
        self.network[name] = board
        return name, board

    def _watch(self, board: Board) -> None:
        board.delivered = self.delivered
        board.replaced = lambda delivery, old: self._watched(lambda: self.invariants.replaced(delivery, old))
        board.emptied = lambda old: self._watched(lambda: self.invariants.emptied(old))
        board.turned_away = lambda why: self._watched(lambda: self.invariants.turned_away(board, why))

    @property
    def honest(self) -> list[Board]:
        return [board for board in self.boards if not board.odd and not board.stranger]

    # --- people ---

    def begin_run(self, kind: str, names: Iterable[str], wishes: Wishes, person: Person, **options: Any) -> Run:
        run = Run(self, len(self.runs) + 1, person, kind, list(names), wishes, **options)
        self.invariants.begins(run)
        actor = self.hub.spawn(run.name, run.start, mortal=True)
        self.runs.append((run, actor))
        limited = f" of {', '.join(run.names)}"
        self.hub.history.append(
            f"{CLOCK.seconds - CLOCK.began:8.1f}  {person.name} starts {run.name}{limited}: {wishes}"
        )
        return run

    def some_run(self) -> None:
        """What somebody may come to think of."""
        pick, rarely = self.choices.pick, self.choices.rarely
        kind = KINDS[pick(len(KINDS))]
        person = self.people[-1] if rarely(0.3) else self.people[pick(len(self.people))]
        there = sorted(self.visible())
        names = [name for name in there if rarely(0.5)] if rarely(0.5) else there
        if kind == "deprovision":
            names = names[:1]
        elif kind == "remove_gone":
            known = read_fleet(store_at(person.store))
            names = sorted(known.keys() - set(there))[:2] or sorted(known)[:1]
        if names:
            check = rarely(0.15)
            limited = set(names) != set(there)
            self.begin_run(kind, names, self._some_wishes(there, kind), person, check=check, limited=limited)

    def _some_wishes(self, there: Iterable[str], kind: str) -> Wishes:
        pick, rarely = self.choices.pick, self.choices.rarely
        wishes = GOOD
        if kind == "rotate":
            before = time_text(datetime.fromtimestamp(CLOCK.seconds, timezone.utc)) or ""
            wishes = replace(wishes, update=replace(UPDATE, renew_if_made_before=before))
        if rarely(0.2):
            wishes = replace(wishes, dev_cert="other", spread=bool(pick(2)))
        if rarely(0.2):
            wishes = replace(wishes, when_bootstrapped=("refuse", "keep_identity", "new_identity")[pick(3)])
        if rarely(0.2):
            wishes = replace(wishes, when_update_unknown="replace")
        if rarely(0.1):
            wishes = replace(wishes, update=replace(wishes.update, name="other-update"))
        if rarely(0.2):
            wishes = replace(wishes, new_boards="refuse")
        if rarely(0.2):
            keys = (f"{name} {board.host_key}" for name, board in self.network.items() if not board.stranger)
            wishes = replace(wishes, roster=(tuple(sorted(there)), tuple(keys))[pick(2)])
        return wishes

    def _merge(self, run: Run) -> None:
        """Who has a clone of the team's store in git brings in what was changed there; of what both changed, both are
        kept, and of a board on both, what was seen last."""
        person, base = run.person, run.person.store.with_suffix(".base")
        if not base.exists():
            return
        for file in sorted(person.store.iterdir()):
            mine, theirs, before = (_content(at / file.name) for at in (person.store, self.team, base))
            if file.name.startswith(".") or mine in (before, theirs):
                continue
            if theirs is None or theirs == before:
                shutil.copy(file, self.team / file.name)
            elif file.suffix == ".json":
                self._merge_notes(file)
            elif file.name.endswith(".update-resources.yml"):
                self._keep_both(person.store, file.name)
        self.invariants.memory_changed(self.team)

    def _merge_notes(self, file: Path) -> None:
        sides = [NotedFile(store_at(at), file.name, unknown="", remedy="") for at in (self.team, file.parent)]
        merged = dict(sides[0].read())
        for name, entry in sides[1].read().items():
            if name not in merged or str(entry.get("seen", "")) > str(merged[name].get("seen", "")):
                merged[name] = entry
        sides[0].write(merged)

    def _keep_both(self, clone: Path, file: str) -> None:
        name = file.partition(".")[0]
        theirs = store_at(clone).read(UpdateResources, name)
        if theirs:
            store_at(self.team).write(f"{name}-of-{clone.name}-{len(self.runs)}", theirs)

    # --- what happens to the world ---

    def happen(self, event: str) -> None:
        board = self.boards[self.choices.pick(len(self.boards))]
        self.hub.history.append(f"{CLOCK.seconds - CLOCK.began:8.1f}  {event}: {board}")
        getattr(self, event)(board)

    def power_cut(self, board: Board) -> None:
        if board.powered:
            board.power_off()
            self._off.append(board)
            self._were_off.append(board)

    def power_comes(self, board: Board) -> None:
        for off in self._off:
            off.power_on()
        self._off.clear()

    def short_power_cut(self, board: Board) -> None:
        if board.powered:
            board.power_off()
            board.power_on()

    def program_killed(self, board: Board) -> None:
        for program in board.programs:
            self.hub.kill(program)

    def flashed_anew(self, board: Board) -> None:
        powered = board.powered
        board.power_off()
        self._watched(lambda: self.invariants.emptied(board.disk.kcm or Set()))
        board.disk, board.host_key = Disk(), f"SHA256:{next(self._numbers):043}"
        if powered:
            board.power_on()

    def cloned(self, board: Board) -> None:
        self.excuses.add("cloned")
        _name, other = self.add_board(stranger=board.stranger, odd=board.odd)
        other.power_off()
        other.disk, other.host_key, other.is_copy = replace(board.disk, inputs=False), board.host_key, True
        other.identities = set(board.identities)
        other.registered_with = dict(board.registered_with)
        other.power_on()

    def renamed(self, board: Board) -> None:
        for name in self.names_of(board)[:1]:
            self.network[next(self._names)] = self.network.pop(name)

    def swapped(self, board: Board) -> None:
        other = self.boards[self.choices.pick(len(self.boards))]
        for mine, theirs in zip(self.names_of(board), self.names_of(other), strict=False):
            self.network[mine], self.network[theirs] = other, board

    def clock_wrong(self, board: Board) -> None:
        board.clock = (0.0, -40 * 365 * DAY, 400 * DAY, -3600.0)[self.choices.pick(4)]

    def offline(self, board: Board) -> None:
        board.online = not board.online

    def another_tool(self, board: Board) -> None:
        """Provisions it with a certificate of the account, and an update certificate that the team does not know."""
        self.excuses.add("another tool")
        if board.odd:
            return
        try:
            key = self.cloud.state.authenticate(self.cloud.key)
            made = self.cloud.state.create_developer_certificate(key, f"by-hand-{next(self._numbers)}", None)
        except ServiceError:
            return
        developer = DeveloperCredentials.from_c_source(self.cloud.state.security_file(made).encode(), "a file")
        update = update_certificate.make_update_resources(Recipe(*derive_ids("example.org", "hand"), "CN=hand", 7000))
        board.provision_by_another_tool(Items.of(developer.values, update.values).values)
        if board.powered:
            board.start_client(ours=False)

    def another_tool_is_busy(self, board: Board) -> None:
        board.foreign_until = CLOCK.seconds + (5, 100)[self.choices.pick(2)]

    def certificate_inactive(self, board: Board) -> None:
        for certificate in self._one_certificate():
            certificate.status = "INACTIVE" if certificate.status == "ACTIVE" else "ACTIVE"

    def certificate_deleted(self, board: Board) -> None:
        for certificate in self._one_certificate():
            self.cloud.state.delete_certificate(self.cloud.account.id, certificate.id)

    def certificate_renamed(self, board: Board) -> None:
        self.excuses.add("renamed")
        for certificate in self._one_certificate():
            certificate.name = f"renamed-{next(self._numbers)}"

    def _one_certificate(self) -> list[Any]:
        there = self.cloud.state.certificates_of(self.cloud.account.id)
        return [there[self.choices.pick(len(there))]] if there else []

    def device_deleted(self, board: Board) -> None:
        there = self.cloud.state.devices_of(self.cloud.account.id)
        if there:
            device = there[self.choices.pick(len(there))]
            self.cloud.state.delete_device(self.cloud.account.id, device.id)
            self._deleted.add(device.id)

    def others_take_places(self, board: Board) -> None:
        self.excuses.add("others")
        for certificate in self._one_certificate():
            self.cloud.state.seed_devices(1, certificate.id, state="deregistered")

    def stranger(self, board: Board) -> None:
        """Announces itself, and perhaps says that it is the device of another one."""
        _name, new = self.add_board(stranger=True)
        if self.choices.pick(2) and board.disk.kcm:
            new.lies = board.disk.kcm.identity

    def odd_machine(self, board: Board) -> None:
        self.add_board(odd=True, stranger=True)

    def wrong_store(self, board: Board) -> None:
        self.excuses.add("wrong store")
        self.people.append(Person("cat, whose store is another one,", self.directory / "wrong"))

    def stale_clone(self, board: Board) -> None:
        self.excuses.add("clone")
        clone = self.directory / f"clone{next(self._numbers)}"
        if self.team.exists():
            for place in (clone, clone.with_suffix(".base")):
                shutil.copytree(self.team, place)
            self.people.append(Person(f"dan, whose store is {clone.name},", clone))

    def trusting_person(self, board: Board) -> None:
        self.people.append(Person("eve, who checks no host keys,", self.team, checks_host_keys=False))

    def an_hour(self, board: Board) -> None:
        self.excuses.add("an hour")
        CLOCK.seconds += 4000


EVENTS = (
    "power_cut",
    "power_comes",
    "short_power_cut",
    "program_killed",
    "flashed_anew",
    "cloned",
    "renamed",
    "swapped",
    "clock_wrong",
    "offline",
    "another_tool",
    "another_tool_is_busy",
    "certificate_inactive",
    "certificate_deleted",
    "certificate_renamed",
    "device_deleted",
    "others_take_places",
    "stranger",
    "odd_machine",
    "wrong_store",
    "stale_clone",
    "trusting_person",
    "an_hour",
)
"""Methods of World."""
WHO_IS_WHO = (
    "power_cut",
    "flashed_anew",
    "cloned",
    "renamed",
    "swapped",
    "device_deleted",
    "stranger",
    "odd_machine",
    "trusting_person",
)
"""Those of which it takes several at once: boards that are gone, names that go from one to another, and strangers."""


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None


def holds(world: World, board: Board, dev_cert: str) -> bool:
    return bool(world.undisturbed(lambda: holds_what_is_stored(board, world.team, dev_cert, UPDATE.name)))
