# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The day after: each command of docs/operating.md as it stands there, and what runs tell when they do not go well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
import yaml
from credential_samples import developer_values
from fleet import ROOT, Fleet, Play
from own_directory import NAMES, Bench

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.signing_files import SigningFiles
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import (
    Recipe,
    derive_ids,
    make_update_resources,
)

PAGE = (ROOT / "docs/operating.md").read_text()
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    fleet = Fleet.up(tmp_path_factory.mktemp("lab") / "state", "--devices", "3")
    bench = Bench(fleet, tmp_path_factory.mktemp("bench"))
    old = bench.home / "old-store/old"
    old.mkdir(parents=True)
    for name, content in developer_values().items():
        (old / f"{name}.bin").write_bytes(content)
    table = re.search(r"^```csv\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert table
    made = make_update_resources(Recipe(*derive_ids("example.com", "bench-board")))
    SigningFiles(bench.directory / "manifest-2").write(made)
    (bench.directory / "devices.csv").write_text(bench.named(table[1]))
    (bench.directory / "waves.txt").write_text(bench.named(f"{NAMES[1]}\n{NAMES[0]}\n\n{NAMES[2]}  # by the window\n"))
    yield bench
    fleet.down()


def changed(play: Play) -> int:
    return sum(recap.changed for recap in play.recap.values())


def test_a_run_ends_with_what_became_of_each_board(bench: Bench) -> None:
    play = bench.play("provision", "-e", "report=reports")
    assert play.returncode == 0, play.output
    assert "3 boards: 3 changed" in play.stderr
    report = bench.report()
    assert (report["playbook"], report["success"], report["counts"]) == ("provision", True, {"changed": 3})
    assert all(board["developer_certificate"]["name"] == "bench-2026" for board in report["boards"])
    assert len({board["device_id"] for board in report["boards"]}) == 3
    assert {board["name"]: board["address"] for board in report["boards"]} == bench.addresses
    again = bench.play("provision", "-e", "report=reports")
    assert "3 boards: 3 in order" in again.stderr
    assert bench.report()["counts"] == {"ok": 3}


def test_the_state_of_the_fleet_as_files(bench: Bench) -> None:
    name, *others = sorted(bench.addresses)
    silent, gone = others
    bench.lists({name: bench.addresses[name], silent: "127.0.0.9", "other": bench.addresses[name]})
    try:
        play = bench.play("status", "-e", "status_report=reports", "--limit", f"{name},{silent}")
    finally:
        bench.lists(bench.addresses)
    assert play.returncode == 2, play.output
    # Once, as a table and the counts below it, and not as a list of Ansible's.
    assert play.output.count("3 boards: 1 no answer, 1 missing, 1 in order") == 1
    assert re.search(rf"^{name} .* registered +yes +\S+ \(2\d{{3}}-", play.stderr, re.MULTILINE), play.stderr
    assert re.search(rf"^{gone} .* missing", play.stderr, re.MULTILINE), play.stderr
    assert f"Report: {bench.directory}/reports/fleet.html" in play.stderr
    report = bench.report()
    boards = {board["name"]: board for board in report["boards"]}
    assert {name: board["outcome"] for name, board in boards.items()} == {
        name: "ok",
        silent: "unreachable",
        gone: "missing",
    }
    assert "remove_gone" in boards[gone]["next_step"] and boards[gone]["state"] == "registered"
    assert report["places"][0] == {**report["places"][0], "name": "bench-2026", "devices": 3, "limit": 100}
    # Since provision left its report there.
    changes = {change["board"]: change["what"] for change in report["since"]["changes"]}
    assert changes == {silent: "not-in-order", gone: "missing"}
    assert f": {gone}: missing since then\n" in play.stderr
    metrics = (bench.directory / "reports/fleet.prom").read_text()
    assert 'pelion_fleet_boards{playbook="status",outcome="missing"} 1\n' in metrics
    suite = ElementTree.parse(bench.directory / "reports/fleet.junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    page = (bench.directory / "reports/fleet.html").read_text()
    assert all(board in page for board in bench.addresses)
    assert (bench.directory / "reports/fleet.csv").read_text().count("\n") == 4


def test_a_bench_that_is_switched_off_is_missing(bench: Bench) -> None:
    """And was there when somebody last looked."""
    assert bench.play("save_api_key").returncode == 0  # makes the user store
    assert "Since " not in bench.play("status").stderr
    bench.lists({})
    try:
        play = bench.play("status")
    finally:
        bench.lists(bench.addresses)
    assert play.returncode == 2, play.output
    assert "3 boards: 3 missing" in play.stderr
    assert re.search(
        rf"^Since \S+: {', '.join(sorted(bench.addresses))}: missing since then$", play.stderr, re.MULTILINE
    )


def test_a_board_that_is_off_is_named_but_does_not_fail_the_run_of_the_others(bench: Bench) -> None:
    here, *others = sorted(bench.addresses)
    bench.lists({here: bench.addresses[here]})
    try:
        play = bench.play("provision", "-e", "report=others")
    finally:
        bench.lists(bench.addresses)
    assert play.returncode == 0, play.output
    assert (
        "1 board: 1 in order\nTakes updates: 1 yes\nNot in the inventory, though the team has provisioned them: "
        in play.stderr
    )
    assert bench.report("others")["absent"] == others


def test_a_limit_means_the_same_to_every_playbook(bench: Bench) -> None:
    """Under a limit there is no localhost: what runs once for the fleet runs then, too, for its boards."""
    one, other, third = sorted(bench.addresses)
    assert bench.play("provision").returncode == 0  # whatever ran before
    limited = {
        "list": "",
        "save_api_key": "",
        "import_mbl_cli": "-e src=home/old-store --check",
        "check_certificates": "",
        "name_devices": "--check --diff",
        "remove_gone": f"-e boards={third} --check",
        "forget_host": f"-e boards={other}",
        "provision": "-e report=limited",
    }
    shown = {}
    for name, options in limited.items():
        bench.lists({board: at for board, at in bench.addresses.items() if name != "remove_gone" or board != third})
        play = bench.play(name, options, f"--limit {one}")
        assert play.returncode == 0 and "skipping: no hosts matched" not in play.stdout.split("PLAY [")[-1], play.output
        assert "not reached" not in play.output
        shown[name] = play.stdout
    bench.lists(bench.addresses)
    for name in ("list", "name_devices"):
        assert one in shown[name] and other not in shown[name]
    assert other not in (bench.home / "known_hosts").read_text()
    assert [board["name"] for board in bench.report("limited")["boards"]] == [one]
    refused = bench.play("deprovision", f"-e boards={one},{other} --limit {one}")
    assert refused.returncode == 2 and f"{other} cannot be seen, or --limit leaves them out" in refused.output
    assert bench.fleet.content(one)


def test_the_update_key_changes_by_a_rotation_of_a_whole_fleet_alone(bench: Bench) -> None:
    first, second, third = sorted(bench.addresses)
    made = make_update_resources(Recipe(*derive_ids("example.com", "bench-board")))
    SigningFiles(bench.directory / "new").write(made)
    given = "-e provision_pelion_update_src=new/update_default_resources.c -e report=reports"
    waves = "-e waves=waves.txt"
    entry = bench.home / ".mbl-store/team/bench-update.update-resources.yml"

    def everything() -> tuple[bytes, dict[str, str]]:
        return entry.read_bytes(), {name: bench.fleet.content(name) for name in bench.addresses}

    def outcomes() -> dict[str, str]:
        return {board["name"]: board["outcome"] for board in bench.report()["boards"]}

    before = everything()
    refused = bench.play("provision", given)
    assert refused.returncode == 2 and "All 3 boards: " in refused.output, refused.output
    assert f"{made.fingerprint[:16]}…" in refused.output and "rotate is the only way" in refused.output
    assert {board["code"] for board in bench.report()["boards"]} == {"update-differs"}
    away = "127.0.0.9"
    late = f"{{{{ '{away}' if ansible_play_name is match('Rotate') else '{bench.addresses[second]}' }}}}"
    try:
        bench.lists({name: bench.addresses[name] for name in (first, second)})
        stopped = bench.play("rotate", given)
        assert stopped.returncode == 2 and f"{third}. Nothing was rotated." in stopped.output, stopped.output
        bench.lists({**bench.addresses, second: away})
        stopped = bench.play("rotate", given, waves)
        assert stopped.returncode != 0 and outcomes() == dict.fromkeys((first, third), "not_reached") | {
            second: "unreachable"
        }, stopped.output
        assert everything() == before
        bench.lists(bench.addresses)
        planned = bench.play("rotate", given, waves, "--check")
        assert planned.returncode == 0 and "3 boards: 3 would be changed" in planned.stderr, planned.output
        gets = "A new update certificate of 'bench-update'"
        assert f"Wave 1 of 2, 2 boards. {gets}: {first}, {second}" in planned.stdout, planned.output
        assert f"Wave 2 of 2, 1 board. {gets}: {third}" in planned.stdout
        assert everything() == before
        odd = bench.play("rotate", given, "-e waves=1,first-floor")
        assert odd.returncode == 2 and "'first-floor', which is neither a count" in odd.output, odd.output
        assert everything() == before
        bench.lists({**bench.addresses, second: late})
        stopped = bench.play("rotate", given, waves)
        assert stopped.returncode != 0, stopped.output
        assert outcomes() == {first: "changed", second: "unreachable", third: "not_reached"}, stopped.output
        assert "remove the copy in clear: " in " ".join(stopped.output.split())
    finally:
        bench.lists(bench.addresses)
    assert everything()[1][third] == before[1][third]
    rotated = bench.play("rotate", given, waves)
    assert rotated.returncode == 0 and "3 boards: 2 changed, 1 in order" in rotated.stderr, rotated.output
    assert f"Wave 1 of 2, 2 boards. Done: {first}" in rotated.stdout, rotated.output
    assert f"The update certificate of 'bench-update': {second}" in rotated.stdout
    held = {board["update_certificate"]["fingerprint"] for board in bench.report()["boards"]}
    assert held == {made.fingerprint}
    due = bench.play("rotate", given, "-e provision_pelion_renew_if_made_before=2999-01-01")
    assert due.returncode == 2 and "in the future" in due.output


def test_a_lost_store_is_replaced_in_waves(bench: Bench) -> None:
    """By the page's command of "The signing key or the store is lost"."""
    before = {board["name"]: board["device_id"] for board in bench.report()["boards"]}
    store = bench.home / ".mbl-store/team"
    store.rename(bench.home / "lost")
    refused = bench.play("provision")
    assert refused.returncode == 2 and "update-unknown" in refused.stderr, refused.output
    (command,) = (command for command in COMMANDS if "when_update_unknown=replace" in command)
    made = bench.run(f"{command} -e report=reports")
    assert made.returncode == 0 and "3 boards: 3 changed" in made.stderr, made.output
    assert "Wave 3 of 3" in made.stdout
    assert {board["name"]: board["device_id"] for board in bench.report()["boards"]} == before
    assert all(board["takes_updates"]["answer"] == "yes" for board in bench.report()["boards"])


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("ansible-playbook")])
def test_a_command_of_the_page(bench: Bench, command: str) -> None:
    """One after the other: tried, done, and done again, when nothing is left to do."""
    command = bench.named(command)
    board = next((name for name in bench.addresses if name in command), "")
    gone = "remove_gone" in command
    bench.lists({name: address for name, address in bench.addresses.items() if not gone or name != board})
    try:
        before = {name: bench.fleet.content(name) for name in bench.addresses}
        tried = bench.run(f"{command} --check --diff")
        assert tried.returncode == 0, tried.output
        assert before == {name: bench.fleet.content(name) for name in bench.addresses}
        done = bench.run(command)
        assert done.returncode == 0, done.output
        assert bool(changed(tried)) == bool(changed(done)), tried.output + done.output
        again = bench.run(command)
        # A board that is gone may as well be a misspelt name.
        assert (again.returncode, changed(again)) == (2 if gone else 0, 0), again.output
    finally:
        bench.lists(bench.addresses)
    if "retire=" in command:
        assert changed(done) >= 3
        path = bench.directory / "inventory/group_vars/mbl.yml"
        path.write_text(path.read_text().replace("bench-2026", "bench-2027"))
    elif "name_devices" in command:
        state = bench.fleet.cloud.call("GET", "/state")
        first, *others = sorted(bench.addresses)
        assert {device["name"] for device in state["devices"]} == {"gate" if "names=" in command else first, *others}
        assert ("names=" in command) == bool(state["groups"])
    elif "forget_host" in command:
        assert board not in (bench.home / "known_hosts").read_text()
    elif "deprovision" in command:
        assert bench.fleet.content(board) == ""
        devices = bench.fleet.cloud.call("GET", "/state")["devices"]
        assert [device["operator_suspended"] for device in devices].count(True) == ("suspended" in command)
        assert len(devices) == 2
    elif gone:
        assert board not in (bench.home / ".mbl-store/team/fleet.json").read_text()


