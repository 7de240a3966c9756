# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin with boards on a wire, as `ansible-inventory` and `ansible-playbook` see it.

tests/versions runs this with other versions of ansible-core.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mdns.street import Street, board
from warm import commands

ROOT = Path(__file__).parents[2]


class Bench:
    """A street with boards, and a directory with inventory sources."""

    def __init__(self, street: Street, home: Path) -> None:
        self.street = street
        self.home = home
        self.directory = home / "inventory"
        self.directory.mkdir(parents=True)

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def configure(self, options: str = "", name: str = "mbl_mdns.yml") -> None:
        self.write(name, f"plugin: pelion.mbl.mbl_mdns\n{options}\n")

    def run(self, command: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        everything = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build"),
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "5000",
            **environment,
        }
        called = commands() / ("ansible" if command == "adhoc" else f"ansible-{command}")
        return self.street.run(called, "-i", self.directory, *arguments, env=everything, check=False)

    def list(self, **environment: str) -> tuple[dict[str, Any], str]:
        """The whole inventory, and the warnings."""
        ended = self.run("inventory", "--list", **environment)
        assert ended.returncode == 0, ended.stderr
        found = json.loads(ended.stdout)
        return found, " ".join(ended.stderr.split())

    def hosts(self) -> dict[str, dict[str, Any]]:
        """Of the group mbl: the variables of each host."""
        found, _warnings = self.list()
        return {name: variables(found, name) for name in found.get("mbl", {}).get("hosts", [])}

    def ssh(self, host: str, *options: str) -> list[str]:
        """The arguments with which Ansible calls `ssh` for a host."""
        words = self.home / "ssh"
        words.write_text('#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done >"$0.arguments"\nexit 255\n')
        words.chmod(0o755)
        arguments = [host, "-m", "ansible.builtin.raw", "-a", "true", "-e", f"ansible_ssh_executable={words}"]
        self.run("adhoc", *arguments, *options)
        return Path(f"{words}.arguments").read_text().splitlines()


def says(warnings: str, text: str) -> bool:
    """Whether warnings have that text; ansible-core 2.16 breaks lines also at hyphens."""
    return "".join(text.split()) in "".join(warnings.split())


