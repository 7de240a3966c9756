# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An event source for ansible-rulebook: boards that appear and leave on this machine's networks."""

from __future__ import annotations

DOCUMENTATION = r"""
name: mbl_mdns
short_description: Mbed Linux OS boards that appear on the network, and leave it
version_added: 1.0.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Tells which boards there are at the start, and each one that appears, appears again or leaves, once. It is the
    counterpart of the inventory plugin C(pelion.mbl.mbl_mdns), knows boards by the same rules and names them alike.
  - A board appears again when it was gone, has started anew, or has another address or host name than before.
  - What changes within a moment is one event, so that boards on one power strip are one run and not many. An event has
    C(change), which is V(appeared), V(left) or V(retry); C(in_roster), whether the O(roster) has its boards; C(boards);
    and C(meta.hosts), their names, to which ansible-rulebook limits a playbook.
  - Each of C(boards) has C(name), C(instance), C(hostname), C(address), C(addresses), C(port), C(interface), C(txt),
    C(last_seen), C(again) (whether it was known before) and C(failures) (how many runs failed since it appeared).
  - An event with boards of the roster that a run should take care of has C(report), the path of a directory. A run of
    this collection's playbooks with the extra variable C(report) set to it leaves its report there, and boards that are
    not in order then come again, with C(change) V(retry), after a pause that doubles each time.
  - Anybody on the network can announce anything. Texts that could hold a template are left out of the events.
requirements:
  - zeroconf >= 0.131 (Python library)
options:
  # These are as those of the inventory plugin, which documents them: ansible-doc -t inventory pelion.mbl.mbl_mdns
  interfaces: {type: list, elements: str, default: []}
  address_families: {type: list, elements: str, choices: [ipv4, ipv6], default: [ipv6, ipv4]}
  service_types: {type: list, elements: str, default: [_ssh._tcp]}
  txt: {type: str, default: mblos}
  hostnames: {type: list, elements: str, choices: [instance, hostname], default: [instance]}
  name_pattern: {type: str, default: 'mbed-linux-os-[0-9]+'}
  name_template: {type: str, default: '{name}'}
  max_hosts: {type: int, default: 2000}
  allow_routed: {type: bool, default: false}
  roster:
    description:
      - The boards that you know, in the form of the role's C(provision_pelion_roster). Each entry is the name of a
        board in the inventory, the fingerprint of an ssh host key (V(SHA256:…)), or a name with fingerprints behind
        spaces.
      - A board is in the roster by its name. Fingerprints are compared by the run, over ssh; so with a fingerprint that
        stands alone, every board may be the one, and the run refuses those that are not.
      - Empty, no board is in it.
    type: list
    elements: str
    default: []
  gather:
    description:
      - How long nothing must change before changes are reported, in seconds. If it never becomes quiet, they are
        reported after five times as long.
    type: float
    default: 1.0
  retry_pause:
    description: How long to wait before a board that is not in order comes again, in seconds. V(0) for never.
    type: float
    default: 30.0
  retry_longest_pause:
    description: The longest that this pause, which doubles with each failure, becomes, in seconds.
    type: float
    default: 3600.0
"""

EXAMPLES = r"""
# What happens to boards on the bench's network, printed
- name: Boards of the bench
  hosts: all
  sources:
    - pelion.mbl.mbl_mdns:
        interfaces: [eth1]
        roster:
          - mbed-linux-os-9709
  rules:
    - name: Tell
      condition: event.change is defined
      action:
        print_event:
          pretty: true

# A rulebook that provisions boards comes with the collection:
# ansible-rulebook -r pelion.mbl.provision -i inventory/ -e inventory/group_vars/mbl.yml
"""

import asyncio
import contextlib
import fcntl
import itertools
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

# ansible-rulebook runs this file by its path, so it is in no package, and Ansible's way of finding collections is not
# there. The domain needs neither: as a package of its own it is found from here, in an installed collection as well as
# in a clone (`ansible-rulebook --source-dir`).
_DOMAIN = "pelion_mbl_domain"
if _DOMAIN not in sys.modules:
    sys.modules[_DOMAIN] = types.ModuleType(_DOMAIN)
    sys.modules[_DOMAIN].__path__ = [str(Path(__file__).resolve().parents[4] / "plugins" / "plugin_utils")]

