# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab itself: what its boards are like, and that it comes and goes without a trace."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import pwd
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fleet import LAB, ROOT, TIMEOUT, Fleet

SSH = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
UTILITY = "/opt/arm/pelion-provisioning-util"
LOG = "/var/log/mbl-cloud-client.log"

# What the lab's cloud gives to who asks for a developer certificate: names of C variables and their bytes, in
# hexadecimal. A program for the controller's place.
NEW_CREDENTIALS = """
import json, os, sys
import requests
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.developer_credentials import DeveloperCredentials
answer = requests.post(
    os.environ["PELION_API_HOST"] + "/v3/developer-certificates",
    headers={"Authorization": "Bearer " + os.environ["PELION_API_KEY"]},
    verify=os.environ["PELION_CA_PATH"],
    json={"name": sys.argv[1]},
    timeout=30,
)
answer.raise_for_status()
credentials = DeveloperCredentials.from_c_source(answer.json()["security_file_content"].encode(), "the lab's cloud")
json.dump({name: value.hex() for name, value in credentials.values.items()}, sys.stdout)
"""


def ssh(
    fleet: Fleet, board: str, *command: str, options: list[str] | None = None, **more: object
) -> subprocess.CompletedProcess[str]:
    (address,) = [entry["ipv6"] for entry in fleet.status()["boards"] if entry["name"] == board]
    return fleet_run(fleet, [*SSH, *(options or []), f"root@{address}", *command], **more)


def fleet_run(fleet: Fleet, command: list[str], **more: object) -> subprocess.CompletedProcess[str]:
    in_lab = [LAB, "run", "--state", fleet.state, "--", *command]
    return subprocess.run(in_lab, capture_output=True, text=True, timeout=TIMEOUT, check=False, **more)


def new_credentials(fleet: Fleet, name: str) -> dict[str, bytes]:
    environment = {"PYTHONPATH": str(ROOT / ".build")}
    answer = fleet.run(str(ROOT / ".venv/bin/python"), "-c", NEW_CREDENTIALS, name, environment=environment)
    assert answer.returncode == 0, answer.stderr
    credentials = {name: bytes.fromhex(value) for name, value in json.loads(answer.stdout).items()}
    # Any certificate of the right profile will do.
    update = credentials["MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE"]
    identifiers = {"arm_uc_vendor_id": b"v" * 16, "arm_uc_class_id": b"c" * 16}
    return {**credentials, "arm_uc_default_certificate": update, **identifiers}


def provision(fleet: Fleet, board: str, credentials: dict[str, bytes]) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as files:
        for name, value in credentials.items():
            entry = tarfile.TarInfo(f"{name}.bin")
            entry.size = len(value)
            files.addfile(entry, io.BytesIO(value))
    inputs = "/scratch/provisioning-certs"
    script = f"mkdir -p {inputs} && tar -x -C {inputs} && {UTILITY} --provision"
    command = [LAB, "device", "--state", fleet.state, board, "sh", "-c", script]
    subprocess.run(command, input=archive.getvalue(), check=True, timeout=TIMEOUT, capture_output=True)


