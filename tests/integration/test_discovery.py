# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding boards on a wire: a network namespace with boards made of raw frames, and avahi."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mdns.street import SIMULATOR, Street, board
from pelion_lab.parts import prepare

ROOT = Path(__file__).parents[2]
KINDS = {"whole": {}, "waiting": {"waits": True}, "split": {"how": "split"}, "pointer": {"how": "pointer"}}


def seek(street: Street, **options: Any) -> dict[str, Any]:
    """What one search in ``street`` found (see mdns.seek)."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / ".build"), str(SIMULATOR)])}
    return json.loads(street.run(sys.executable, "-m", "mdns.seek", json.dumps(options), env=environment).stdout)


def names(found: dict[str, Any]) -> set[str]:
    return {each["name"] for each in found["boards"]}


def addresses(found: dict[str, Any]) -> dict[str, list[str]]:
    return {each["name"]: each["addresses"] for each in found["boards"]}


@pytest.fixture
def street() -> Iterator[Street]:
    with Street() as made:
        yield made


@pytest.fixture
def two_links() -> Iterator[Street]:
    with Street(cables=2) as made:
        yield made


# All of them


@pytest.mark.parametrize("kind", KINDS)
def test_all_boards_are_found_with_all_their_addresses(street: Street, kind: str) -> None:
    street.inhabit([board(number, **KINDS[kind]) for number in range(150)])
    found = addresses(seek(street))
    assert len(found) == 150
    assert all([":" in each for each in told] == [True, False] for told in found.values())


def test_a_thousand_boards_of_all_kinds_are_found(street: Street) -> None:
    kinds = list(KINDS.values())
    street.inhabit([board(number, **kinds[number % 4]) for number in range(1000)])
    found = seek(street, timeout=20)
    assert len(found["boards"]) == 1000
    assert all(len(each["addresses"]) == 2 for each in found["boards"])


@pytest.mark.parametrize("loss", [0.05, 0.2, 0.3])
def test_boards_are_found_though_questions_and_answers_get_lost(street: Street, loss: float) -> None:
    kinds = list(KINDS.values())
    street.inhabit([board(number, loss=loss, **kinds[number % 4]) for number in range(50)])
    for _round in range(3):
        assert len(seek(street, timeout=10)["boards"]) == 50
        time.sleep(random.uniform(0, 1.2))


@pytest.mark.parametrize("pause", [0.3, 0.6, 0.9, 1.1])
@pytest.mark.parametrize("one_shot", [True, False], ids=["one-shot", "group-only"])
def test_a_search_right_after_another_finds_all(street: Street, pause: float, one_shot: bool) -> None:
    street.inhabit([board(number, one_shot=one_shot) for number in range(20)])
    for _round in range(3):
        assert len(seek(street)["boards"]) == 20
        time.sleep(pause)


def test_a_search_while_others_ask_without_end_finds_all(street: Street) -> None:
    """Whoever was told a moment ago: the boards stay silent to the group for a second."""
    street.inhabit([board(number) for number in range(5)])
    asking = "import time\nfrom mdns.seek import *\n" + "while True:\n  main()\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / ".build"), str(SIMULATOR)])}
    street.start(sys.executable, "-c", asking, env=environment, stdout=-3)
    for _round in range(3):
        assert len(seek(street)["boards"]) == 5


def test_a_late_board_is_waited_for_when_it_is_expected(street: Street) -> None:
    street.inhabit([board(0), board(1, late=3)])
    found = seek(street, timeout=60, expected=2)
    assert len(found["boards"]) == 2
    assert found["seconds"] < 30


def test_the_time_is_used_up_when_expected_boards_are_missing(street: Street) -> None:
    street.inhabit([board(0)])
    found = seek(street, timeout=4, expected=2)
    assert len(found["boards"]) == 1
    assert found["seconds"] >= 4


def test_the_search_on_an_empty_network_ends_early(street: Street) -> None:
    found = seek(street, timeout=60)
    assert found["boards"] == []
    assert found["seconds"] < 30


@pytest.mark.parametrize(
    ("lacking", "told"), [(("A", "AAAA"), "no address"), (("TXT",), "no TXT record"), (("SRV",), "no SRV record")]
)
def test_an_incomplete_board_is_named_and_does_not_hold_the_search(
    street: Street, lacking: tuple[str, ...], told: str
) -> None:
    street.inhabit([board(0), board(1, lacks=lacking)])
    found = seek(street, timeout=60)
    assert names(found) == {"mbed-linux-os-0"}
    assert any("mbed-linux-os-1" in warning and told in warning for warning in found["warnings"])
    assert found["seconds"] < 30


def test_a_board_that_answers_twice_and_late_is_one_board(street: Street) -> None:
    street.inhabit([board(number, twice=True, delay=(0.0, 0.4)) for number in range(10)])
    assert len(seek(street)["boards"]) == 10


def test_a_board_of_one_family_is_found(street: Street) -> None:
    street.inhabit([board(0, ipv6=None), board(1, ipv4=None)])
    assert addresses(seek(street)) == {"mbed-linux-os-0": ["10.0.0.2"], "mbed-linux-os-1": ["fe80::ff:0:1%eth0"]}


def test_a_board_that_says_goodbye_is_not_there(street: Street) -> None:
    street.inhabit([board(0), board(1, goodbye=0.3)])
    assert names(seek(street)) == {"mbed-linux-os-0"}


def test_a_board_that_answers_to_its_name_only_is_found(street: Street) -> None:
    """As one whose pointer is never heard."""
    street.inhabit([board(0), board(1, lacks=["PTR"])])
    assert names(seek(street)) == {"mbed-linux-os-0"}
    assert names(seek(street, by_name=["mbed-linux-os-1"])) == {"mbed-linux-os-0", "mbed-linux-os-1"}


def test_other_ssh_servers_are_left_alone(street: Street) -> None:
    street.inhabit([board(0), board(1, text="path=/"), board(2, name="desktop", text="")])
    found = seek(street)
    assert names(found) == {"mbed-linux-os-0"}
    assert found["warnings"] == []


def test_avahi_is_understood(street: Street, tmp_path: Path) -> None:
    """avahi at the far end of the cable, in a namespace of its own."""
    with Street(cables=0) as far:
        link = f"link set far0 netns {far._holder.pid}"
        street.run("ip", *link.split())
        far.run(
            "ip",
            "-batch",
            "-",
            input="link set far0 up\naddress add 10.0.7.7/16 dev far0\naddress add fe80::7/64 dev far0 nodad\n",
        )
        for name in ("etc/avahi/services", "run", "dev", "proc", "bin", "lib", "lib64", "sbin", "usr"):
            (tmp_path / name).mkdir(parents=True)
        service = (SIMULATOR / "board/ssh.service").read_text().replace("%h", "mbed-linux-os-7")
        configuration = "[server]\nhost-name=mbed-linux-os-7\nallow-interfaces=far0\nenable-dbus=no\nuse-ipv6=yes\n"
        (tmp_path / "etc/avahi/services/ssh.service").write_text(service)
        (tmp_path / "etc/avahi/avahi-daemon.conf").write_text(configuration)
        (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\navahi:x:999:999::/:/bin/false\n")
        (tmp_path / "etc/group").write_text("root:x:0:\navahi:x:999:\n")
        # The boards' own avahi, in a root of its own: this machine need not have one.
        script = (
            f"cd {tmp_path} && for name in bin lib lib64 sbin usr; do mount --bind {prepare()}/$name $name; done && "
            "mount --bind /dev dev && mount -t proc proc proc && mount -t tmpfs tmpfs run && mkdir run/avahi-daemon && "
            "exec chroot . /usr/sbin/avahi-daemon --no-drop-root --no-rlimits --no-chroot"
        )
        far.start("unshare", "--mount", "sh", "-c", script, stdout=-3, stderr=-3)
        found = seek(street, timeout=60, expected=1)
        for _round in range(2):
            # And at once again: avahi keeps the rule of one second.
            (told,) = found["boards"]
            assert told["name"] == "mbed-linux-os-7"
            assert any(address.startswith("fe80::") for address in told["addresses"])
            found = seek(street)
        assert "10.0.7.7" in told["addresses"]


# Nobody fooled


@pytest.mark.parametrize("from_port", [5354, 53])
def test_answers_from_another_port_are_ignored(street: Street, from_port: int) -> None:
    street.inhabit([board(0), board(1, from_port=from_port)])
    assert names(seek(street)) == {"mbed-linux-os-0"}


@pytest.mark.parametrize(
    "forged",
    [{"hops": 64}, {"sender": {"4": "192.0.2.7", "6": "2001:db8::7"}}],
    ids=["through a router", "from elsewhere"],
)
def test_unicast_answers_that_were_not_sent_on_the_link_are_ignored(street: Street, forged: dict[str, Any]) -> None:
    """RFC 6762, section 11. What was sent to the group came from the link in any case."""
    street.inhabit([board(0, quiet=True), board(1, quiet=True, **forged), board(2, hops=64)])
    assert names(seek(street)) == {"mbed-linux-os-0", "mbed-linux-os-2"}


def test_what_is_told_on_one_link_is_not_heard_on_another(two_links: Street) -> None:
    """The kernel chooses a socket by the sender's address, so several are needed."""
    two_links.inhabit([board(number, cable=number // 10, ipv6=None) for number in range(20)])
    found = seek(two_links)
    assert {(each["name"], each["interface"]) for each in found["boards"]} == {
        (f"mbed-linux-os-{number}", f"eth{number // 10}") for number in range(20)
    }
    assert found["warnings"] == []


def test_only_the_named_interfaces_are_asked(two_links: Street) -> None:
    two_links.inhabit([board(1, cable=0), board(2, cable=1)])
    assert names(seek(two_links, interfaces=["eth1"])) == {"mbed-linux-os-2"}


@pytest.mark.parametrize(
    "forged",
    [
        {"port": 2222},
        {"host": "elsewhere.local."},
        {"text": "mblos=2"},
        {"ipv4": "10.0.66.66", "ipv6": None},
    ],
    ids=["port", "host", "text", "address"],
)
def test_who_contradicts_a_board_is_told(street: Street, forged: dict[str, Any]) -> None:
    sender = {"4": "10.0.66.66", "6": "fe80::66"}
    street.inhabit([board(0), board(0, sender=sender, mac="02:00:00:00:66:66", delay=(0.2, 0.22), **forged)])
    found = seek(street)
    assert any("pretend" in warning and "mbed-linux-os-0" in warning for warning in found["warnings"])
    # What the board tells of itself comes before what others tell of it.
    assert found["boards"][0]["port"] == 22
    assert found["boards"][0]["addresses"][0] == "fe80::ff:0:0%eth0"


@pytest.mark.parametrize("name", ["mbed-linux-os-{}", "flood-{}"])
def test_a_flood_of_names_hides_no_board(street: Street, name: str) -> None:
    one = {"4": "10.0.66.66", "6": "fe80::66"}
    flood = [
        board(n, name=name.format(10000 + n), sender=one, mac="02:00:00:00:66:66", one_shot=False, delay=(0, 0.5))
        for n in range(10000)
    ]
    street.inhabit(flood)
    street.inhabit([board(number) for number in range(20)])
    found = seek(street, rules={"max_hosts": 100}, timeout=8)
    assert {f"mbed-linux-os-{number}" for number in range(20)} <= names(found)
    assert len(found["boards"]) <= 100


def test_dropped_answers_are_told_with_what_helps(street: Street, tmp_path: Path) -> None:
    """Without the right to a larger receive buffer than the machine's limit, as any user but root is.

    The search is held while the answers come, until the kernel has dropped some.
    """
    if int(Path("/proc/sys/net/core/rmem_max").read_text()) > 4 << 20:
        pytest.skip("this machine lets everybody have a receive buffer that holds all answers")
    street.inhabit([board(number, delay=(0, 0.5), twice=True, how="split") for number in range(2000)])
    source = tmp_path / "mbl_mdns.yml"
    source.write_text("plugin: pelion.mbl.mbl_mdns\ntimeout: 3\n")
    search = street.start(
        *("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"),
        *("ansible-inventory", "-i", source, "--graph"),
        env={**os.environ, "HOME": str(tmp_path), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build"), "COLUMNS": "1000"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: any(waiting for waiting, _dropped in _udp_sockets(search.pid)))
    search.send_signal(signal.SIGSTOP)
    wait_for(lambda: any(dropped for _waiting, dropped in _udp_sockets(search.pid)))
    search.send_signal(signal.SIGCONT)
    assert "sysctl -w net.core.rmem_max=" in search.communicate(timeout=60)[1]


def _udp_sockets(process: int) -> list[tuple[int, int]]:
    """For each UDP socket of the process's network: bytes in its receive buffer, and datagrams that were dropped."""
    tables = (Path(f"/proc/{process}/net/{family}").read_text() for family in ("udp", "udp6"))
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return [(int(row[4].partition(":")[2], 16), int(row[-1])) for row in rows]


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
