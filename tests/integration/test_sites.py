# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several controllers for one fleet: at sites with networks of their own, and by mistake for the same boards.

The sites' work is started by the commands of docs/scaling.md, as they stand there. What `ssh` carries in them is kept.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import subprocess
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fleet import LAB, ROOT, TIMEOUT, Fleet, Play
from test_secrets import files_below, forms_of_key, found, stored_keys

SITES = {"north": 1, "south": 2}
VAULT_PASSWORD = "a vault password that stays at its site"
PAGE = (ROOT / "docs/scaling.md").read_text()
COMMANDS = next(block for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S) if "ansible-runner" in block)
SSH = """#!/bin/sh
# ssh controller.SITE.example.com COMMAND...
site=${1#controller.}
site=${site%%.*}
shift
unset ANSIBLE_INVENTORY
tee "$STREAMS/$site.sent" | "$SITE_RUN" "$site" "$@" | tee "$STREAMS/$site.back"
"""
"""Puts a site's controller where its name leads."""


class Company:
    """A controller with a directory for each site, and what each site has for itself: a home, and in it a secret."""

    def __init__(self, fleet: Fleet, directory: Path) -> None:
        self.fleet = fleet
        self.directory = directory
        self.store = directory / "team"
        self.streams = directory / "streams"
        for place in (self.store, self.streams, directory / "bin"):
            place.mkdir()
        self.store.chmod(0o2770)
        self.boards: dict[str, list[str]] = {site: [] for site in SITES}
        for board in fleet.status()["boards"]:
            self.boards[list(SITES)[board["site"] - 1]].append(board["name"])
        self._script("ssh", SSH)
        self._script("site-run", self._site_run())
        for site in SITES:
            self._furnish(site)

    def home(self, site: str) -> Path:
        return self.directory / "homes" / site

    def _site_run(self) -> str:
        """site-run SITE COMMAND...: as a user of that site's machine, with no key in the environment."""
        environment = {"PELION_TEAM_STORE": self.store, "ANSIBLE_VAULT_PASSWORD_FILE": "$home/vault-password"}
        return "\n".join(
            [
                "#!/bin/sh",
                "PATH=${PATH#*:}  # Ansible's ssh there is the real one",
                "case $1 in",
                *(f"{site}) number={number} home={self.home(site)} ;;" for site, number in SITES.items()),
                "esac",
                "shift",
                f'exec {LAB} run --state {self.fleet.state} --site "$number" -- env -u PELION_API_KEY \\',
                "    -u MBED_CLOUD_SDK_API_KEY HOME=$home \\",
                *(f"    {name}={value} \\" for name, value in environment.items()),
                '    "$@"',
                "",
            ]
        )

    def _script(self, name: str, text: str) -> None:
        file = self.directory / "bin" / name
        file.write_text(text)
        file.chmod(0o755)

    def _furnish(self, site: str) -> None:
        self.home(site).mkdir(parents=True)
        (self.home(site) / "vault-password").write_text(VAULT_PASSWORD)
        inventory = self.directory / "sites" / site / "inventory"
        (inventory / "group_vars").mkdir(parents=True)
        (inventory.parent / "project").mkdir()
        (inventory / "hosts.yml").write_text("mbl:\n")
        (inventory / "mbl_mdns.yml").write_text("plugin: pelion.mbl.mbl_mdns\n")
        # The key is in the environment of this one command alone, and then in the site's own store.
        saved = self.at(site, "env", f"PELION_API_KEY={self.api_key()}", *SAVE_KEY)
        assert saved.returncode == 0, saved.output

    def api_key(self) -> str:
        return json.loads((self.fleet.state / "lab.json").read_text())["environment"]["PELION_API_KEY"]

    def wish(self, **variables: Any) -> None:
        """Both sites' variables of the role; each has its own name."""
        for site in SITES:
            text = yaml.safe_dump({**WISHES, "provision_pelion_site": site, **variables})
            (self.directory / "sites" / site / "inventory/group_vars/mbl.yml").write_text(text)

    def at(self, site: str, *command: str | Path) -> Play:
        return self._ended([self.directory / "bin/site-run", site, *command])

    def run(self, during: Any = None) -> Play:
        """The page's commands, to their end; ``during()`` is called meanwhile."""
        meanwhile = threading.Thread(target=during or (lambda: None))
        meanwhile.start()
        try:
            return self._ended(["bash", "-c", COMMANDS])
        finally:
            meanwhile.join()

    def _ended(self, command: list[Any]) -> Play:
        environment = {
            **os.environ,
            "PATH": f"{self.directory / 'bin'}:{ROOT / '.venv/bin'}:{os.environ['PATH']}",
            "HOME": str(self.directory),
            "PELION_TEAM_STORE": str(self.store),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build"),
            "STREAMS": str(self.streams),
            "SITE_RUN": str(self.directory / "bin/site-run"),
        }
        ended = subprocess.run(
            command,
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        return Play(ended.args, ended.returncode, ended.stdout, ended.stderr)

    def report(self) -> dict[str, Any]:
        """The newest one of all sites."""
        newest = max((self.directory / "reports").iterdir())
        return json.loads((newest / "fleet.json").read_text())

    def outcomes(self) -> dict[str, tuple[str, str]]:
        return {board["name"]: (board["site"], board["outcome"]) for board in self.report()["boards"]}

    def kill(self, site: str) -> None:
        """All processes of the site's controller, as when its power goes."""
        mark = f"HOME={self.home(site)}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                continue


SAVE_KEY = ("ansible-playbook", str(ROOT / "playbooks/save_api_key.yml"))
FORGET_HOST = ROOT / "playbooks/forget_host.yml"
WISHES = {
    "provision_pelion_dev_cert": "all-sites",
    "provision_pelion_update_resources": "all-sites-update",
    "provision_pelion_vendor_domain": "example.com",
    "provision_pelion_device_class": "board",
    "provision_pelion_registration_timeout": 60,
}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    directory = tmp_path_factory.mktemp("company")
    fleet = Fleet.up(directory / "lab", "--devices", "4", "--sites", "2")
    try:
        yield Company(fleet, directory)
    finally:
        fleet.down()


@pytest.fixture
def fresh(company: Company) -> Company:
    for board in company.fleet.boards:
        company.fleet.make_fresh(board)
    company.wish()
    return company


def of_all(company: Company, outcome: str) -> dict[str, tuple[str, str]]:
    return {board: (site, outcome) for site, boards in company.boards.items() for board in boards}


def devices_by_certificate(company: Company) -> Counter[str]:
    state = company.fleet.cloud.call("GET", "/state")
    names = {certificate["id"]: certificate["name"] for certificate in state["certificates"]}
    return Counter(names[device["ca_id"]] for device in state["devices"] if device["ca_id"] in names)


def sent_files(stream: bytes) -> dict[str, bytes]:
    """What the zip archive in a stream of ansible-runner's holds."""
    _head, _newline, rest = stream.partition(b'"zipfile": ')
    size, _newline, rest = rest.partition(b"}\n")
    archive = base64.b64decode(rest[: -(-int(size) // 3) * 4])
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        return {name: files.read(name) for name in files.namelist()}


def test_each_site_provisions_its_own_boards_and_a_dead_one_is_told(fresh: Company) -> None:
    company = fresh
    for site in SITES:
        graph = company.at(site, "ansible-inventory", "-i", company.directory / "sites" / site / "inventory", "--graph")
        assert sorted(re.findall(r"--(mbed\S+)", graph.stdout)) == sorted(company.boards[site])

    both = company.run()
    assert both.returncode == 0, both.output
    assert company.outcomes() == of_all(company, "changed")
    assert [site["name"] for site in company.report()["sites"]] == list(SITES)
    certificates = [c["name"] for c in company.fleet.cloud.call("GET", "/state")["certificates"]]
    assert certificates == ["all-sites"], "made once"
    assert len(list(company.store.glob("*.yml"))) == 2
    assert devices_by_certificate(company) == {"all-sites": 4}
    for site, boards in company.boards.items():
        memory = json.loads((company.store / f"fleet.{site}.json").read_text())["boards"]
        assert {name: board["site"] for name, board in memory.items()} == dict.fromkeys(boards, site)
    no_secret_travelled(company)

    # South dies while it waits for a board that cannot register.
    stuck = company.boards["south"][0]
    for board in company.fleet.boards:
        company.fleet.make_fresh(board)
    company.fleet.on(stuck, "mv /opt/arm/mbl-cloud-client /opt/arm/lost-client")
    before = company.fleet.counts()[stuck][1]

    def power_goes() -> None:
        deadline = time.monotonic() + TIMEOUT
        while company.fleet.counts()[stuck][1] < before + 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        company.kill("south")

    dead = company.run(power_goes)
    company.fleet.on(stuck, "mv /opt/arm/lost-client /opt/arm/mbl-cloud-client")
    assert dead.returncode != 0
    told = company.outcomes()
    assert {told[board] for board in company.boards["north"]} == {("north", "changed")}
    assert {told[board] for board in company.boards["south"]} == {("south", "not_reached")}
    assert "south: There is no report" in " ".join(company.report()["problems"])

    healed = company.run()
    assert healed.returncode == 0, healed.output
    told = company.outcomes()
    assert {told[board] for board in company.boards["north"]} == {("north", "ok")}
    assert told[stuck] == ("south", "changed")
    registered = [d for d in company.fleet.cloud.call("GET", "/state")["devices"] if d["state"] == "registered"]
    ids = {board["device_id"] for board in company.report()["boards"]}
    assert ids <= {device["id"] for device in registered}
    assert len(ids) == 4


def no_secret_travelled(company: Company) -> None:
    secrets = {VAULT_PASSWORD.encode(), company.api_key().encode()}
    keys = list(stored_keys(company.store, company.home("north") / "vault-password"))
    assert keys
    secrets |= {form for key in keys for form in forms_of_key(key)}
    for site in SITES:
        sent, back = ((company.streams / f"{site}.{way}").read_bytes() for way in ("sent", "back"))
        carried = sent_files(sent)
        assert "inventory/group_vars/mbl.yml" in carried
        for name, content in {**carried, "the stream out": sent, "back": back, **sent_files(back)}.items():
            assert not found(secrets, content), (site, name)
    for path, content in files_below(company.directory / "reports"):
        assert not found(secrets, content), path


def test_places_are_counted_over_all_sites(fresh: Company) -> None:
    company = fresh
    name = "tight"
    made = company.at("north", "ansible", "localhost", "-m", "pelion.mbl.pelion_dev_cert", "-a", f"name={name}")
    assert made.returncode == 0, made.output
    certificates = {c["name"]: c["id"] for c in company.fleet.cloud.call("GET", "/state")["certificates"]}
    company.fleet.cloud.call("POST", "/devices", count=97, certificate_id=certificates[name])
    company.wish(provision_pelion_dev_cert=name)
    play = company.run()
    assert play.returncode != 0
    # A board that has just bootstrapped has a place in the cloud, and one by its run until that ends: a site that
    # decides in between may be refused a place that its next run gets.
    again = company.run()
    assert again.returncode != 0 and "no room for this board" in again.output
    told = Counter(outcome == "failed" for _site, outcome in company.outcomes().values())
    assert told == {False: 3, True: 1}
    assert devices_by_certificate(company)[name] == 100


def test_two_controllers_of_the_same_boards_harm_nothing(fresh: Company) -> None:
    company = fresh
    company.wish(provision_pelion_dev_cert="twice")
    command = ["ansible-playbook", "-i", company.directory / "sites/north/inventory", ROOT / "playbooks/provision.yml"]
    plays: list[Play] = []
    threads = [threading.Thread(target=lambda: plays.append(company.at("north", *command))) for _controller in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for play in plays:
        assert play.returncode == 0, play.output
    certificates = Counter(c["name"] for c in company.fleet.cloud.call("GET", "/state")["certificates"])
    assert certificates["twice"] == 1
    assert devices_by_certificate(company)["twice"] == len(company.boards["north"])
    again = company.at("north", *command)
    assert again.returncode == 0, again.output
    assert not any(recap.changed for recap in again.recap.values())


def test_a_timer_provisions_what_is_new_and_nothing_else(fresh: Company) -> None:
    company = fresh
    unit = (ROOT / "docs/pelion-provision.service").read_text()
    command = re.search(r"^ExecStart=\S+/ansible-playbook (.*)$", unit, re.M)[1]
    # The site's directory is /srv/pelion there.
    run = ["sh", "-c", f"cd {company.directory}/sites/north && ansible-playbook {command}"]
    new, old = company.boards["north"]
    (company.store / "fleet.north.json").unlink(missing_ok=True)
    limited = company.at("north", "sh", "-c", f"{run[2]} --limit {old}")
    assert limited.returncode == 0, limited.output
    assert [board for board, recap in limited.recap.items() if recap.changed] == [old]
    before = company.fleet.counts()
    first = company.at("north", *run)
    assert first.returncode == 0, first.output
    report = json.loads((company.directory / "sites/north/reports/fleet.json").read_text())
    assert [(board["name"], board["outcome"]) for board in report["boards"]] == [(new, "changed")]
    assert company.fleet.counts()[old] == before[old], "it was not spoken to"

    before = company.fleet.counts()
    nothing = company.at("north", *run)
    assert nothing.returncode == 0, nothing.output
    assert company.fleet.counts() == before

    company.fleet.make_fresh(new)
    forgotten = company.at(
        "north",
        "ansible-playbook",
        "-i",
        company.directory / "sites/north/inventory",
        FORGET_HOST,
        "-e",
        f"boards={new}",
    )
    assert forgotten.returncode == 0, forgotten.output
    again = company.at("north", *run)
    assert again.returncode == 0, again.output
    assert {board for board, recap in again.recap.items() if recap.changed} == {new}
    assert company.fleet.counts()[old] == before[old]


def test_a_place_that_is_none_is_told(company: Company) -> None:
    command = [LAB, "run", "--state", company.fleet.state, "--site", "3", "--", "true"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 1
    assert "there is no site 3" in done.stderr