def variables(found: dict[str, Any], name: str) -> dict[str, Any]:
    """The variables of a host without the marks that ansible-core 2.16 puts on untrusted texts."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return (
                value["__ansible_unsafe"]
                if set(value) == {"__ansible_unsafe"}
                else {k: plain(v) for k, v in value.items()}
            )
        return [plain(each) for each in value] if isinstance(value, list) else value

    return plain(found["_meta"]["hostvars"][name])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    if os.geteuid() != 0:
        pytest.skip("needs root for a network namespace")
    with Street() as street:
        made = Bench(street, tmp_path / "home")
        made.configure()
        yield made


def test_boards_are_in_the_group_with_their_variables(bench: Bench) -> None:
    bench.street.inhabit([board(1), board(22, text="mblos=yes", port=2222)])
    found, _warnings = bench.list()
    assert sorted(found["mbl"]["hosts"]) == ["mbed-linux-os-1", "mbed-linux-os-22"]
    told = variables(found, "mbed-linux-os-22")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", told.pop("mbl_last_seen"))
    common = {"ansible_connection", "ansible_user", "ansible_shell_type", "mbl_known_hosts", "mbl_seen_file"}
    assert common <= set(told)
    told.pop("mbl_seen_file")
    assert {name: value for name, value in told.items() if name.startswith("mbl_") and "host" not in name} == {
        "mbl_instance": "mbed-linux-os-22",
        "mbl_txt": {"mblos": "yes"},
        "mbl_port": 2222,
        "mbl_addresses": ["fe80::ff:0:16%eth0", "10.0.0.24"],
        "mbl_interface": "eth0",
    }
    assert told["mbl_hostname"] == "mbed-linux-os-22.local"
    assert (told["ansible_host"], told["ansible_port"]) == ("fe80::ff:0:16%eth0", 2222)


# Nobody fooled


@pytest.mark.parametrize("name", ["a_hosts.yml", "z_hosts.yml"], ids=["before", "after"])
def test_an_announcement_does_not_lead_other_hosts_astray(bench: Bench, name: str) -> None:
    """Whichever source is read first: a directory is read in the order of the alphabet."""
    bench.write(name, "prod:\n  hosts:\n    db-server:\n      ansible_host: 192.0.2.1\n    OTHER:\n  vars: {a: b}\n")
    announced = ["db-server", "prod", "localhost", "127.0.0.1", "::1", "other", "192.0.2.1", "all"]
    bench.street.inhabit([board(n, name=each, host=f"h{n}.local.") for n, each in enumerate(announced)] + [board(100)])
    found, _warnings = bench.list()
    assert found["mbl"]["hosts"] == ["mbed-linux-os-100"]
    assert found["_meta"]["hostvars"]["db-server"] == {"ansible_host": "192.0.2.1", "a": "b"}
    assert found["_meta"]["hostvars"]["OTHER"] == {"a": "b"}


def test_a_name_that_is_there_is_left_out_whatever_the_pattern(bench: Bench) -> None:
    """In any case of letters; also a group, and what a host is called to ssh."""
    bench.write("a_hosts.yml", "prod:\n  hosts:\n    Db:\n    alias:\n      ansible_host: real.example\n")
    bench.configure("name_pattern: '.*'")
    names = ["db", "PROD", "real.example", "ALL", "mbl", "LocalHost", "127.1", "free"]
    bench.street.inhabit([board(n, name=each, host=f"h{n}.local.") for n, each in enumerate(names)])
    found, warnings = bench.list()
    assert found["mbl"]["hosts"] == ["free"]
    assert says(warnings, "Left out, because the name is that of a group or another host: db.")


def test_the_plays_localhost_stays_here(bench: Bench) -> None:
    bench.configure("name_pattern: '.*'")
    bench.street.inhabit([board(0, name="127.0.0.1", host="x.local."), board(1)])
    bench.write("../play.yml", "- hosts: localhost\n  gather_facts: false\n  tasks: [{command: 'true'}]\n")
    ended = bench.run("playbook", bench.home / "play.yml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "ok=1" in ended.stdout


def test_a_template_in_an_announcement_is_not_evaluated(bench: Bench) -> None:
    bench.street.inhabit([board(0, text="mblos={{ 6 * 7 }}"), board(1, name="{{ 6 * 7 }}", host="h.local.")])
    bench.write(
        "../play.yml", "- hosts: mbl\n  gather_facts: false\n  connection: local\n  tasks: [{debug: {var: mbl_txt}}]\n"
    )
    found, _warnings = bench.list()
    assert found["mbl"]["hosts"] == ["mbed-linux-os-0"]
    assert "{{ 6 * 7 }}" in json.dumps(found)
    # Newer versions end the play, older ones show the text as it is; none works it out.
    assert "42" not in bench.run("playbook", bench.home / "play.yml").stdout.replace("{{ 6 * 7 }}", "")


def test_what_cannot_be_the_name_of_a_group_leaves_out_one_board_only(bench: Bench) -> None:
    bench.configure("keyed_groups:\n  - key: mbl_txt.kind\n    prefix: ''\n    separator: ''")
    bench.street.inhabit([board(0), board(1, text="mblos"), board(2, name="True", host="t.local.")])
    hosts = bench.hosts()
    assert {"mbed-linux-os-0", "mbed-linux-os-1"} <= set(hosts)
    assert "True" not in hosts


def test_a_value_for_a_name_kills_no_inventory(bench: Bench) -> None:
    bench.configure("txt: kind\nkeyed_groups:\n  - key: mbl_txt.kind\n    prefix: ''\n    separator: ''")
    bench.street.inhabit([board(0, text="kind=bench"), board(1, text="kind=True"), board(2, text="kind=7")])
    assert "mbed-linux-os-0" in bench.hosts()


def test_what_comes_from_the_cache_is_checked(bench: Bench, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    bench.configure(f"cache: true\ncache_plugin: ansible.builtin.jsonfile\ncache_connection: {cache}")
    bench.street.inhabit([board(1), board(2)])
    assert set(bench.hosts()) == {"mbed-linux-os-1", "mbed-linux-os-2"}
    (file,) = cache.iterdir()
    kept = json.loads(file.read_text())
    entries = kept.get("__payload__", kept) if isinstance(kept, dict) else kept
    entries = json.loads(entries) if isinstance(entries, str) else entries
    entries = sorted(entries, key=lambda entry: entry["instance"])
    bad = [
        {**entries[0], "instance": "-oProxyCommand=touch${IFS}/tmp/x"},
        {**entries[0], "instance": "localhost"},
        {**entries[0], "instance": "mbed-linux-os-9", "addresses": ["-oProxyCommand=x"]},
        {**entries[0], "instance": "mbed-linux-os-8", "addresses": ["8.8.8.8"]},
        {"strange": 1},
        7,
    ]
    forged = [*bad, entries[1]]
    payload = {**kept, "__payload__": json.dumps(forged)} if "__payload__" in kept else forged
    file.write_text(json.dumps(payload))
    found, warnings = bench.list()
    assert found["mbl"]["hosts"] == ["mbed-linux-os-2"]
    assert "ProxyCommand" not in json.dumps(found["_meta"])
    assert "left out" in warnings.lower()


def test_an_empty_result_is_not_cached(bench: Bench, tmp_path: Path) -> None:
    cache = f"cache: true\ncache_plugin: ansible.builtin.jsonfile\ncache_connection: {tmp_path / 'cache'}"
    bench.configure(cache)
    assert bench.hosts() == {}
    bench.street.inhabit([board(1)])
    assert set(bench.hosts()) == {"mbed-linux-os-1"}


# Too few


def test_too_few_boards_are_a_failure_that_plays_can_see(bench: Bench) -> None:
    bench.configure("expected: 2\ntimeout: 1.5")
    bench.street.inhabit([board(1)])
    play = (
        "- hosts: {}\n  gather_facts: false\n  connection: local\n"
        "  tasks: [{{assert: {{that: mbl_discovery_problem is not defined}}}}]\n"
    )
    for hosts in ("localhost", "mbl"):
        bench.write("../play.yml", play.format(hosts))
        ended = bench.run("playbook", bench.home / "play.yml")
        assert ended.returncode == 2, ended.stdout + ended.stderr
        assert "1 MBL boards were found, but 2 are expected" in " ".join(ended.stderr.split())
    failing = bench.run("playbook", bench.home / "play.yml", ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="true")
    assert failing.returncode != 0
    bench.configure("min_devices: 1")
    bench.write("../play.yml", play.format("localhost"))
    assert bench.run("playbook", bench.home / "play.yml").returncode == 0


def test_an_interface_that_is_not_there_is_a_failure_that_plays_can_see(bench: Bench) -> None:
    bench.configure("interfaces: [eth9]")
    bench.write(
        "../play.yml", "- hosts: localhost\n  gather_facts: false\n  tasks: [{debug: {var: mbl_discovery_problem}}]\n"
    )
    assert "no network interface 'eth9'" in bench.run("playbook", bench.home / "play.yml").stdout


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("time_out: 3", "no option 'time_out'. Did you mean timeout?"),
        ("name_pattern: '['", "not a regular expression"),
        ("name_template: x", "does not contain {name}"),
        ("name_template: '{name}{strange}'", "cannot be filled in"),
        ("roster: ['a b c']", "roster's entry 'a b c'"),
        ("addresses: {mbed-linux-os-1: '-oProxyCommand=x'}", "neither an IP address nor a host name"),
        ("addresses: {localhost: 192.0.2.1}", "not the name of a host"),
    ],
)
def test_what_cannot_be_meant_is_refused(bench: Bench, option: str, told: str) -> None:
    bench.configure(option)
    found, warnings = bench.list()
    assert "mbl" not in found
    assert says(warnings, told)


# Known boards


def test_boards_seen_before_are_remembered_and_named_when_missing(bench: Bench) -> None:
    there = bench.street.inhabit([board(1), board(2)])
    bench.list()
    (file,) = (bench.home / ".local/state/pelion-mbl").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    bench.street.leave(there)
    bench.street.inhabit([board(1, lacks=["PTR"])])
    found, warnings = bench.list()
    # It answers to its name alone.
    assert found["mbl"]["hosts"] == ["mbed-linux-os-1"]
    assert says(warnings, "Boards that were not found: mbed-linux-os-2 (last seen 20")


def test_a_copy_of_a_source_has_the_same_memory_and_a_source_for_another_place_its_own(bench: Bench) -> None:
    """ansible-rulebook and ansible-runner copy the inventory for each run, to another place each time."""
    bench.street.inhabit([board(1)])
    bench.configure("roster: [mbed-linux-os-1]")
    bench.list()
    before = bench.directory
    bench.directory = bench.home / "copy"
    before.rename(bench.directory)
    bench.configure("roster: [mbed-linux-os-1, mbed-linux-os-2]")
    bench.list()
    assert len(list((bench.home / ".local/state/pelion-mbl").iterdir())) == 1
    bench.configure("name_template: 'left-{name}'")
    bench.list()
    assert len(list((bench.home / ".local/state/pelion-mbl").iterdir())) == 2


def test_a_damaged_memory_is_told_and_does_no_harm(bench: Bench, tmp_path: Path) -> None:
    memory = tmp_path / "seen.json"
    memory.write_text("[]")
    bench.configure(f"seen_file: {memory}")
    bench.street.inhabit([board(1)])
    found, warnings = bench.list()
    assert found["mbl"]["hosts"] == ["mbed-linux-os-1"]
    assert says(warnings, f"{memory}, the list of boards that earlier runs found, cannot be read")


def test_the_roster_adds_names_and_tells_who_is_missing(bench: Bench) -> None:
    bench.configure("roster: [bench-cam, mbed-linux-os-3]")
    bench.street.inhabit([board(1), board(2, name="bench-cam"), board(4, name="other")])
    found, warnings = bench.list()
    assert sorted(found["mbl"]["hosts"]) == ["bench-cam", "mbed-linux-os-1"]
    assert says(warnings, "Boards that were not found: mbed-linux-os-3 (of the roster)")


def test_a_board_that_the_user_listed_keeps_what_was_said_of_it(bench: Bench) -> None:
    host = "    mbed-linux-os-1:\n      bench: left\n      ansible_port: 2200\n"
    bench.write("a_hosts.yml", f"mbl:\n  hosts:\n{host}  vars:\n    ansible_user: me\n")
    bench.street.inhabit([board(1), board(2)])
    hosts = bench.hosts()
    assert hosts["mbed-linux-os-1"]["bench"] == "left"
    assert hosts["mbed-linux-os-1"]["ansible_port"] == 2200
    assert hosts["mbed-linux-os-1"]["ansible_host"] == "fe80::ff:0:1%eth0"
    assert hosts["mbed-linux-os-2"]["ansible_user"] == "me"


def test_boards_by_hand_are_like_the_others(bench: Bench) -> None:
    bench.configure("addresses:\n  far-1: 192.0.2.7:2222\n  far-2: '[fe80::7%eth0]:2200'\n  far-3: board.example")
    bench.street.inhabit([board(1)])
    hosts = bench.hosts()
    assert set(hosts) == {"mbed-linux-os-1", "far-1", "far-2", "far-3"}
    assert {name: (told["ansible_host"], told["ansible_port"]) for name, told in hosts.items() if "far" in name} == {
        "far-1": ("192.0.2.7", 2222),
        "far-2": ("fe80::7%eth0", 2200),
        "far-3": ("board.example", 22),
    }
    assert set(hosts["far-1"]) == set(hosts["mbed-linux-os-1"])


def test_names_can_be_made_to_differ_between_benches(bench: Bench) -> None:
    bench.configure("name_template: left-{name}-{interface}")
    bench.street.inhabit([board(1)])
    assert set(bench.hosts()) == {"left-mbed-linux-os-1-eth0"}
    assert "HostKeyAlias=left-mbed-linux-os-1-eth0" in bench.ssh("left-mbed-linux-os-1-eth0")


def test_a_board_can_be_called_by_its_host_name(bench: Bench) -> None:
    bench.configure("hostnames: [hostname, instance]")
    bench.street.inhabit([board(1, name="mbed-linux-os-1 #2", host="mbed-linux-os-5.local.")])
    assert set(bench.hosts()) == {"mbed-linux-os-5"}


def test_other_services_and_marks_can_be_searched(bench: Bench) -> None:
    bench.configure("txt: kind=cam\naddress_families: [ipv4]")
    bench.street.inhabit([board(1, text="kind=cam"), board(2, text="kind=other"), board(3)])
    hosts = bench.hosts()
    assert set(hosts) == {"mbed-linux-os-1"}
    assert hosts["mbed-linux-os-1"]["mbl_addresses"] == ["10.0.0.3"]


# ssh


def test_the_users_own_ssh_arguments_stay(bench: Bench) -> None:
    bench.write("a_hosts.yml", "all:\n  vars:\n    ansible_ssh_common_args: -o ProxyJump=bastion\n")
    bench.street.inhabit([board(1)])
    arguments = bench.ssh("mbed-linux-os-1")
    assert "ProxyJump=bastion" in arguments
    assert "HostKeyAlias=mbed-linux-os-1" in arguments
    (bench.directory / "a_hosts.yml").unlink()
    assert "ProxyJump=other" in bench.ssh("mbed-linux-os-1", "--ssh-common-args=-o ProxyJump=other")


def test_a_known_hosts_file_of_any_name_is_used_and_its_directory_made(bench: Bench) -> None:
    place = bench.home / "not there/100%h/known hosts"
    bench.configure(f"known_hosts: {place}")
    bench.street.inhabit([board(1)])
    given = [word for word in bench.ssh("mbed-linux-os-1") if word.startswith("UserKnownHostsFile")]
    # What ssh itself makes of it.
    options = ["-G", "-o", given[0], "-o", "HostKeyAlias=x", "example"]
    shown = subprocess.run(["ssh", *options], capture_output=True, text=True, check=True).stdout
    assert "userknownhostsfile " in shown
    assert place.parent.is_dir()
    assert place.parent.stat().st_mode & 0o077 == 0


def test_the_documented_static_inventory_is_like_the_found_one(bench: Bench) -> None:
    """docs/static-inventory.md, as pasted: the same arguments for ssh as for a board that was found."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/static-inventory.md").read_text(), re.DOTALL)
    files = {match[1]: text for text in blocks if (match := re.match(r"# inventory/(\S+)\n", text))}
    assert set(files) == {"mbl_mdns.yml", "hosts.yml", "group_vars/mbl.yml"}
    known_hosts = bench.home / ".ssh/known_hosts_mbl"
    bench.write("mbl_mdns.yml", files["mbl_mdns.yml"])
    found, by_plugin = bench.hosts(), bench.ssh("mbed-linux-os-9709")
    assert found["mbed-linux-os-1234"]["ansible_host"] == "fe80::ec12:dcff:fe8c:3cd7%eth1"
    assert found["mbed-linux-os-77"]["ansible_port"] == 2222
    (bench.directory / "mbl_mdns.yml").unlink()
    (bench.directory / "group_vars").mkdir()
    bench.write("hosts.yml", files["hosts.yml"])
    bench.write("group_vars/mbl.yml", files["group_vars/mbl.yml"])
    assert set(bench.hosts()) == {"mbed-linux-os-9709", "mbed-linux-os-1234"}
    by_hand = bench.ssh("mbed-linux-os-9709")
    assert str(known_hosts) in " ".join(by_hand)

    def options(words: list[str]) -> set[str]:
        return {
            word for word in words if ("=" in word or word == "-T") and not word.startswith(("Port=", "ControlPath="))
        }

    assert options(by_hand) == options(by_plugin)
