# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power goes at any moment of a board's work: the board that boots then holds one whole set of items, or, where it
was to be emptied, none.

Without anybody's help: what counts is what lies under the name that utility and client read. The one exception is the
moment between the two renames, where the next contact completes the work. ``PELION_CRASH=all`` tries all moods of the
file system; a failure names its case, and running that test again replays it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from board_on_disk import LWM2M_FILES, BoardOnDisk
from credential_samples import ENDPOINT, a_certificate, a_key, developer_values, key_der, update_values
from power_cut import Files, Mood, Stop, read_files, requires_disks

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import Board
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import Items
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials import rules

pytestmark = requires_disks()

ALL = os.environ.get("PELION_CRASH") == "all"
MOODS = ["nothing", "commit", "sync", "1", "2", "3"]
FACTORY_FILES = [kcm.file_name(name) for name in kcm.FACTORY_ITEMS]
RECORD = "pelion-mbl.record"


def item_set(number: int, update: int) -> Items:
    """A good set; sets of the same number have the same developer credentials, of the same update number the same
    update certificate."""
    key, name = a_key(number=10 + number), f"{ENDPOINT[:-2]}{number:02d}"
    developer = developer_values(
        ENDPOINT_NAME=name.encode(),
        DEVICE_CERTIFICATE=a_certificate(name, key=key),
        PRIVATE_KEY=key_der(key),
    )
    certificate = a_certificate("update", None, key=a_key(number=100 + update))
    return Items.of(developer, update_values() | {rules.UPDATE_CERTIFICATE: certificate})


FIRST, OTHER_UPDATE, OTHER_DEVELOPER = item_set(1, 1), item_set(1, 2), item_set(2, 1)
# What a board holds before, what it gets (None: it is emptied), and the policy for a board that has bootstrapped.
SCENARIOS = {
    "first": (None, FIRST, "not-yet"),
    "update": (FIRST, OTHER_UPDATE, "as-is"),
    "keep": (FIRST, OTHER_DEVELOPER, "keep-identity"),
    "new": (FIRST, OTHER_DEVELOPER, "new-identity"),
    "empty": (FIRST, None, "as-is"),
}

CASES = [("first", "nothing"), ("update", "commit"), ("keep", "1"), ("new", "sync"), ("empty", "commit")]
RECOVERY_CASES = [("update", "commit"), ("empty", "commit")]
if ALL:
    CASES = [(scenario, mood) for scenario in SCENARIOS for mood in MOODS]
    RECOVERY_CASES = [(scenario, mood) for scenario in SCENARIOS for mood in ("nothing", "commit", "sync")]


def secrets_of(items: Items | None) -> list[bytes]:
    """Parts of the private key's DER that no other file has, each shorter than what a block boundary may part."""
    if items is None:
        return []
    number = items.values["MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY"][36:68]  # in PKCS#8 of a P-256 key
    return [number, number[:16], number[16:]]


def board_at(run: Callable[[str], str]) -> Board:
    return Board(lambda program, _seconds: run(program), lock_timeout=0, board_timeout=300)


def work(scenario: str, board: BoardOnDisk, run: Callable[[str], str]) -> None:
    _held, items, bootstrap = SCENARIOS[scenario]
    digest = board_at(board.run).inspect(may_change=True).kcm_digest
    if items is None:
        board_at(run).empty(found_digest=digest)
    else:
        board_at(run).inject(items, found_digest=digest, bootstrap=bootstrap, registration_timeout=10)


def go_on(scenario: str, run: Callable[[str], str]) -> None:
    """The next contact after a cut: nothing is to be injected, but what was to be emptied still is."""
    found = board_at(run).inspect(may_change=True)
    if SCENARIOS[scenario][1] is None:
        board_at(run).empty(found_digest=found.kcm_digest)


