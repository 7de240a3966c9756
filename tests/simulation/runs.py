# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people start: the playbooks' orders of steps, each step the domain's own. What Ansible does between the steps is
in here in few lines: who failed takes no part in what follows, and a step for all that fails ends the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from board_model import Board
from cloud_model import Cloud
from store_model import store_at
from virtual import CLOCK

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import board as real_board
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.description import BoardStatus
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.emptying import empty
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_answers import DEVELOPER_MODE
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.device_changes import remove_devices
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.devices import find_devices
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import common_name, derive_ids
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.answers import Answer
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.carrying_out import carry_out
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.concluding import claims_of, conclude
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.deciding import decide_for
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.forgetting import forget_boards
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.host_keys import HostKeys
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.leaving import leaving
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import read_fleet
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.part import Part
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.readiness import Terms
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.roster import concerning
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.waves import DEFAULT_WAVES, divide
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.wishes import UpdateWish, Wishes
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.entries import Report
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.failure import Failure
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.status import Answer as StatusAnswer
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.status import Fleet as StatusFleet
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.status import status_report
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.developer_certificates import DeveloperCertificateKeeper
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.signers import read_signers
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.update_keeper import Renewal, UpdateKeeper

if TYPE_CHECKING:
    from world import World

Result = dict[str, Any]
CONNECTION = ("there is no connection", "the connection is lost")


class UnreachableError(Exception):
    """What Ansible calls unreachable."""


@dataclass
class Person:
    """Who runs playbooks: with the store at ``store``, and the host keys that ssh has accepted (``known_hosts``), where
    it checks them."""

    name: str
    store: Path
    checks_host_keys: bool = True
    known_hosts: dict[str, str] = field(default_factory=dict)


@dataclass
class Delivery:
    """Keys come to a board: what this run knew of it."""

    run: Run
    name: str
    board: Board
    items: Mapping[str, bytes]
    bootstrap: str