def command_lines() -> Iterator[tuple[Path, bytes]]:
    """The machine's processes, as directories in /proc, with their arguments. They come and go."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield process, (process / "cmdline").read_bytes()


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def device_id(fleet: Fleet, board: str) -> str:
    """The id with which a board registered last."""
    lines = [line for line in fleet.on(board, f"cat {LOG}").splitlines() if "Device Id: " in line]
    return lines[-1].rpartition(" ")[2]


def registrations(fleet: Fleet, board: str) -> int:
    return fleet.on(board, f"cat {LOG}").count("Client registered")


# Boards


def test_output_input_and_exit_status_pass_through(fleet: Fleet) -> None:
    board = fleet.boards[0]
    answer = ssh(fleet, board, "cat; echo error >&2; exit 7", input="some input\n")
    assert (answer.returncode, answer.stdout) == (7, "some input\n")
    assert "error\n" in answer.stderr
    on_board = [LAB, "device", "--state", fleet.state, board, "sh", "-c", "cat; exit 7"]
    answer = subprocess.run(
        on_board, input="more input\n", capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert (answer.returncode, answer.stdout) == (7, "more input\n")
    assert fleet_run(fleet, ["sh", "-c", "exit 9"]).returncode == 9


def test_userland_is_that_of_a_production_image(fleet: Fleet) -> None:
    board = fleet.boards[0]
    there = (
        "sha256sum sha1sum md5sum od dd printf stat tail mktemp find awk sed cat shuf realpath tar mount umount sync "
        "scp"
    )
    lacking = (
        "python python3 base64 uudecode xxd timeout chmod chown chgrp id whoami groups mknod nproc diff patch hexdump "
        "nc nslookup pidof fuser mountpoint su passwd login bash perl gcc"
    )
    found = ssh(fleet, board, f"which {there} {lacking}").stdout.split()
    assert [Path(path).name for path in found] == there.split()
    # The shell must not have applets of its own that no file stands for.
    assert ssh(fleet, board, "base64 --help").returncode == 127


def test_board_is_a_machine_of_its_own(fleet: Fleet) -> None:
    first, second, _unused = fleet.boards
    assert fleet.on(first, "hostname; cat /config/user/hostname").split() == [first, first]
    assert fleet.on(first, "echo $$ $HOME; ls -d /scratch /config/user /var/log /opt/arm").split()[1] == "/home/root"
    assert str(fleet.state) not in fleet.on(first, "cat /proc/mounts")
    assert first not in fleet.on(second, "ps; ip address")
    assert fleet.on(first, "[ -e /root ] || echo none") == "none\n"
    clock = time.time()
    fleet.on(first, "date -s 1999-01-01", check=False)
    assert time.time() >= clock


def test_connections_and_exchanges_are_counted(fleet: Fleet) -> None:
    board = fleet.boards[0]
    before = fleet.counts()
    with tempfile.TemporaryDirectory() as directory:  # a socket's path must be short
        shared = ["-o", "ControlMaster=auto", "-o", "ControlPersist=20", "-o", f"ControlPath={directory}/%C"]
        for _unused in range(3):
            assert ssh(fleet, board, "true", options=shared).returncode == 0
        assert ssh(fleet, board, "true", options=[*shared, "-O", "exit"]).returncode == 0
    after = fleet.counts()
    assert (after[board][0] - before[board][0], after[board][1] - before[board][1]) == (1, 3)
    assert {name: after[name] for name in after if name != board} == {
        name: before[name] for name in before if name != board
    }


def test_boards_reboot_and_come_back(fleet: Fleet) -> None:
    for _unused in range(5):
        for board in fleet.boards:
            fleet.on(board, "echo >/run/lost")
        # All at once, and without waiting for what the kernel tidies up after them.
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda board: fleet.on(board, "reboot -f", check=False), fleet.boards))
        for board in fleet.boards:
            eventually(lambda board=board: fleet.on(board, "[ -e /run/lost ] || echo new", check=False) == "new\n")
    assert all(entry["running"] for entry in fleet.status()["boards"])
    options = ["-o", "HostKeyAlgorithms=+ssh-rsa"]
    for board in fleet.boards:
        eventually(lambda board=board: ssh(fleet, board, "true", options=options).returncode == 0)


def test_power(fleet: Fleet) -> None:
    board, other, _unused = fleet.boards

    def running() -> dict[str, bool]:
        return {entry["name"]: entry["running"] for entry in fleet.status()["boards"]}

    fleet.on(board, "echo kept >/config/user/kept; echo lost >/run/lost")
    for _unused in range(2):  # what is as wished stays so
        assert lab("power", "--state", fleet.state, board, "off").returncode == 0
        assert (running()[board], running()[other]) == (False, True)
    answer = lab("device", "--state", fleet.state, board, "true")
    assert (answer.returncode, answer.stderr) == (1, f"lab: {board} is off\n")
    for _unused in range(2):
        assert lab("power", "--state", fleet.state, board, "on").returncode == 0
        assert running()[board]
    eventually(lambda: ssh(fleet, board, "[ ! -e /run/lost ]").returncode == 0)
    assert fleet.on(board, "cat /config/user/kept; rm /config/user/kept") == "kept\n"


# The controller's place


def test_environment_of_commands(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELION_API_KEY", "ak_a_real_one")
    monkeypatch.setenv("MBED_CLOUD_SDK_HOST", "https://api.example.com")
    monkeypatch.delenv("PELION_TEAM_STORE", raising=False)
    monkeypatch.delenv("PELION_USER_STORE", raising=False)
    monkeypatch.setenv("HOME", "/tmp/some home")
    monkeypatch.setenv("ANSIBLE_FORKS", "17")
    monkeypatch.setenv("ANSIBLE_INVENTORY", "mine,")
    lines = fleet_run(fleet, ["env", "-0"]).stdout.split("\0")
    environment = dict(line.split("=", 1) for line in lines if line)
    assert environment["PELION_API_HOST"].startswith("https://localhost:")
    assert environment["PELION_API_KEY"].startswith("ak_")
    assert environment["PELION_API_KEY"] == environment["MBED_CLOUD_SDK_API_KEY"] != "ak_a_real_one"
    assert environment["MBED_CLOUD_SDK_HOST"].startswith("http://127.0.0.1:")
    assert Path(environment["PELION_CA_PATH"]).read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert environment["HOME"] == "/tmp/some home"
    assert "PELION_TEAM_STORE" not in environment and "PELION_USER_STORE" not in environment
    assert (environment["ANSIBLE_FORKS"], environment["ANSIBLE_INVENTORY"]) == ("17", "mine,")
    assert environment["PATH"].split(":")[0] == str(ROOT / ".venv/bin")
    supervisors = [process for process, arguments in command_lines() if b"pelion_lab.supervisor" in arguments]
    assert supervisors
    for process in supervisors:
        with contextlib.suppress(OSError):  # of another test's lab, which has ended
            assert b"ak_a_real_one" not in (process / "environ").read_bytes()


def test_stores_are_the_labs(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried in the lab gets into no store of the user's, and is gone with it (test_nothing_is_left)."""
    monkeypatch.setenv("HOME", pwd.getpwuid(os.getuid()).pw_dir)
    monkeypatch.delenv("PELION_TEAM_STORE", raising=False)
    monkeypatch.setenv("PELION_USER_STORE", "/the caller's own")
    told = fleet_run(fleet, ["sh", "-c", 'mkdir "$PELION_TEAM_STORE"; echo "$PELION_TEAM_STORE:$PELION_USER_STORE"'])
    assert (told.stdout, told.stderr) == (f"{fleet.state}/stores/team:/the caller's own\n", "")