from pelion_mbl_domain.discovery.gathering import Gathering
from pelion_mbl_domain.discovery.hosts import Host, Rules
from pelion_mbl_domain.discovery.roster import Roster
from pelion_mbl_domain.discovery.watch import Change, Watch, What
from pelion_mbl_domain.errors import PelionError
from pelion_mbl_domain.fleet.retries import Retries
from pelion_mbl_domain.libraries import require_libraries
from pelion_mbl_domain.report.entries import BAD
from pelion_mbl_domain.report.files import is_written, read_report
from pelion_mbl_domain.words import nearest

TICK, LISTEN = 0.25, 0.02
"""Seconds between looks, and for how long one takes: what comes meanwhile waits in the sockets. No thread is needed."""
PATIENCE = 600.0
"""Seconds after which a run that left no report is taken for cut off."""
PLACE = "mbl-mdns-"
"""Begins the names of temporary directories."""
MOST = 500
"""Boards of one event: their names become one argument of a command."""
OPTIONS = yaml.safe_load(DOCUMENTATION)["options"]
TYPES = {"str": str, "int": int, "float": (int, float), "bool": bool, "list": list}
VERSIONS = {"ipv4": 4, "ipv6": 6}

logger = logging.getLogger("pelion.mbl.mbl_mdns")


async def main(queue: asyncio.Queue, args: Mapping[str, Any]) -> None:
    """Put events into ``queue`` until it is cancelled. Raises PelionError for ``args`` that are not the options."""
    options = read_options(args)
    require_libraries()
    roster = Roster.parse(options["roster"])
    rules = Rules(
        versions=tuple(VERSIONS[family] for family in options["address_families"]),
        txt=options["txt"],
        name_pattern=options["name_pattern"],
        roster=roster,
        hostnames=tuple(options["hostnames"]),
        name_template=options["name_template"],
        max_hosts=options["max_hosts"],
        allow_routed=options["allow_routed"],
    )
    with (
        place_for_reports() as reports,
        Watch(rules, options["interfaces"], options["service_types"]) as watch,
    ):
        retries = Retries(options["retry_pause"], options["retry_longest_pause"], PATIENCE)
        events = Events(reports, roster, retries if options["retry_pause"] else None)
        gathering = Gathering(options["gather"])
        told: set[str] = set()
        while True:
            await asyncio.sleep(TICK)
            changes = watch.receive(LISTEN)
            for text in set(watch.warnings) - told:
                logger.warning("%s", text)
            told = set(watch.warnings)
            now = time.monotonic()
            for change in changes:
                gathering.add(change, now)
            for event in (*events.of(gathering.take(now), now), *events.due(now)):
                await queue.put(event)
                # Whoever reads the queue runs in the same thread.
                await asyncio.sleep(0)


def read_options(args: Mapping[str, Any]) -> dict[str, Any]:
    """The documented options, with their defaults. Raises PelionError for one that is not there or of another type."""
    for name in args.keys() - OPTIONS.keys():
        near = nearest(str(name), OPTIONS)
        hint = f" Did you mean {near}?" if near else f" The options are {', '.join(sorted(OPTIONS))}."
        raise PelionError(f"The event source pelion.mbl.mbl_mdns has no option {name!r}.{hint}")
    return {name: _checked(name, args.get(name, option["default"]), option) for name, option in OPTIONS.items()}


def _checked(name: str, value: Any, option: Mapping[str, Any]) -> Any:
    """``value``, when it is one that ``option`` allows."""
    kind = option["type"]
    is_good = isinstance(value, TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))
    if is_good and kind == "list":
        is_good = all(isinstance(each, TYPES[option["elements"]]) for each in value)
    if is_good and kind in ("int", "float"):
        is_good = value >= 0
    if is_good and "choices" in option:
        is_good = bool(value) and set(value) <= set(option["choices"])
    if not is_good:
        wanted = f"{kind} of {' and '.join(option['choices'])}" if "choices" in option else kind
        hint = " Define the variable that it comes from." if type(value).__name__.endswith("Undefined") else ""
        raise PelionError(f"The event source pelion.mbl.mbl_mdns needs a {wanted} for {name}, not {value!r}.{hint}")
    return value


@contextlib.contextmanager
def place_for_reports() -> Iterator[Path]:
    """A directory of this source's own, locked while it is in use.

    Java ends ansible-rulebook at a signal before Python can clear up, so what others left is cleared away first.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{PLACE}*"):
        with contextlib.suppress(OSError), _locked(left):
            if left.stat().st_uid == os.getuid():
                shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=PLACE) as made, _locked(Path(made)):
        yield Path(made)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Raises OSError when another has locked it, or it is not a directory."""
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(opened)


