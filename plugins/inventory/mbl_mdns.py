# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: mbl_mdns
short_description: Mbed Linux OS boards that announce themselves over multicast DNS
version_added: 0.1.0
author:
  - The pelion.mbl contributors (@pelion)
description:
  - Finds the boards on the networks of this machine that advertise an ssh server with the TXT record C(mblos), as
    every Mbed Linux OS (MBL) board does, over IPv4 and IPv6.
  - It asks at once and repeatedly, in the two ways that multicast DNS has, until it is unlikely that a board missed
    every question. A board whose answer got lost, or that answered somebody else a moment ago, is found, too.
  - The name of the source's file must end with C(mbl_mdns.yml) or C(mbl_mdns.yaml); Ansible reads no other one with
    this plugin.
  - A board's inventory name is the instance name that it advertises, for instance V(mbed-linux-os-9709). When boards on
    several network interfaces have one name and no address in common, each is a host of its own, named
    V(NAME-INTERFACE), and a warning says so.
  - All boards are in the group V(mbl), which gets the connection variables that MBL's ssh server needs. What you set
    for that group or for a board in a source named before this one is kept. The options for C(ssh) are in
    C(ansible_ssh_extra_args) and its siblings for C(scp) and C(sftp), so C(ansible_ssh_common_args),
    C(--ssh-common-args) and C(ssh_args) stay yours, for instance for a jump host.
  - Each host has the variables C(mbl_instance), C(mbl_hostname), C(mbl_txt), C(mbl_port), C(mbl_addresses),
    C(mbl_interface) and C(mbl_last_seen); a board with a pinned host key has C(mbl_host_key_pins). The group has
    C(mbl_known_hosts), the file with the host keys, in which a board is found under its inventory name, and
    C(mbl_seen_file), see O(seen_file).
  - Anybody on the network can announce anything. A name that is not of the form O(name_pattern) and not in the
    O(roster), or that means something else already (C(localhost), an address, a group, another host or its
    C(ansible_host)) does not become a host, nor does an address that cannot belong to a board on that link. Warnings
    say what was left out. Texts that come from the network are marked as untrusted, so that a template in them is not
    evaluated.
notes:
  - B(Too few boards.) Ansible treats an inventory source that fails as a warning, and a play without hosts as a
    success. When fewer than O(expected) boards were found, or the search failed, this source therefore also sets
    C(mbl_discovery_problem), a text, for all hosts, C(localhost) included. The role and the playbooks of this
    collection refuse to work then; in a play of yours, check it on C(localhost) with C(ansible.builtin.assert) and
    C(that) V(mbl_discovery_problem is not defined). To fail at once instead, set
    E(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=true).
  - A board's ssh host key is noted at the first contact and compared from then on, under the board's inventory name.
    After a board was flashed anew, remove its line with C(ssh-keygen -R NAME -f FILE), FILE being O(known_hosts).
  - This is for Linux, which reports how many answers it had to drop. Other systems may or may not work.