class Run:
    """One playbook that ``person`` runs over ``names`` with ``wishes``. After it, ``results`` has what became of each
    board, and ``problem`` why it ended before its end, empty when it did not."""

    def __init__(
        self,
        world: World,
        number: int,
        person: Person,
        kind: str,
        names: Sequence[str],
        wishes: Wishes,
        *,
        check: bool = False,
        limited: bool = False,
    ) -> None:
        self.world, self.person, self.kind, self.names, self.wishes = world, person, kind, list(names), wishes
        self.check, self.limited = check, limited
        self.name = f"{kind} {number}{' (check)' if check else ''}"
        self.team = store_at(person.store)
        self.results: dict[str, Result] = {}
        self.problem = ""
        self.proven: dict[str, str] = {}
        self.parts: dict[str, Part] = {}
        self.prepared: list[tuple[str, bool]] = []
        self.met: dict[str, tuple[Board, HostKeys]] = {}
        self.answered_last: dict[str, Board] = {}
        self.report: Report | None = None
        self.began = CLOCK.seconds
        self.inventory: set[str] = set()
        self.warnings: list[str] = []

    @property
    def given(self) -> dict[str, str]:
        """The certificates that the boards get which have something to do."""
        return {name: part.dev_cert for name, part in self.parts.items() if not part.refused}

    @property
    def changed(self) -> bool:
        return any(result.get("changed") for result in self.results.values()) or any(c for _name, c in self.prepared)

    def start(self) -> None:
        self.began = CLOCK.seconds
        self.inventory = self.world.visible()
        try:
            getattr(self, self.kind)()
        except PelionError as error:
            self.problem = str(error)
        self.world.hub.note(f"ends: {self.problem or 'to its end'}; {self._told()}")
        self.world.ended(self)

    def _told(self) -> str:
        def word(result: Result) -> str:
            if result.get("unreachable"):
                return "unreachable"
            if result.get("failed"):
                return f"failed ({result.get('reason')})"
            return "changed" if result.get("changed") else "ok"

        return ", ".join(f"{name} {word(result)}" for name, result in sorted(self.results.items())) or "no board"

    # --- provision, and rotate, which is provision by batches ---

    def provision(self) -> None:
        self._provision(self.names)

    def rotate(self) -> None:
        """Without check mode's dry end: in it, every batch foresees what it would do."""
        update = replace(self.wishes.update, replace=True)
        self.wishes = replace(self.wishes, when_bootstrapped="keep_identity", update=update)
        decided = self._provision(self.names, only_look=True)
        if any(result.get("failed") or result.get("unreachable") for result in self.results.values()):
            self.problem = "a board would not take part"
            return
        if decided["absent"]:
            self.problem = f"absent: {', '.join(decided['absent'])}"
            return
        for batch in divide(self.names, DEFAULT_WAVES, {}):
            self.results = {name: result for name, result in self.results.items() if name not in batch}
            self._provision(batch)
            if any(self.results[n].get("failed") or self.results[n].get("unreachable") for n in batch):
                self.problem = "a batch is not whole"
                return

    def _provision(self, names: Sequence[str], *, only_look: bool = False) -> Result:
        self.team.require_secret()
        with self.cloud.api() as api:
            api.account()
        asked = {name: self._attempt(lambda name=name: self._ask(name)) for name in names}
        self.results.update({n: {"changed": bool(r.get("changed")), **_failed(r)} for n, r in asked.items()})
        with self.cloud.api() as api:
            decided = decide_for(
                asked,
                self.team,
                api,
                _no_file,
                self.inventory,
                _terms,
                self.warnings.append,
                dry_run=self.check,
                only_look=only_look,
                limited=self.limited,
            ).result
        parts = {name: Part.from_json(part) for name, part in decided["parts"].items()}
        self.parts.update(parts)
        in_order = [n for n, r in asked.items() if "found" in r and n not in parts]
        self.world.told_in_order(self, in_order)
        if not only_look:
            if decided["to_work_on"]:
                self._prepare(decided)
            carried_out = {
                name: self._attempt(lambda name=name: self._carry_out(name, parts[name], asked[name]))
                for name in decided["to_work_on"]
            }
            self.results.update(carried_out)
            claims = claims_of(carried_out)
            if claims:
                with self.cloud.api() as api:
                    done = conclude(claims, asked, self.team, api, self.inventory, _terms, self.warnings.append)
                for name in done.ready:
                    self.proven[name] = claims[name].dev_cert
                self.world.told_proven(self, {name: claims[name] for name in done.ready})
                parts.update({name: Part(refused=reason) for name, reason in done.unproven.items()})
        for name, part in parts.items():
            if part.refused:
                self.results[name] = {"changed": False, "failed": True, "reason": part.refused.code}
        return decided

    def _ask(self, name: str) -> Result:
        wishes = self.wishes
        with self._known_by_key(name):
            found = self._board(name).inspect(may_change=not self.check)
        keys = self._host_keys(name)
        if wishes.roster is not None:
            wishes = replace(wishes, roster=concerning(name, keys.fingerprints, wishes.roster))
        return {"changed": found.recovered, **Answer(wishes, {}, found, keys).to_json()}

    def _prepare(self, decided: Mapping[str, Any]) -> None:
        for name in decided["dev_certs"]:
            with self.cloud.api() as api:
                outcome = DeveloperCertificateKeeper(api, self.team, name, dry_run=self.check).present()
            self.prepared.append((name, outcome.changed))
        for given in decided["update_resources"]:
            outcome = UpdateKeeper(self.team, given["name"], dry_run=self.check).present(
                ids=derive_ids(given["vendor_domain"], given["device_class"]),
                subject=common_name(given["vendor_domain"]),
                renewal=Renewal.of(given.get("renew_before_days"), given.get("renew_if_made_before")),
                replace=given.get("replace", False),
            )
            self.prepared.append((given["name"], outcome.changed))

    def _carry_out(self, name: str, part: Part, asked: Mapping[str, Any]) -> Result:
        return carry_out(
            name,
            self._board(name),
            Inspection.from_json(asked["found"]),
            part,
            self.team,
            lambda: self._host_keys(name).fingerprints,
            self.warnings.append,
            dry_run=self.check,
        )

    # --- boards that leave ---

    def deprovision(self) -> None:
        asked = {name: self._attempt(lambda name=name: self._look(name)) for name in self.names}
        if any("status" not in result for result in asked.values()):
            self.problem = "a board did not answer"
            return
        shows = {name: result["status"].host_keys for name, result in asked.items()}
        leaving(self.names, read_fleet(self.team), {}, self.inventory, shows)
        emptied = {name: self._attempt(lambda name=name: self._empty(name)) for name in self.names}
        self.results.update({n: {**_failed(r), "changed": bool(r.get("changed"))} for n, r in emptied.items()})
        names = [name for name, result in emptied.items() if not _failed(result)]
        if names:
            self._leave(names, {name: emptied[name]["device_id"] for name in names})

    def _empty(self, name: str) -> Result:
        found, holds = empty(self._board(name), dry_run=self.check)
        return {"changed": holds or found.recovered or found.interrupted, "device_id": found.device_id}

    def remove_gone(self) -> None:
        if self.inventory & set(self.names):
            self.problem = "a board is there"
            return
        leaving(self.names, read_fleet(self.team), {}, self.inventory)
        with_device = {name for name, board in read_fleet(self.team).items() if board.device_id}
        strangers = sorted(self.inventory - with_device)
        asked = {name: self._attempt(lambda name=name: self._look(name)) for name in strangers}
        says = {n: r["status"].device_id if "status" in r else None for n, r in asked.items()}
        shows = {n: r["status"].host_keys if "status" in r else [] for n, r in asked.items()}
        self._leave(self.names, says, shows)

    def _leave(
        self, names: Sequence[str], says: Mapping[str, str | None], shows: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        found = leaving(names, read_fleet(self.team), says, self.inventory, shows or {})
        ids = list(dict.fromkeys(found.devices.values()))
        silent = [name for name, told in says.items() if told is None and not (shows or {}).get(name)]
        self.world.told_leaving(self, found.devices, silent)
        with self.cloud.api() as api:
            if ids:
                remove_devices(api, [d.id for d in find_devices(api, ids=ids)], dry_run=self.check).require_success()
        forget_boards(self.team, names, dry_run=self.check)

    # --- the fleet as it is ---

    def status(self) -> None:
        asked = {name: self._attempt(lambda name=name: self._look(name)) for name in self.names}
        answers: dict[str, StatusAnswer] = {
            name: result["status"] if "status" in result else Failure.from_json(result)
            for name, result in asked.items()
        }
        remembered = read_fleet(self.team)
        with self.cloud.api() as api:
            devices = list(api.devices({"device_execution_mode__eq": DEVELOPER_MODE}))
            fleet = StatusFleet(
                answers,
                inventory=self.inventory,
                remembered=remembered,
                devices=devices,
                certificates=api.developer_certificates(),
                signers=read_signers(self.team),
            )
            self.report = status_report(fleet, _terms(api.ahead), playbook="status")
        self.world.told_status(self, answers)

    def _look(self, name: str) -> Result:
        with self._known_by_key(name):
            found = self._board(name).inspect(may_change=False)
        return {"changed": False, "status": BoardStatus.of(found, self._host_keys(name).fingerprints)}

    # --- how boards are reached ---

    @property
    def cloud(self) -> Cloud:
        return self.world.cloud

    def _board(self, name: str) -> real_board.Board:
        return real_board.Board(
            lambda text, seconds: self._exchange(name, text), lock_timeout=60, board_timeout=300, now=CLOCK
        )

    def _exchange(self, name: str, text: str) -> str:
        """As over ssh, which knows the board by its name and its key."""
        fault = self.world.hub.exchange(f"asks {name}", "board", CONNECTION)
        board = self.world.network.get(name)
        if fault == CONNECTION[0] or board is None or not board.powered:
            raise UnreachableError(f"{name} is not reached")
        if self.person.checks_host_keys and self.person.known_hosts.setdefault(name, board.host_key) != board.host_key:
            raise UnreachableError(f"REMOTE HOST IDENTIFICATION HAS CHANGED! It sent {board.host_key}.")
        self.met.setdefault(name, (board, self._host_keys(name)))
        self.answered_last[name] = board
        if board.odd:
            return self.world.odd_answer(board)

        def begin(program: Any) -> None:
            if fault:
                raise UnreachableError(f"the connection to {name} is lost")
            self.world.hub.wait(program)

        answer = board.run(text, begin, lambda items, how: Delivery(self, name, board, items, how))
        if "mbl:" not in answer:
            raise BoardError.of("no-answer", "255")
        return answer

    @contextmanager
    def _known_by_key(self, name: str) -> Iterator[None]:
        try:
            yield
        except BoardError as error:
            error.facts["host_keys"] = list(self._host_keys(name).fingerprints)
            raise

    def _host_keys(self, name: str) -> HostKeys:
        if not self.person.checks_host_keys:
            return HostKeys(unproven="ssh does not check host keys")
        key = self.person.known_hosts.get(name)
        return HostKeys((key,) if key else ())

    def _attempt(self, act: Callable[[], Result]) -> Result:
        """A board's own task."""
        try:
            return act()
        except PelionError as error:
            return {"failed": True, "msg": str(error), "changed": False, **error.facts}
        except UnreachableError as error:
            return {"unreachable": True, "msg": str(error), "changed": False}


def _failed(result: Mapping[str, Any]) -> Result:
    return {key: result[key] for key in ("failed", "unreachable", "reason") if key in result}


def _terms(ahead: timedelta) -> Terms:
    return Terms(datetime.fromtimestamp(CLOCK.seconds, timezone.utc), ahead)


def _no_file(wish: UpdateWish) -> Any:
    raise AssertionError(wish)