@pytest.fixture(scope="session")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The disk of a board that holds FIRST and has bootstrapped with it."""
    board = BoardOnDisk(tmp_path_factory.mktemp("provisioned"))
    with board.booted():
        work("first", board, board.run)
    return board.disk.image()


# What a disk holds


def items_of(files: Files, name: str) -> Files:
    """The set in directory ``name``: its factory items in both copies, and the root of trust that they are bound to."""
    wanted = {f"{name}/{copy}/{file}" for copy in ("WORKING", "BACKUP") for file in FACTORY_FILES} | {
        f"{name}/flashSim"
    }
    return {path.removeprefix(f"{name}/"): digest for path, digest in files.items() if path in wanted}


def has_items(items: Files) -> bool:
    return bool(items.keys() - {"flashSim"})


class Sets:
    """Tells sets apart; ``old`` and ``new`` are disks that hold nothing but one of them, which may be none."""

    def __init__(self, old: Files, new: Files) -> None:
        self._old, self._new = items_of(old, "pal"), items_of(new, "pal")
        self._records = {"old": old.get(RECORD), "new": new.get(RECORD)}
        self._former_client = {old.get(f"pal/WORKING/{file}") for file in LWM2M_FILES} - {None}

    def name(self, files: Files, directory: str = "pal") -> str:
        items = items_of(files, directory)
        for name, wanted in (("new", self._new), ("old", self._old)):
            if items == wanted or not (has_items(items) or has_items(wanted)):
                return name
        return "a part" if has_items(items) else "nothing"

    def verdict(self, files: Files) -> str:
        """``old``, ``new``, ``between`` (completable), or what is wrong."""
        name = self.name(files)
        if "pal.old" in files and not has_items(items_of(files, "pal")):
            completable = self.name(files, "pal.old") == "old" and self.name(files, "pal.new") == "new"
            return "between" if completable else "no set"
        if name == "nothing":
            return "no set"
        if name == "a part":
            return "a mixture"
        if files.get(RECORD) not in self._records.values():
            return "half a record"
        return name

    def has_its_record(self, files: Files) -> bool:
        return files.get(RECORD) == self._records[self.name(files)]

    def signature(self, files: Files) -> str:
        """Which sets and records lie where, for telling apart the states from which a board may have to go on."""
        names = sorted({path.split("/")[0] for path in files})
        parts = []
        for name in names:
            if f"{name}/BACKUP" in files or files[name] == "/":
                parts.append(f"{name}={self.name(files, name)}")
            elif name.startswith(RECORD):
                which = [which for which, record in self._records.items() if record == files[name]]
                parts.append(f"{name}={which[0] if which else 'other'}")
        return " ".join(parts)


def judge(sets: Sets, stops: list[Stop], order: tuple[str, ...] = ("old", "between", "new")) -> None:
    """Never a mixture, and what was there once does not go again."""
    reached = 0
    for stop in stops:
        verdict = sets.verdict(stop.files)
        assert verdict in order, f"{verdict}: {stop.describe()}"
        assert order.index(verdict) >= reached, f"{verdict} after {order[reached]}: {stop.describe()}"
        reached = order.index(verdict)


# The proof

Cut = Callable[[str, str], tuple[Sets, list[Stop]]]


@pytest.fixture(scope="session")
def cut_work(tmp_path_factory: pytest.TempPathFactory, provisioned: bytes) -> Cut:
    """``cut_work(scenario, mood)``: the sets, and the states of the disk at all stops of the work."""

    @functools.cache
    def cut(scenario: str, mood: str) -> tuple[Sets, list[Stop]]:
        held, items, _bootstrap = SCENARIOS[scenario]
        board = BoardOnDisk(tmp_path_factory.mktemp(scenario), provisioned if held else None)
        secrets = secrets_of(items) + secrets_of(held)

        def run(at_stop: Callable[[str], None]) -> None:
            work(scenario, board, lambda program: board.run_stopping(program, at_stop))

        with board.booted():
            stops = board.disk.stops(Mood(mood), run, secrets)
        return Sets(stops[0].files, stops[-1].files), stops

    return cut


@pytest.mark.parametrize(("scenario", "mood"), CASES)
def test_a_power_cut_leaves_one_whole_set(
    cut_work: Cut, tell_row: Callable[[str], None], scenario: str, mood: str
) -> None:
    sets, stops = cut_work(scenario, mood)
    tell_row(f"work, {scenario}", mood, [sets.verdict(stop.files) for stop in stops])
    assert len(stops) > (50 if scenario == "empty" else 100)
    assert (sets.verdict(stops[0].files), sets.verdict(stops[-1].files)) == ("old", "new")
    judge(sets, stops)


@pytest.mark.parametrize(("scenario", "mood"), RECOVERY_CASES)
def test_a_cut_recovery_leaves_one_whole_set(
    cut_work: Cut, tell_row: Callable[[str], None], tmp_path: Path, scenario: str, mood: str
) -> None:
    """From each kind of state that a cut injection leaves, the next contact comes to an end, and may be cut as well."""
    sets, stops = cut_work(scenario, mood)
    kinds = {sets.signature(stop.files): stop for stop in stops}
    if not ALL:  # the last of those with the old set, the first with the new one, and what is between
        by_verdict = {sets.verdict(stop.files): kind for kind, stop in reversed(kinds.items())}
        by_verdict["old"] = [kind for kind, stop in kinds.items() if sets.verdict(stop.files) == "old"][-1]
        kinds = {kind: kinds[kind] for kind in by_verdict.values()}
    verdicts = []
    for number, (kind, start) in enumerate(kinds.items()):
        board = BoardOnDisk(tmp_path / str(number), start.image)

        def run(at_stop: Callable[[str], None], board: BoardOnDisk = board) -> None:
            go_on(scenario, lambda program: board.run_stopping(program, at_stop))

        with board.booted():
            recovered = board.disk.stops(Mood(mood), run, secrets_of(SCENARIOS[scenario][1]))
            board.run("systemctl stop mbl-cloud-client; sync")
            files = read_files(board.disk.mount)
        verdicts += [sets.verdict(stop.files) for stop in recovered]
        begins = sets.verdict(start.files)
        emptied = SCENARIOS[scenario][1] is None
        wanted = "new" if begins == "between" or emptied else begins
        told = f"from cut {start.number} ({kind}), before `{start.call}`: "
        try:
            judge(sets, recovered)
        except AssertionError as error:
            raise AssertionError(told + str(error)) from error
        assert sets.verdict(files) == wanted, told + str(files)
        assert sets.has_its_record(files), told + str(files)
        kept = set() if emptied else {"pal", RECORD, "pelion-mbl.device"}
        assert {path.split("/")[0] for path in files} <= kept, told + str(files)
    tell_row(f"recovery, {scenario}, from {len(kinds)} kinds of state", mood, verdicts)


def test_nothing_on_an_emptied_disk_opens_its_keys(cut_work: Cut, tmp_path: Path) -> None:
    """Not in free blocks either, where the sets of former injections were."""
    _sets, stops = cut_work("update", "commit")
    board = BoardOnDisk(tmp_path, stops[-1].image)
    with board.booted():
        root_of_trust = (board.disk.mount / "pal/flashSim").read_bytes()
        work("empty", board, board.run)
    parts = [root_of_trust[at : at + 16] for at in range(0, len(root_of_trust), 16)]
    random_parts = [part for part in parts if len(set(part)) > 8]
    assert random_parts
    assert not [part for part in random_parts if part in board.disk.content()]