requirements:
  - zeroconf >= 0.131 (Python library)
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [pelion.mbl.mbl_mdns]
  timeout:
    description: How long to search at most, in seconds. A search ends earlier when all is known.
    type: float
    default: 5.0
  quiet_period:
    description:
      - How long no new answer must come before the search may end, in seconds. Where exactly those boards have
        answered that earlier runs found, a quarter of a second is enough.
      - Where nothing answers at all, the search waits twice as long, because boards that answered somebody else a
        moment ago stay silent for a second.
    type: float
    default: 0.6
  interfaces:
    description: Names of the network interfaces to ask on; all when empty.
    type: list
    elements: str
    default: []
  address_families:
    description: The address families to use, the preferred one first.
    type: list
    elements: str
    choices: [ipv4, ipv6]
    default: [ipv6, ipv4]
  service_types:
    description: The types of service to look for.
    type: list
    elements: str
    default: [_ssh._tcp]
  txt:
    description: What the TXT record of a board must contain, a key (V(mblos)) or a key with its value (V(kind=bench)).
    type: str
    default: mblos
  hostnames:
    description:
      - What to call a board by, its V(instance) name or the V(hostname) of its service without the domain. The first
        that can be the name of a host is used.
    type: list
    elements: str
    choices: [instance, hostname]
    default: [instance]
  name_pattern:
    description: A regular expression of the names that boards have. Those of the O(roster) are boards as well.
    type: str
    default: mbed-linux-os-[0-9]+
  name_template:
    description:
      - How to form a board's inventory name, with V({name}) and V({interface}) in it. For instance, V(left-{name})
        distinguishes the boards of two benches, and their host keys.
    type: str
    default: "{name}"
  roster:
    description:
      - The boards that you know. Each entry is the name of a board in the inventory, the fingerprint of an ssh host key
        as C(ssh-keygen -l) prints it (V(SHA256:…)), or a name followed by the fingerprints that its host key may have,
        separated by spaces.
      - The host key of a name with fingerprints is compared before anything is sent; this needs OpenSSH 8.5 or newer.
      - Boards of the roster are asked for by name as well, and those that are missing are named.
    type: list
    elements: str
    default: []
  addresses:
    description:
      - Boards where multicast does not reach, by their names in the inventory, each with an IP address or host name
        and, where it is not 22, the port, as in V(192.0.2.7:2222) and V([fe80::7%eth1]:2222).
    type: dict
    default: {}
  max_hosts:
    description:
      - The largest number of boards. If more are announced, those of the roster and those seen before come
        first, then the first of each sender.
    type: int
    default: 2000
  allow_routed:
    description: Whether a board may have an address that is not on a network of the interface on which it was heard.
    type: bool
    default: false
  expected:
    description:
      - The smallest number of boards. The search waits for them until the O(timeout) is over; with fewer, the source
        fails, see the notes. So a CI run does not pass because its bench was switched off.
    type: int
    default: 0
    aliases: [min_devices]
  seen_file:
    description:
      - The file that keeps which boards earlier runs found. They are asked for by name as well, and those that are
        missing are named, for 30 days, or until C(pelion.mbl.remove_gone) removes them.
      - By default a file in C($XDG_STATE_HOME/pelion-mbl) or C(~/.local/state/pelion-mbl), one for all sources that
        look for the same, by O(interfaces), O(service_types), O(txt), O(hostnames), O(name_pattern) and
        O(name_template).
    type: path
  known_hosts:
    description: The file that keeps the boards' ssh host keys. Its directory is created.
    type: path
    default: ~/.ssh/known_hosts_mbl
    env:
      - name: MBL_KNOWN_HOSTS
"""

EXAMPLES = r"""
# inventory/mbl_mdns.yml: all boards of all networks of this machine
plugin: pelion.mbl.mbl_mdns
---
# Boards on the bench's own network only; at least 20 of them; those behind eth1 also in a group of their own
plugin: pelion.mbl.mbl_mdns
interfaces: [eth1, eth2]
expected: 20
groups:
  bench_one: mbl_interface == 'eth1'
---
# Two known boards, the host key of one pinned, and one at another site
plugin: pelion.mbl.mbl_mdns
roster:
  - mbed-linux-os-9709
  - mbed-linux-os-1234 SHA256:uNiVztksCsDhcc0u9e8BrrQXVUpKZIDTMczCvj3tD2s
addresses:
  mbed-linux-os-77: 192.0.2.77
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from ..plugin_utils.discovery import by_hand
from ..plugin_utils.discovery.discover import discover
from ..plugin_utils.discovery.hosts import Announcement, Host, Rules, select
from ..plugin_utils.discovery.links import Link, chosen, links
from ..plugin_utils.discovery.missing import missing_boards
from ..plugin_utils.discovery.roster import Roster
from ..plugin_utils.discovery.seen_boards import SeenBoards, usual_file
from ..plugin_utils.discovery.ssh import (
    ARGUMENTS,
    CONTROL_PATH,
    HOST_KEY_ARGUMENTS,
    HOST_KEY_NOTED,
    NO_TERMINAL,
    pinned,
)
from ..plugin_utils.discovery.taken_names import OtherHost, TakenNames
from ..plugin_utils.errors import PelionError
from ..plugin_utils.libraries import require_libraries
from ..plugin_utils.words import nearest

try:
    # Since ansible-core 2.19 a text counts as untrusted, and `ansible-inventory --list` shows it as such, unless…
    from ansible.template import trust_as_template
except ImportError:

    def trust_as_template(value: str) -> str:
        return value


