# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boards that the team has provisioned: ``fleet.json`` in the team store, and ``fleet.SITE.json`` of each site.

It lies there because the team shares it with the credentials that it tells of. It holds no secret and is not
vaulted, so that an overview needs no password. Sites have files of their own so that they may share a git repository:
each writes its own, and nobody has to put two versions together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ..errors import PelionError
from ..store.names import stem_of
from ..store.noted_file import NotedFile
from ..store.store import Store
from ..words import nearest
from .update_proof import UpdateProof

FILE = "fleet.json"
"""That of boards at no named site. Former versions had all boards in it: those of a site are taken from it until the
site has a file."""
FRESH_FOR = timedelta(days=1)
"""How old ``seen`` may be before it alone is a reason to write: reruns in CI should not touch a shared file."""


@dataclass(frozen=True)
class Remembered:
    """A board as it was last proven: its ssh host keys (``SHA256:…``), device id, developer certificate's name, when
    (2026-01-01T00:00:00Z), and at which of the team's sites, empty where they have no names. ``update_proof`` is the
    board's own word that it takes updates, None where it gave none since it was given what it holds.
    ``device_by_name`` says that the host keys are of the time before the board of that name was this device: who has
    proven that proved no host key."""

    host_keys: tuple[str, ...] = ()
    device_id: str | None = None
    certificate: str | None = None
    seen: str = ""
    site: str = ""
    update_proof: UpdateProof | None = None
    device_by_name: bool = False

    @property
    def is_keyed(self) -> bool:
        """Whether host keys and device were proven together."""
        return bool(self.host_keys) and not self.device_by_name

    @classmethod
    def now(
        cls, host_keys: tuple[str, ...], device_id: str | None, certificate: str | None, site: str = ""
    ) -> Remembered:
        return cls(host_keys, device_id, certificate, f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}", site)

    def tells_as_much_as(self, other: Remembered) -> bool:
        """Whether writing this over ``other`` would be for nothing."""
        return replace(self, seen=other.seen) == other and _time(self.seen) - _time(other.seen) < FRESH_FOR

    def was_proven_since(self, moment: datetime, certificate: str) -> bool:
        """Whether it was proven then or later, with the developer certificate of that name."""
        return self.certificate == certificate and bool(self.seen) and _time(self.seen) >= moment


def read_fleet(store: Store) -> dict[str, Remembered]:
    """The remembered boards by name, none without a file. A board that two sites have noted is where it was seen last.
    Raises StoreError for a damaged file."""
    found = _read(_file(store))
    found = {name: board for name, board in found.items() if not _has_a_file(store, board.site)}
    for path in sorted(store.directory.glob("fleet.*.json")):
        for name, board in _read(_file_at(store, path.name)).items():
            if name not in found or _time(found[name].seen) <= _time(board.seen):
                found[name] = board
    return found


def _read(file: NotedFile) -> dict[str, Remembered]:
    try:
        return {name: _remembered(entry) for name, entry in file.read().items()}
    except (ValueError, KeyError, TypeError):
        raise file.damaged() from None


def remember(
    store: Store,
    boards: Mapping[str, Remembered],
    former: Collection[str] = (),
    injected: Collection[str] = (),
) -> None:
    """Add ``boards`` to the remembered ones, or bring them up to date, and drop the ``former`` names of renamed ones.

    Where no host key was proven, the one that was known stays; and a proof that it takes updates, but for those that
    were ``injected`` with credentials since. Raises PelionError.
    """
    known = read_fleet(store)
    if updated(known, boards, former, injected, for_nothing=False) == known:
        return
    with store.locked():
        write_fleet(store, updated(read_fleet(store), boards, former, injected))


def updated(
    known: Mapping[str, Remembered],
    boards: Mapping[str, Remembered],
    former: Collection[str] = (),
    injected: Collection[str] = (),
    *,
    for_nothing: bool = True,
) -> dict[str, Remembered]:
    """``known`` with ``boards``; those that tell nothing new as they were, unless ``for_nothing``."""
    after = {name: board for name, board in known.items() if name not in former}
    for name, board in boards.items():
        before = known.get(name)
        if before:
            is_other, keeps_keys = board.device_id != before.device_id, bool(before.host_keys and not board.host_keys)
            board = replace(
                board,
                host_keys=board.host_keys or before.host_keys,
                update_proof=None if name in injected or is_other else before.update_proof,
                device_by_name=keeps_keys and (is_other or before.device_by_name),
            )
        after[name] = before if before and not for_nothing and board.tells_as_much_as(before) else board
    return after


