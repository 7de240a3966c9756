# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin with a network of the test's own making; tests/integration has a real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# Announces services on loopback while `ansible-inventory` runs.
ANNOUNCE = """
import subprocess, sys
from zeroconf import ServiceInfo, Zeroconf
server = Zeroconf(interfaces=["127.0.0.1"])
for name in sys.argv[1].split("|"):
    kind = "_ssh._tcp.local."
    info = ServiceInfo(kind, f"{name}.{kind}", port=22, parsed_addresses=["127.0.0.1"], properties={"mblos": None},
                       server="host.local.")
    server.register_service(info, cooperating_responders=True)
ended = subprocess.run(sys.argv[2:])
server.close()
sys.exit(ended.returncode)
"""


@pytest.fixture
def listing(tmp_path):
    """``listing(names, *other sources)``: what `ansible-inventory --list` says while these names are announced."""
    (tmp_path / "mbl_mdns.yml").write_text("plugin: pelion.mbl.mbl_mdns\ninterfaces: [lo]\n")

    def run(names: list[str], *sources: Path) -> tuple[dict, str]:
        inventories = [argument for source in (*sources, tmp_path / "mbl_mdns.yml") for argument in ("-i", source)]
        command = [sys.executable, "-m", "ansible", "inventory", *inventories, "--list"]
        ended = subprocess.run(
            [sys.executable, "-c", ANNOUNCE, "|".join(names), *command],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build"), "HOME": str(tmp_path)},
        )
        return json.loads(ended.stdout), " ".join(ended.stderr.split())

    return run


def test_boards_are_in_the_group_with_their_connection_variables(listing):
    found, _warnings = listing(["mbed-linux-os-1", "mbed-linux-os-22"])
    assert sorted(found["mbl"]["hosts"]) == ["mbed-linux-os-1", "mbed-linux-os-22"]
    variables = found["_meta"]["hostvars"]["mbed-linux-os-22"]
    assert variables["ansible_user"] == "root"
    assert "127.0.0.1" in str(variables["ansible_host"])
    assert "HostKeyAlias=mbed-linux-os-22" in str(variables["ansible_ssh_common_args"])


def test_an_announcement_does_not_lead_other_hosts_astray(listing, tmp_path):
    hosts = tmp_path / "hosts.yml"
    hosts.write_text("prod:\n  hosts:\n    db-server:\n      ansible_host: 192.0.2.1\n")
    found, warnings = listing(["db-server", "prod", "localhost", "mbed-linux-os-1"], hosts)
    assert found["mbl"]["hosts"] == ["mbed-linux-os-1"]
    assert found["_meta"]["hostvars"]["db-server"] == {"ansible_host": "192.0.2.1"}
    assert "leaves out db-server" in warnings


def test_a_board_that_the_user_listed_gets_its_address(listing, tmp_path):
    hosts = tmp_path / "hosts.yml"
    hosts.write_text("mbl:\n  hosts:\n    mbed-linux-os-1:\n      bench: left\n")
    found, _warnings = listing(["mbed-linux-os-1"], hosts)
    variables = found["_meta"]["hostvars"]["mbed-linux-os-1"]
    assert variables["bench"] == "left"
    assert "ansible_host" in variables


def test_a_template_in_an_announcement_is_not_evaluated(listing):
    found, warnings = listing(["{{ 6 * 7 }}"])
    assert "mbl" not in found or not found["mbl"].get("hosts")
    assert "42" not in json.dumps(found)
    assert "no host name" in warnings