def test_key_is_for_the_user_only(fleet: Fleet) -> None:
    key = fleet.run("sh", "-c", "echo $PELION_API_KEY").stdout.strip()
    assert key not in json.dumps(fleet.status())
    for path in fleet.state.rglob("*"):
        if path.is_file() and not path.is_symlink() and key.encode() in path.read_bytes():
            assert path.stat().st_mode & 0o077 == 0, path
    for process, arguments in command_lines():
        assert key.encode() not in arguments, process


# The cloud client


def test_client_of_a_board_that_is_not_provisioned(fleet: Fleet) -> None:
    board = fleet.boards[0]
    fleet.on(board, "systemctl restart mbl-cloud-client")
    eventually(lambda: "Device not configured for mbed Cloud - exit\n" in fleet.on(board, f"cat {LOG}"))
    assert "/opt/arm/mbl-cloud-client" not in fleet.on(board, "ps")
    # It may make a storage where there is none, as the real one does, but puts no item into it.
    assert fleet.on(board, "find /config/user/pal -type f", check=False).split() in ([], ["/config/user/pal/flashSim"])


def test_bootstrapped_board_ignores_new_credentials(fleet: Fleet, request: pytest.FixtureRequest) -> None:
    board = fleet.boards[0]
    for count in (1, 2):
        provision(fleet, board, new_credentials(fleet, f"{request.node.name} {count}"))
        fleet.on(board, "systemctl restart mbl-cloud-client")
        eventually(lambda count=count: registrations(fleet, board) == count)
    attempts = [attempt["request"] for attempt in fleet.cloud.call("GET", "/attempts")][-4:]
    assert attempts == ["bootstrap", "register", "deregister", "register"]
    identity = device_id(fleet, board)

    fleet.on(board, "cd /config/user/pal/WORKING && rm IfhptCHa WXCcwgzA jNagGYwd r18QaFPP")
    fleet.on(board, "systemctl restart mbl-cloud-client")
    eventually(lambda: registrations(fleet, board) == 3)
    assert device_id(fleet, board) == identity

    # From then on the identity is in the bootstrap URI as well: without its own item it is kept all the same.
    fleet.on(board, "cd /config/user/pal/WORKING && rm IfhptCHa WXCcwgzA jNagGYwd r18QaFPP 0hG1cjMO")
    fleet.on(board, "systemctl restart mbl-cloud-client")
    eventually(lambda: registrations(fleet, board) == 4)
    assert device_id(fleet, board) == identity
    fleet.on(board, "systemctl stop mbl-cloud-client; cd /config/user/pal && rm WORKING/* && cp BACKUP/* WORKING/")
    fleet.on(board, "systemctl start mbl-cloud-client")
    eventually(lambda: registrations(fleet, board) == 5)
    assert device_id(fleet, board) != identity