class Events:
    """What is told, of boards that are there and of runs that were asked for.

    The runs leave their reports in ``reports``. Without ``retries`` nothing comes again.
    """

    def __init__(self, reports: Path, roster: Roster, retries: Retries | None) -> None:
        self._reports, self._roster, self._retries = reports, roster, retries
        self._there: dict[str, Host] = {}
        self._numbers = itertools.count(1)

    def of(self, changes: Iterable[Change], now: float) -> list[dict[str, Any]]:
        """Events that tell ``changes``."""
        groups: dict[tuple[str, bool], list[dict[str, Any]]] = {}
        for change in changes:
            name = change.board.name
            if self._retries:
                self._retries.forget([name])
            if change.what is What.LEFT:
                self._there.pop(name, None)
            else:
                self._there[name] = change.board
            told = "left" if change.what is What.LEFT else "appeared"
            described = describe(change.board, again=change.what is What.AGAIN)
            groups.setdefault((told, self._is_in_roster(name)), []).append(described)
        return [
            self._event(told, boards[start : start + MOST], in_roster=in_roster, now=now)
            for (told, in_roster), boards in sorted(groups.items(), reverse=True)
            for start in range(0, len(boards), MOST)
        ]

    def due(self, now: float) -> list[dict[str, Any]]:
        """Events that tell of boards to try again, by what the runs have reported."""
        if not self._retries:
            return []
        self._read_reports(self._retries, now)
        names = self._retries.due(now)
        boards = [describe(self._there[name], again=True, failures=self._retries.failures(name)) for name in names]
        return [
            self._event("retry", boards[start : start + MOST], in_roster=True, now=now)
            for start in range(0, len(boards), MOST)
        ]

    def _read_reports(self, retries: Retries, now: float) -> None:
        for directory in filter(is_written, self._reports.iterdir()):
            in_order: set[str] = set()
            try:
                in_order = {board.name for board in read_report(directory).boards if board.outcome not in BAD}
            except PelionError as error:
                logger.warning("%s", error)
            retries.answered(directory.name, in_order, now)
            shutil.rmtree(directory)

    def _event(self, told: str, boards: Sequence[dict[str, Any]], *, in_roster: bool, now: float) -> dict[str, Any]:
        names = [board["name"] for board in boards]
        event = {"change": told, "in_roster": in_roster, "boards": boards, "meta": {"hosts": names}}
        if in_roster and told != "left":
            run = str(next(self._numbers))
            event["report"] = str(self._reports / run)
            if self._retries:
                self._retries.asked(run, names, now)
        return event

    def _is_in_roster(self, name: str) -> bool:
        """Only a run can compare host keys: one that stands alone in the roster may be that of any board."""
        return name.lower() in self._roster.names or bool(self._roster.fingerprints)


def describe(board: Host, *, again: bool, failures: int = 0) -> dict[str, Any]:
    """``board`` as events tell of it. Its texts are those of the network."""
    return {
        "name": board.name,
        "instance": _harmless(board.instance),
        "hostname": _harmless(board.hostname),
        "address": board.addresses[0],
        "addresses": list(board.addresses),
        "port": board.port,
        "interface": board.interface,
        "txt": {key: value for key, value in board.txt.items() if _harmless(key) and _harmless(value or "-")},
        "last_seen": board.last_seen,
        "again": again,
        "failures": failures,
    }


def _harmless(text: str) -> str:
    """``text``; nothing in place of one that may hold a template.

    ansible-rulebook hands whole events to Ansible as extra variables, and those count as trusted there.
    """
    return "" if any(mark in text for mark in ("{{", "{%", "{#")) else text


if __name__ == "__main__":
    # By hand, with options of the form NAME=VALUE in YAML: python3 mbl_mdns.py interfaces='[eth1]'
    class _Printer(asyncio.Queue):
        async def put(self, item: Any) -> None:
            print(json.dumps(item), flush=True)

    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    try:
        asyncio.run(main(_Printer(), {name: yaml.safe_load(value) for name, value in given.items()}))
    except PelionError as error:
        sys.exit(f"mbl_mdns: {error}")
    except KeyboardInterrupt:
        pass
