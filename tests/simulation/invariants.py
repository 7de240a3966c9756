# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold whatever happens; each check is called when something has just been done or said."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from board_model import Board, Set
from runs import Delivery, Run
from store_model import store_at

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials import rules
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.developer_credentials import DeveloperCredentials
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import Remembered, read_fleet
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.proof import Claim
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store

if TYPE_CHECKING:
    from world import World


UNNOTED = "Other runs may use the same places"
"""In the warning of a run."""


class BrokenError(AssertionError):
    """An invariant does not hold; ``rule`` is its name."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"{rule}: {text}")
        self.rule = rule


def require(holds: object, rule: str, text: str) -> None:
    if not holds:
        raise BrokenError(rule, text)


class Invariants:
    def __init__(self, world: World) -> None:
        self._world = world
        self._stores: dict[Path, Store] = {}
        self._nobodys: set[str] = set()
        self._once_ours: set[str] = set()
        self._places_unknown: set[bytes] = set()
        self._given: dict[Path, set[str]] = {}
        self._networks: dict[Run, Mapping[str, Board]] = {}
        self._memories: dict[Run, list[Mapping[str, Remembered]]] = {}
        """What the team remembered when a run began, and whenever that changed since: it decides by one of them."""

    def begins(self, run: Run) -> None:
        self._memories[run] = [self._memory(run)]
        self._networks[run] = dict(self._world.network)

    def memory_changed(self, store: Path) -> None:
        memory = self._fleet(store)
        self._once_ours.update(board.device_id for board in memory.values() if board.device_id)
        for run, actor in self._world.runs:
            if run.person.store == store and not actor.gone:
                self._memories[run].append(memory)

    # --- keys, and what they take the place of ---

    def delivered(self, delivery: Delivery) -> None:
        run, board = delivery.run, delivery.board
        require(not run.check, "check mode sends no keys", str(board))
        met, keys = run.met[delivery.name]
        if run.person.checks_host_keys:  # nobody can tell a copy that holds as little by it
            proven = met is board or board.host_key in keys.fingerprints
            require(proven, "keys go to the board that was asked", f"{met} was asked, {board} got them")
        if met is not board:
            self._places_unknown.add(delivery.items[rules.DEVICE_CERTIFICATE])
        require(self._admitted(delivery), "keys go to known boards only", f"{board} as {delivery.name} ({run.wishes})")
        self._given.setdefault(run.person.store, set()).add(_fingerprint(delivery.items[rules.UPDATE_CERTIFICATE]))
        self.store_changed(run.person.store)

    def _admitted(self, delivery: Delivery) -> bool:
        """By what the documentation says of roster and new boards, in other words than the product's."""
        run, name, key = delivery.run, delivery.name, delivery.board.host_key
        keys = {key} if run.person.checks_host_keys else set()
        roster = run.wishes.roster
        if roster is not None:
            pinned = {word for entry in roster for word in entry.split()[-1:] if entry.split()[0] in (name, word)}
            return name in roster or bool(keys and keys <= pinned)
        if run.wishes.new_boards == "allow":
            return True
        for memory in self._memories[run]:
            if any(keys and keys <= set(board.host_keys) for board in memory.values()):
                return True
            if name in memory and not memory[name].host_keys:
                return True
        return False

    def replaced(self, delivery: Delivery, old: Set) -> None:
        wishes, new = delivery.run.wishes, delivery.items
        if old.lwm2m and wishes.when_bootstrapped == "refuse":
            # Not the certificate that it holds: another tool may have put that there, and its client ignores it.
            # It may have bootstrapped with that one since the run looked at it.
            is_by_it = old.by == new[rules.DEVICE_CERTIFICATE] or "another tool" in self._world.excuses
            stays = delivery.bootstrap == "as-is" and is_by_it
            require(stays, "a bootstrap stays unless a policy says otherwise", f"{delivery.board} {delivery.bootstrap}")
        if old.items and old.items[rules.UPDATE_CERTIFICATE] != new[rules.UPDATE_CERTIFICATE]:
            held = _fingerprint(old.items[rules.UPDATE_CERTIFICATE])
            known = held in self._signers(delivery.run.person.store)
            require(known or wishes.when_update_unknown != "refuse", "an unknown update certificate stays", held)

    def store_changed(self, store: Path) -> None:
        lost = self._given.get(store, set()) - self._signers(store)
        require(not lost, "no signing key is lost", f"{lost} of {store}")

    def emptied(self, old: Set) -> None:
        """A device that nobody has proven yet stays in the Device Directory. A run that gave out places before that can
        know nothing of it, and a run that is to give the board another device then needs two places for it."""
        if old.identity and old.identity not in self._remembered_devices():
            self._nobodys.add(old.identity)

    def turned_away(self, board: Board, why: str) -> None:
        if "has its" in why and not self._world.excuses:
            state = self._world.cloud.state
            excused = {state.devices[one].ca_id for one in self._nobodys & state.devices.keys()}
            # Where a store took no note of the places that a run gives, the run has warned.
            unnoted = [run for run, _actor in self._world.runs if any(UNNOTED in text for text in run.warnings)]
            names = {name for run in unnoted for name in run.given.values()}
            excused |= {one.id for one in state.certificates.values() if one.name in names}
            excused |= self._with_unknown_places()
            if not any(certificate in why for certificate in excused if certificate):
                raise BrokenError("no certificate has more boards than places", f"{board}: {why}")

    def _with_unknown_places(self) -> set[str]:
        """Certificates with places of which no run knows: those of boards that no store remembers any more, since
        somebody has said that they are gone, or another board has come by their names; of boards whose devices somebody
        has deleted while they were off; and those that somebody who checks no host keys has given to another board than
        the one that was asked."""
        left = (self._once_ours - self._remembered_devices()) | self._world.without_device
        sets = [board.disk.kcm for board in self._world.boards if board.disk.kcm and board.disk.kcm.identity in left]
        held = {one.items.get(rules.DEVICE_CERTIFICATE) for one in sets} | self._places_unknown
        return {one.id for one in self._world.cloud.state.certificates.values() if one.der in held}

    def _remembered_devices(self) -> set[str]:
        memories = [self._fleet(person.store) for person in self._world.people]
        return {board.device_id for memory in memories for board in memory.values() if board.device_id}

    # --- what is told ---

    def told_in_order(self, run: Run, names: Iterable[str]) -> None:
        for name in names:
            board = run.answered_last[name]
            self._no_copy(run, name, board)
            require(board.registered_with or board.stranger, "who is told as proven is so", f"{name}, {board}")

    def told_proven(self, run: Run, claims: Mapping[str, Claim]) -> None:
        for name, claim in claims.items():
            board = run.answered_last[name]
            if board.lies:
                continue
            self._no_copy(run, name, board)
            require(claim.device_id in board.identities, "who is told as proven is so", f"{name} is {claim.device_id}?")
            # Another board by that name, which nobody who checks no host keys notices, may have had the set before.
            since = run.began if run.met[name][0] is board else 0
            registered = [
                at
                for (developer, update), at in board.registered_with.items()
                if _fingerprint(update) == claim.update_certificate and at >= since
            ]
            require(registered, "who is told as proven is so", f"{name}, {board}, {claim}")

    def _no_copy(self, run: Run, name: str, board: Board) -> None:
        """Of boards with one ssh host key, one that the team knows has been there all the time."""
        before, now = self._networks[run], self._world.network
        if now.get(name) is not board or not run.person.checks_host_keys:
            return
        there = {other: now[other] for other in run.inventory & now.keys() if before.get(other) is now[other]}
        copies = {n for n, one in there.items() if one is not board and one.powered and one.host_key == board.host_key}
        for memory in self._memories[run]:
            copies &= {other for other, known in memory.items() if known.host_keys == (board.host_key,)}
        require(not copies, "no copy is told as proven", f"{name} and {copies}")

    def told_leaving(self, run: Run, devices: Mapping[str, str], silent: Collection[str]) -> None:
        """No device goes that is that of a board which stays; whose it is of two copies, nobody knows.

        What has come under a name since the run made its inventory, or since it asked, it cannot know; of the
        ``silent`` boards it warns; and boards of which the team knows devices are not asked.

        Not so for deprovision: a board may take another one's name after it was looked at, and before it is emptied.
        """
        if not run.check:
            left = [one.disk.kcm for one in self._world.boards if one.identity in devices.values()]
            self._places_unknown.update(held.items[rules.DEVICE_CERTIFICATE] for held in left if held and held.items)
        if run.kind == "deprovision":
            for name in run.names:
                self._emptied_as(run, name)
            return
        if "cloned" in self._world.excuses:
            return
        memories = self._memories[run]
        not_asked = {name for memory in memories for name, remembered in memory.items() if remembered.device_id}
        asked = run.inventory - set(silent) - set(run.names) - not_asked
        for name, device in devices.items():
            for board in self._world.boards:
                there = self._world.names_of(board)
                if device in board.identities and board.disk.kcm and board.disk.kcm.identity == device:
                    stays = board.powered and any(run.answered_last.get(n, board) is board for n in asked & set(there))
                    require(
                        not stays or board.lies, "no device of another board leaves", f"{name}: {device} is {there}"
                    )

    def _emptied_as(self, run: Run, name: str) -> None:
        """Not as one that the team knows, while it knows this one by another name."""
        board, first = run.answered_last[name], run.met[name][0]
        if board is not first or not run.person.checks_host_keys:
            return

        def is_another(memory: Mapping[str, Remembered]) -> bool:
            known_as = {other for other, known in memory.items() if board.host_key in known.host_keys}
            here = memory.get(name, Remembered()).host_keys
            return bool(here and known_as and name not in known_as)

        wrong = all(is_another(memory) for memory in self._memories[run])
        require(not wrong, "no board is emptied as another one", f"{board} as {name}")

    # --- reading ---

    def _memory(self, run: Run) -> Mapping[str, Remembered]:
        return self._fleet(run.person.store)

    def _fleet(self, store: Path) -> Mapping[str, Remembered]:
        return self._world.undisturbed(lambda: read_fleet(self._store(store)))

    def _store(self, path: Path) -> Store:
        if path not in self._stores:
            self._stores[path] = store_at(path)
        return self._stores[path]

    def _signers(self, store: Path) -> set[str]:
        """The certificates whose keys are there."""
        entries = self._world.undisturbed(lambda: self._store(store).entries(UpdateResources))
        found = [held for entry in entries if entry.entry for held in entry.entry.all_held]
        return {held.fingerprint for held in found if held.private_key}


def _fingerprint(der: bytes) -> str:
    return rules.sha256_hex(der)


def holds_what_is_stored(board: Board, store: Path, dev_cert: str, update_resources: str) -> bool:
    """Whether the board has what the store has by these names."""
    team = store_at(store)
    developer, update = team.read(DeveloperCredentials, dev_cert), team.read(UpdateResources, update_resources)
    held = board.disk.kcm.items if board.disk.kcm else {}
    return bool(
        developer
        and update
        and held.get(rules.DEVICE_CERTIFICATE) == developer.der
        and held.get(rules.UPDATE_CERTIFICATE) == update.der
    )