def test_expired_update_certificate_is_fatal(fleet: Fleet, request: pytest.FixtureRequest) -> None:
    board = fleet.boards[0]
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "update")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(days=90))
    builder = builder.not_valid_after(now - datetime.timedelta(minutes=1))
    expired = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    credentials = new_credentials(fleet, request.node.name)
    provision(fleet, board, {**credentials, "arm_uc_default_certificate": expired})
    # Judged by the time that a server says. Until one did, nothing has expired.
    assert "configured correctly" in fleet.on(board, f"{UTILITY} --get-pelion-status")
    fleet.on(board, "systemctl restart mbl-cloud-client")
    eventually(lambda: registrations(fleet, board) == 1)
    fleet.on(board, "systemctl restart mbl-cloud-client")
    eventually(lambda: "Device not configured for mbed Cloud - exit\n" in fleet.on(board, f"cat {LOG}"))
    assert "Certificate expired:mbed.UpdateAuthCert\n" in fleet.on(board, f"grep 'ERR ' {LOG}")
    status = fleet.on(board, f"{UTILITY} --get-pelion-status 2>&1", check=False)
    assert "Certificate expired:mbed.UpdateAuthCert\n" in status


# Coming and going


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A place for a lab of the test's own, which has ended when the test has."""
    yield tmp_path / "own"
    subprocess.run([LAB, "down", "--state", tmp_path / "own"], check=True, timeout=TIMEOUT)


