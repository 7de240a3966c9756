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
  - A board's inventory name is the instance name that it advertises, for instance V(mbed-linux-os-9709). When one name
    is seen on several network interfaces with link-local addresses, each is a host of its own, named
    V(NAME-INTERFACE), and a warning tells so.
  - All boards are in the group V(mbl), which gets the connection variables that MBL's ssh server needs.
  - Anybody on the network can announce anything. What is no host name, or is the name of a group or of another host
    that is there, is left out with a warning, and all texts that come from the network are marked as untrusted, so that
    a template in them is not evaluated. Name this source last, behind your other sources.
notes:
  - A board's ssh host key is noted at the first contact and compared from then on, under the board's inventory name.
    After a board was flashed anew, remove its line with C(ssh-keygen -R NAME -f FILE), FILE being O(known_hosts).
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
    description:
      - How long to listen, in seconds. Listening ends earlier when all that announced itself is known and nothing new
        came for 2 seconds.
    type: float
    default: 5.0
  interfaces:
    description: Names of the network interfaces to ask on; all when empty.
    type: list
    elements: str
    default: []
  prefer:
    description: The address family to use for a board that has both.
    type: str
    choices: [ipv4, ipv6]
    default: ipv6
  expected:
    description:
      - How many boards must be found at the least. With fewer, the inventory fails, so that a CI run does not pass
        because its bench was switched off.
    type: int
    default: 0
  known_hosts:
    description: The file that keeps the boards' ssh host keys.
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
interfaces: [eth1]
expected: 20
groups:
  bench_one: mbl_interface == 'eth1'
"""

from collections.abc import Mapping
from shlex import quote
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from ..plugin_utils.discovery.discovery import FoundBoard, discover
from ..plugin_utils.errors import PelionError
from ..plugin_utils.libraries import require_libraries

try:
    # Since ansible-core 2.19 a text counts as untrusted, and `ansible-inventory --list` shows it as such, unless…
    from ansible.template import trust_as_template
except ImportError:

    def trust_as_template(value: str) -> str:
        return value


# dropbear 2018.76 to 2019.78 (MBL 0.5 to 0.10) signs with SHA-1 only; curve25519 halves the time of a handshake
# between a new client and a new server.
SSH_ARGUMENTS = (
    "-o HostKeyAlgorithms=+ssh-rsa -o PubkeyAcceptedAlgorithms=+ssh-rsa "
    "-o KexAlgorithms=curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,diffie-hellman-group14-sha256 "
    "-o StrictHostKeyChecking=accept-new "
    # A shared connection to a board that hangs would be waited for without end.
    "-o ServerAliveInterval=10 -o ServerAliveCountMax=3"
)


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "pelion.mbl.mbl_mdns"

    def verify_file(self, path: str) -> bool:
        return super().verify_file(path) and path.endswith(("mbl_mdns.yml", "mbl_mdns.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        hosts = self._hosts(path, cache)
        if len(hosts) < self.get_option("expected"):
            raise AnsibleParserError(
                f"{len(hosts)} MBL boards were found, but {self.get_option('expected')} are expected. Are they on "
                "and connected? A board that has just started may not be advertised yet."
            )
        self.inventory.add_group("mbl")
        for variable, value in {
            "ansible_connection": "ssh",
            "ansible_user": "root",
            "ansible_shell_type": "sh",
        }.items():
            self.inventory.set_variable("mbl", variable, trust_as_template(value))
        for name, variables in hosts.items():
            if self._is_taken(name):
                self.display.warning(f"mbl_mdns leaves out {name}, which calls itself like something that is there.")
            else:
                self._add(name, variables)

    def _is_taken(self, name: str) -> bool:
        """Whether a group or a host that is no board has that name: an announcement must not lead it astray."""
        host = self.inventory.hosts.get(name)
        known_board = host is not None and "mbl" in {group.name for group in host.get_groups()}
        return name in ("localhost", *self.inventory.groups) or (host is not None and not known_board)

    def _hosts(self, path: str, cache: bool) -> dict[str, dict[str, Any]]:
        """Variables by host name, from the cache or from the network."""
        key = self.get_cache_key(path)
        use_cache = self.get_option("cache")
        if use_cache and cache:
            try:
                return dict(self._cache[key])
            except KeyError:
                pass
        hosts = self._discover()
        if use_cache:
            self._cache[key] = hosts
        return hosts

    def _discover(self) -> dict[str, dict[str, Any]]:
        try:
            require_libraries()
            found = discover(
                self.get_option("timeout"),
                self.get_option("interfaces"),
                prefer_ipv4=self.get_option("prefer") == "ipv4",
            )
        except PelionError as error:
            raise AnsibleParserError(str(error)) from error
        for refused in found.refused:
            self.display.warning(f"mbl_mdns leaves out {refused}.")
        shared = [
            board.name for board in found.boards if board.interface and board.name.endswith(f"-{board.interface}")
        ]
        if shared:
            self.display.warning(
                "One name was announced on several network interfaces, so each is listed as a board of its own: "
                + ", ".join(shared)
            )
        return {board.name: _variables(board) for board in found.boards}

    def _add(self, name: str, variables: Mapping[str, Any]) -> None:
        self.inventory.add_host(name, group="mbl")
        for variable, value in variables.items():
            self.inventory.set_variable(name, variable, wrap_var(value))
        known_hosts = quote(self.get_option("known_hosts"))
        arguments = f"{SSH_ARGUMENTS} -o HostKeyAlias={name} -o UserKnownHostsFile={known_hosts}"
        self.inventory.set_variable(name, "ansible_ssh_common_args", wrap_var(arguments))
        strict = self.get_option("strict")
        all_variables = self.inventory.get_host(name).get_vars()
        self._set_composite_vars(self.get_option("compose"), all_variables, name, strict)
        self._add_host_to_composed_groups(self.get_option("groups"), all_variables, name, strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), all_variables, name, strict)


def _variables(board: FoundBoard) -> dict[str, Any]:
    return {
        "ansible_host": board.addresses[0],
        "ansible_port": board.port,
        "mbl_addresses": list(board.addresses),
        "mbl_interface": board.interface,
    }