GROUP = "mbl"
PROBLEM = "mbl_discovery_problem"
VERSIONS = {"ipv4": 4, "ipv6": 6}
SOUGHT = ("interfaces", "service_types", "txt", "hostnames", "name_pattern", "name_template")
"""Options that say what is sought; sources that agree in them know of the same boards."""
CONNECTION = {
    "ansible_connection": "ssh",
    "ansible_user": "root",
    "ansible_shell_type": "sh",
    "ansible_ssh_extra_args": f"{NO_TERMINAL} {ARGUMENTS}",
    "ansible_scp_extra_args": ARGUMENTS,
    "ansible_sftp_extra_args": ARGUMENTS,
    "ansible_control_path": CONTROL_PATH,
}


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "pelion.mbl.mbl_mdns"

    def verify_file(self, path: str) -> bool:
        return super().verify_file(path) and path.endswith(("mbl_mdns.yml", "mbl_mdns.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._refuse_misspelt(self._read_config_data(path))
        try:
            require_libraries()
            boards = self._boards(path, cache)
            self._add_group()
            self._taken = self._taken_names()
            names = [name for board in boards if (name := self._add(board))]
            expected = self.get_option("expected")
            if len(names) < expected:
                raise PelionError(
                    f"{len(names)} MBL boards were found, but {expected} are expected. Check that they are on and "
                    "connected. A board that has just started may not announce itself yet."
                )
        except PelionError as error:
            # Ansible goes on after a source that failed, so the plays must be able to see it, and what was found.
            problems = [self.inventory.groups["all"].vars.get(PROBLEM), str(error)]
            self.inventory.set_variable("all", PROBLEM, " ".join(filter(None, problems)))
            self.inventory.reconcile_inventory()
            raise AnsibleParserError(str(error)) from error

    def _refuse_misspelt(self, config: Mapping[str, Any]) -> None:
        definitions = constants.config.get_configuration_definitions("inventory", self._load_name)
        known = set(definitions).union(*(definition.get("aliases") or () for definition in definitions.values()))
        for name in config.keys() - known:
            near = nearest(str(name), known)
            hint = f" Did you mean {near}?" if near else ""
            raise AnsibleParserError(f"pelion.mbl.mbl_mdns has no option {name!r}.{hint}")

    def _boards(self, path: str, cache: bool) -> list[Host]:
        """What the user wrote down, and what is in the cache or on the network."""
        noted = by_hand.boards(self.get_option("addresses"))
        seen_boards = SeenBoards(self._seen_file())
        try:
            seen = seen_boards.recall()
        except PelionError as error:
            self.display.warning(str(error))
            seen = {}
        roster = self._roster = Roster.parse(self.get_option("roster"))
        rules = Rules(
            versions=tuple(VERSIONS[family] for family in self.get_option("address_families")),
            txt=self.get_option("txt"),
            name_pattern=self.get_option("name_pattern"),
            roster=roster,
            seen_before=frozenset(seen),
            hostnames=tuple(self.get_option("hostnames")),
            name_template=self.get_option("name_template"),
            max_hosts=self.get_option("max_hosts"),
            allow_routed=self.get_option("allow_routed"),
        )
        every_link = links()
        key = self.get_cache_key(path)
        announcements = self._cached(key) if self.get_option("cache") and cache else None
        is_cached = announcements is not None
        if announcements is None:
            announcements = self._discover(rules, every_link, seen, len(noted))
        selection = select(announcements, rules, every_link)
        self._warn(selection.warnings)
        if not is_cached:
            self._keep(key, announcements, selection.boards)
            self._remember(seen_boards, selection.boards, selection.is_capped)
        by_name = {board.name.lower(): board for board in (*selection.boards, *noted)}
        if missing := missing_boards(by_name.values(), roster, seen):
            self._warn(
                [f"Boards that were not found: {', '.join(f'{name} ({why})' for name, why in missing.items())}."]
            )
        return sorted(by_name.values(), key=lambda board: board.name)

    def _discover(
        self, rules: Rules, every_link: tuple[Link, ...], seen: Mapping[str, str], noted: int
    ) -> tuple[Announcement, ...]:
        found = discover(
            rules,
            every_link,
            chosen(every_link, self.get_option("interfaces")),
            timeout=self.get_option("timeout"),
            quiet=self.get_option("quiet_period"),
            kinds=self.get_option("service_types"),
            by_name=[*seen, *rules.roster.names],
            expected=max(self.get_option("expected") - noted, 0),
        )
        self._warn(found.warnings)
        if found.dropped:
            self._warn(
                [
                    f"{found.dropped} answers were dropped because the receive buffer was full, so boards may be "
                    "missing. Allow a larger one: sysctl -w net.core.rmem_max=16777216"
                ]
            )
        return found.announcements

    def _cached(self, key: str) -> list[Announcement] | None:
        """What an earlier run kept, None when there is nothing. It is checked like what comes from the network."""
        try:
            kept = self._cache[key]
        except KeyError:
            return None
        announcements = []
        for plain in kept if isinstance(kept, list) else []:
            try:
                announcements.append(Announcement.from_plain(plain))
            except ValueError:
                self.display.warning(
                    "mbl_mdns: an entry of the inventory cache is not one of this plugin's, and is left out."
                )
        return announcements

    def _keep(self, key: str, announcements: Iterable[Announcement], boards: Iterable[Host]) -> None:
        """Cache what makes the boards; that there were none is no knowledge to keep."""
        used = {(board.instance, board.interface) for board in boards}
        kept = [each.to_plain() for each in announcements if (each.instance, each.interface) in used]
        if self.get_option("cache") and kept:
            self._cache[key] = kept

    def _remember(self, seen_boards: SeenBoards, boards: Iterable[Host], is_capped: bool) -> None:
        # In a flood of names nobody knows which ones are boards.
        if not is_capped:
            try:
                seen_boards.note(boards)
            except PelionError as error:
                self.display.warning(str(error))

    def _seen_file(self) -> Path:
        if self.get_option("seen_file"):
            return Path(self.get_option("seen_file"))
        return usual_file([self.get_option(name) for name in SOUGHT])

    def _warn(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.display.warning(f"mbl_mdns: {text}")

    def _add_group(self) -> None:
        """The group, with what all boards have in common. What the user said of it before stays."""
        known_hosts = self.get_option("known_hosts")
        if '"' in known_hosts or "\n" in known_hosts:
            raise PelionError(f"known_hosts {known_hosts!r}: ssh does not accept this file name.")
        try:
            Path(known_hosts).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise PelionError(f"The directory of known_hosts {known_hosts} cannot be created: {error}.") from error
        self.inventory.add_group(GROUP)
        own = self.inventory.groups[GROUP].vars
        for variable, value in {
            **CONNECTION,
            "mbl_known_hosts": known_hosts,
            "mbl_seen_file": str(self._seen_file()),
            HOST_KEY_ARGUMENTS: HOST_KEY_NOTED,
        }.items():
            if variable not in own:
                self.inventory.set_variable(GROUP, variable, trust_as_template(value))

    def _add(self, board: Host) -> str | None:
        """Add a board, unless its name means something else already; the name it has got."""
        name = self._taken.spelling_of(board.name)
        if name is None:
            self._warn([f"Left out, because the name is that of a group or another host: {board.name}."])
            return None
        self.inventory.add_host(name, group=GROUP)
        own = self.inventory.hosts[name].vars
        for variable, value in self._variables(board).items():
            if variable not in own or variable.startswith("mbl_"):
                self.inventory.set_variable(name, variable, wrap_var(value))
        try:
            self._construct(name)
        except Exception as error:
            if self.get_option("strict"):
                raise
            # Texts of the network can make of an expression what is no name of a group.
            self.inventory.remove_host(self.inventory.hosts[name])
            self._warn([f"Left out, because compose, groups or keyed_groups cannot be evaluated: {name} ({error})."])
            return None
        return name

    def _taken_names(self) -> TakenNames:
        """What other sources, and Ansible itself, have named so far."""
        hosts = []
        for name, host in self.inventory.hosts.items():
            address = host.vars.get("ansible_host")
            hosts.append(OtherHost(name, None if address is None else str(address), self._is_ours(host)))
        return TakenNames(hosts, self.inventory.groups, constants.LOCALHOST)

    def _is_ours(self, host: Any) -> bool:
        """Whether a host that another source named is a board: it is in our group, or in the roster."""
        return GROUP in {group.name for group in host.get_groups()} or host.name.lower() in self._roster.names

    def _variables(self, board: Host) -> dict[str, Any]:
        pins = self._roster.pinned(board.name)
        return {
            "ansible_host": board.addresses[0],
            "ansible_port": board.port,
            "mbl_instance": board.instance,
            "mbl_hostname": board.hostname,
            "mbl_txt": dict(board.txt),
            "mbl_port": board.port,
            "mbl_addresses": list(board.addresses),
            "mbl_interface": board.interface,
            "mbl_last_seen": board.last_seen,
            **({"mbl_host_key_pins": sorted(pins), HOST_KEY_ARGUMENTS: pinned(pins)} if pins else {}),
        }

    def _construct(self, name: str) -> None:
        strict = self.get_option("strict")
        variables = self.inventory.get_host(name).get_vars()
        self._set_composite_vars(self.get_option("compose"), variables, name, strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict)