def note_update_proofs(store: Store, proofs: Mapping[str, UpdateProof | None]) -> None:
    """Keep these proofs, by the boards' names, or forget them (None). A board that is not remembered stays so. Raises
    PelionError."""
    if all(proof == proofs[name] for name, proof in _proofs(read_fleet(store), proofs).items()):
        return
    with store.locked():
        boards = read_fleet(store)
        noted = {name: replace(boards[name], update_proof=proofs[name]) for name in proofs if name in boards}
        write_fleet(store, {**boards, **noted})


def _proofs(boards: Mapping[str, Remembered], names: Iterable[str]) -> dict[str, UpdateProof | None]:
    return {name: boards[name].update_proof for name in names if name in boards}


def absent(boards: Mapping[str, Remembered], sites: Collection[str], inventory: Collection[str]) -> set[str]:
    """The names of those that ``inventory`` should have and has not. Boards of other sites than ``sites`` need not be
    there, except where one of either has no name."""
    return {
        name
        for name, board in boards.items()
        if name not in inventory and (not board.site or "" in sites or board.site in sites)
    }


def forget(boards: Mapping[str, Remembered], names: Iterable[str]) -> dict[str, Remembered]:
    """``boards`` without those of ``names``."""
    gone = set(names)
    return {name: board for name, board in boards.items() if name not in gone}


def unknown_names(
    boards: Mapping[str, Remembered],
    names: Iterable[str],
    inventory: Collection[str],
    suggested: Collection[str] | None = None,
) -> dict[str, str]:
    """Those of ``names`` that neither the team remembers nor the ``inventory`` has, each with the nearest name of those
    that may be ``suggested``, by default all, or an empty text."""
    near = [*boards, *inventory] if suggested is None else suggested
    return {name: nearest(name, near) for name in names if name not in boards and name not in inventory}


def require_known(
    boards: Mapping[str, Remembered],
    names: Iterable[str],
    inventory: Collection[str],
    suggested: Collection[str] | None = None,
) -> None:
    """Raise PelionError for names that somebody gave and that are unknown_names."""
    if unknown := unknown_names(boards, names, inventory, suggested):
        hints = "".join(f" Did you mean {near}?" for near in dict.fromkeys(unknown.values()) if near)
        raise PelionError(
            f"{', '.join(unknown)}: neither in the inventory nor among the boards that the team remembers.{hints} "
            "Nothing was done."
        )


def forget_host_keys(boards: Mapping[str, Remembered], names: Iterable[str]) -> dict[str, Remembered]:
    """``boards``, those of ``names`` without host keys, so that they may come with others."""
    fresh = set(names)
    return {
        name: replace(board, host_keys=(), device_by_name=False) if name in fresh else board
        for name, board in boards.items()
    }


def write_fleet(store: Store, boards: Mapping[str, Remembered]) -> None:
    """Make these the remembered ones; the caller holds the store's lock. Writes the files of the sites whose boards
    are others now. Raises StoreError."""
    before, after = _by_site(read_fleet(store)), _by_site(boards)
    for site in before.keys() | after.keys():
        if after.get(site) == before.get(site):
            continue
        theirs = after.get(site, {})
        if not site:  # with those that are still to be taken from it
            theirs = {name: board for name, board in boards.items() if not _has_a_file(store, board.site)}
        _file(store, site).write({name: asdict(board) for name, board in theirs.items()})


def _by_site(boards: Mapping[str, Remembered]) -> dict[str, dict[str, Remembered]]:
    found: dict[str, dict[str, Remembered]] = {}
    for name, board in boards.items():
        found.setdefault(board.site, {})[name] = board
    return found


def _has_a_file(store: Store, site: str) -> bool:
    """Whether the site has one of its own."""
    return bool(site) and _file(store, site).path.exists()


def _file(store: Store, site: str = "") -> NotedFile:
    return _file_at(store, f"fleet.{stem_of(site)}.json" if site else FILE)


def _file_at(store: Store, name: str) -> NotedFile:
    return NotedFile(
        store,
        name,
        unknown="it is not known which boards the team has provisioned",
        remedy="Repair it, or remove it: the next run writes it again from what it finds.",
    )


def _remembered(entry: Mapping[str, Any]) -> Remembered:
    # A newer version may note more.
    known = {field.name: entry[field.name] for field in fields(Remembered) if field.name in entry}
    proof = UpdateProof.from_json(entry["update_proof"]) if entry.get("update_proof") else None
    remembered = Remembered(**{**known, "host_keys": tuple(entry["host_keys"]), "update_proof": proof})
    _time(remembered.seen)
    return remembered


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