def test_every_playbook_is_on_the_page() -> None:
    """But for what is on pages of their own: the README, docs/timer.md, docs/scaling.md and docs/updates.md."""
    elsewhere = {"provision", "provision_new", "merge_reports", "export_signing", "prove_updates"}
    playbooks = {path.stem for path in (ROOT / "playbooks").glob("*.yml")} - elsewhere
    assert playbooks == {
        name for command in COMMANDS for name in re.findall(r"ansible-playbook .*pelion\.mbl\.(\w+)", command)
    }


def test_the_commands_for_those_who_come_from_mbl_cli(bench: Bench) -> None:
    page = (ROOT / "docs/coming-from-mbl-cli.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert {line for block in blocks for line in block.splitlines()} <= set(COMMANDS)
    # A relative path is one of the directory that the command is given in.
    relative = bench.run("ansible-playbook pelion.mbl.import_mbl_cli -e src=home/old-store")
    assert relative.returncode == 0, relative.output
    graph, shell = re.findall(r"`(ansible(?:-inventory)? -i [^`]*)`", page)
    shown = bench.run(graph)
    assert shown.returncode == 0 and all(board in shown.stdout for board in bench.addresses), shown.output
    answers = bench.run(shell.replace("COMMAND", "'echo $((6 * 7))'"))
    assert answers.returncode == 0 and answers.stdout.count("\n42\n") == len(bench.addresses), answers.output


def test_an_api_key_is_typed_unseen(bench: Bench) -> None:
    key = bench.run("printenv PELION_API_KEY").stdout.strip()
    saved = bench.home / "typed/pelion.api-key.yml"
    command = (
        "env -u PELION_API_KEY -u MBED_CLOUD_SDK_API_KEY ansible-playbook pelion.mbl.save_api_key "
        f"-e provision_pelion_user_store={saved.parent}"
    )
    for typed, status in ((key[:-1] + "~", 2), (key, 0)):
        seen, ended = bench.type(command, {"API key (from the portal": typed})
        assert ended == status, seen
        assert typed not in seen and "Bearer" not in seen
        assert saved.exists() == (status == 0)
    assert "The key is for the account Lab" in seen
    view = bench.run(f"ansible-vault view {saved}")
    assert key in view.stdout, view.output


def test_what_playbooks_save_has_the_vault_id_of_the_variables(bench: Bench) -> None:
    for name in ("first", "second"):
        (bench.home / name).write_text(f"the {name} secret\n")
    stores = bench.home / "stores"
    options = (
        f"--vault-id first@{bench.home}/first --vault-id second@{bench.home}/second "
        f"-e provision_pelion_vault_id=second -e provision_pelion_user_store={stores}/user "
        f"-e provision_pelion_team_store={stores}/team"
    )
    for name, saved in (
        ("save_api_key", "user/pelion.api-key.yml"),
        ("import_mbl_cli -e src=home/old-store", "team/old.*"),
    ):
        play = bench.play(name, options)
        assert play.returncode == 0, play.output
        (entry,) = stores.glob(saved)
        assert entry.read_text().splitlines()[0] == "$ANSIBLE_VAULT;1.2;AES256;second"


def test_a_store_is_not_put_into_the_collection(bench: Bench) -> None:
    play = bench.play("list", "-e provision_pelion_team_store=team-store")
    assert play.returncode == 2 and "inventory_dir" in play.output, play.output


def test_a_certificate_that_ends_is_an_exit_code(bench: Bench) -> None:
    play = bench.play("check_certificates", "-e", "days=100000")
    assert play.returncode == 2
    assert "The update certificate 'bench-update' ends in" in play.output
    silent = min(bench.addresses)
    bench.lists({**bench.addresses, silent: "127.0.0.9"})
    try:
        failed = bench.play("check_certificates")
    finally:
        bench.lists(bench.addresses)
    assert failed.returncode == 2, failed.output
    assert f"{silent} did not answer, so its certificates were not checked" in failed.output


def test_a_canary_that_fails_is_the_last(bench: Bench) -> None:
    first, *others = sorted(bench.addresses)
    before = {name: bench.fleet.content(name) for name in bench.addresses}
    bench.fleet.on(first, "mv /opt/arm/pelion-provisioning-util /opt/arm/genuine")
    try:
        play = bench.play("rotate", "-e provision_pelion_dev_cert=bench-2028", "-e", "report=reports")
    finally:
        bench.fleet.on(first, "mv /opt/arm/genuine /opt/arm/pelion-provisioning-util")
    assert play.returncode == 2, play.output
    assert before == {name: bench.fleet.content(name) for name in bench.addresses}
    outcomes = {board["name"]: board["outcome"] for board in bench.report()["boards"]}
    assert outcomes == {first: "failed", **dict.fromkeys(others, "not_reached")}


def test_a_certificate_that_devices_hold_is_not_retired(bench: Bench) -> None:
    play = bench.play("rotate", "-e", "retire=bench-2027")
    assert play.returncode == 2
    assert "bench-2027 stays active, since" in play.output


def test_a_certificate_goes_with_its_last_board(bench: Bench) -> None:
    name = yaml.safe_load((bench.directory / "inventory/group_vars/mbl.yml").read_text())["provision_pelion_dev_cert"]

    def status() -> str | None:
        certificates = bench.fleet.cloud.call("GET", "/state")["certificates"]
        return next((entry["status"] for entry in certificates if entry["name"] == name), None)

    *others, last = sorted(bench.addresses)
    (stored,) = (bench.home / ".mbl-store/team").glob(f"{name}.dev*.yml")
    play = bench.play("deprovision", "-e certificate=inactive", "-e", f"boards={','.join(others)}", "-e report=left")
    assert (play.returncode, status()) == (0, "ACTIVE"), play.output
    assert {board["name"]: board["outcome"] for board in bench.report("left")["boards"]} == dict.fromkeys(
        others, "changed"
    )
    options = f"-e device=suspended -e certificate=removed -e boards={last}"
    tried = bench.play("deprovision", options, "--check")
    assert (tried.returncode, status()) == (0, "ACTIVE"), tried.output
    done = bench.play("deprovision", options)
    assert (done.returncode, status()) == (0, None), done.output
    assert not stored.exists()
    refused = bench.play("deprovision", f"-e certificate=deleted -e boards={last}")
    assert refused.returncode == 2 and "kept, inactive or removed" in refused.output


def test_a_run_that_cannot_begin_tells_it_for_all(bench: Bench) -> None:
    play = bench.run(
        "env -u PELION_API_KEY -u MBED_CLOUD_SDK_API_KEY ansible-playbook -i inventory/ pelion.mbl.provision "
        "-e report=reports -e provision_pelion_user_store=/nonexistent"
    )
    assert play.returncode == 2, play.output
    report = bench.report()
    assert (report["success"], report["counts"]) == (False, {"not_reached": 3})
    assert "No API key" in report["problems"][0]


def test_the_role_in_a_play_of_its_user_takes_variables_and_module_defaults(bench: Bench) -> None:
    """The role has variables for stores and account; for the API key there are only the groups of modules."""
    for board in bench.addresses:
        bench.fleet.make_fresh(board)
    (bench.home / "second").write_text("the second secret\n")
    stores = bench.home / "of-the-role"
    play = {
        "hosts": "mbl",
        "gather_facts": False,
        "module_defaults": {"group/pelion.mbl.pelion": {"api_key": "{{ lookup('ansible.builtin.env', 'OWN_KEY') }}"}},
        "roles": ["pelion.mbl.provision_pelion"],
        "vars": {
            "provision_pelion_dev_cert": "own",
            "provision_pelion_api_host": "{{ lookup('ansible.builtin.env', 'OWN_HOST') }}",
            "provision_pelion_team_store": f"{stores}/team",
            "provision_pelion_user_store": f"{stores}/user",
            "provision_pelion_vault_id": "second",
        },
    }
    (bench.directory / "own.yml").write_text(yaml.safe_dump([play]))
    command = (
        "OWN_HOST=$PELION_API_HOST; unset PELION_API_KEY MBED_CLOUD_SDK_API_KEY PELION_API_HOST MBED_CLOUD_SDK_HOST; "
        f"export OWN_HOST OWN_KEY; ansible-playbook -i inventory/ --vault-id second@{bench.home}/second own.yml"
    )
    refused = bench.run(f"OWN_KEY=ak_unknown; {command}")
    assert refused.returncode == 2 and "Ask the board" not in refused.stdout, refused.output
    done = bench.run(f"OWN_KEY=$PELION_API_KEY; {command}")
    assert done.returncode == 0, done.output
    entries = [entry.read_text() for name in ("own", "bench-update") for entry in stores.glob(f"team/{name}.*.yml")]
    assert [entry.splitlines()[0] for entry in entries] == ["$ANSIBLE_VAULT;1.2;AES256;second"] * 2
    assert all(bench.fleet.content(board) for board in bench.addresses)