def traces(state: Path) -> list[str]:
    """Processes and mounts of the lab in STATE, and named network namespaces."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            environment = (directory / "environ").read_bytes()
            arguments = (directory / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"LAB_STATE={state}".encode() in environment.split(b"\0") or any(
            os.fsencode(state) in argument for argument in arguments
        ):
            found.append(b" ".join(arguments).decode())
    found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(state) in line]
    return found + subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout.splitlines()


def first_process(state: Path) -> int:
    return json.loads((state / "lab.json").read_text())["process"]


def lab(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LAB, *arguments], capture_output=True, text=True, timeout=TIMEOUT, check=False)


@pytest.mark.skipif(not Path("/dev/loop-control").exists(), reason="there are no loop devices on this machine")
def test_power_cut_loses_what_was_not_synced(state: Path) -> None:
    fleet = Fleet.up(state, "--devices", "2", "--disks")
    board, other = fleet.boards
    fleet.on(other, "echo 2 >/config/user/written")
    said = state / "log" / board / "written"
    # It writes on and on, and says what it has written where no cut reaches.
    write = "echo $((n += 1)) >>/config/user/written; echo $n >>/run/lab/written"
    begin = "rm -f /config/user/written /run/lab/written; cd /config/user && echo 1 >synced && sync"

    def a_cut_loses_something() -> bool:
        fleet.on(board, begin)
        fleet.on(board, f"(n=0; while :; do {write}; usleep 1000; done) >/dev/null 2>&1 </dev/null &")
        eventually(lambda: said.exists() and len(said.read_text().split()) > 100)
        assert lab("power", "--state", state, board, "cut").returncode == 0
        assert lab("power", "--state", state, board, "on").returncode == 0
        # The host key is from before the first boot.
        eventually(lambda: ssh(fleet, board, "true").returncode == 0)
        assert fleet.on(board, "cat /config/user/synced") == "1\n"
        return len(fleet.on(board, "cat /config/user/written", check=False).split()) < len(said.read_text().split())

    # Anybody's `sync` on this machine reaches its disk too, and may come at the very moment of a cut.
    assert any(a_cut_loses_something() for _cut in range(5))
    # A board that crashes or is switched off in order has nothing to lose, and its disk is its own.
    fleet.on(board, "echo 3 >/config/user/written; reboot -f", check=False)
    eventually(lambda: ssh(fleet, board, "cat /config/user/written").stdout == "3\n")
    assert lab("power", "--state", state, other, "off").returncode == 0
    assert lab("power", "--state", state, other, "on").returncode == 0
    eventually(lambda: fleet.on(other, "cat /config/user/written", check=False) == "2\n")
    fleet.down()
    assert str(state) not in "".join(file.read_text() for file in Path("/sys/block").glob("loop*/loop/backing_file"))


@pytest.mark.parametrize("killed", [False, True], ids=["in order", "after its first process was killed"])
def test_nothing_is_left(state: Path, killed: bool) -> None:
    before = traces(state)
    fleet = Fleet.up(state, "--devices", "2")
    # Something that outlives the command that started it, such as ssh's master of a shared connection.
    fleet.run("sh", "-c", "setsid sleep 1000 </dev/null >/dev/null 2>&1 &")
    assert any("sleep 1000" in trace for trace in traces(state))
    fleet.on(fleet.boards[0], "mount -t tmpfs tmpfs /config/user")
    (state / "stores/team").mkdir()
    if killed:
        os.kill(first_process(state), signal.SIGKILL)
        eventually(lambda: lab("status", "--state", state).returncode == 1)
    fleet.down()
    assert traces(state) == before
    assert [path.name for path in state.iterdir()] == ["log"]
    assert lab("down", "--state", state).returncode == 0


def test_second_lab_at_the_same_place(state: Path) -> None:
    fleet = Fleet.up(state, "--devices", "1")
    answer = lab("up", "--devices", "3", "--state", state)
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"lab: a lab is up in {state}; end it first: ")
    assert len(fleet.boards) == 1
    assert fleet.on(fleet.boards[0], "echo alive") == "alive\n"


def test_interrupted_start_leaves_nothing(state: Path) -> None:
    before = traces(state)
    # What a shell starts in the background ignores SIGINT, and so would all that the tests start.
    starting = subprocess.Popen(
        [LAB, "up", "--devices", "20", "--state", state],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    eventually(lambda: (state / "boards").is_dir() and any((state / "boards").iterdir()))
    starting.send_signal(signal.SIGINT)
    starting.communicate(timeout=TIMEOUT)
    assert starting.returncode != 0
    assert traces(state) == before
    assert not (state / "boards").exists()


def test_files_of_others_are_safe(state: Path) -> None:
    (state / "boards").mkdir(parents=True)
    (state / "boards/precious").write_text("x")
    (state / "thesis.tex").write_text("x")
    answer = lab("up", "--devices", "1", "--state", state)
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"lab: {state} holds other files than a lab's (thesis.tex)")
    lab("down", "--state", state)
    assert (state / "boards/precious").exists()
    (state / "thesis.tex").unlink()
