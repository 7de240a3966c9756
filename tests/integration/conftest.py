# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fleet import ROOT, Fleet, Play

PLAYBOOK = ROOT / "playbooks" / "provision.yml"
LONGEST = ("test_operating.py", "test_transaction.py", "test_fleet.py", "test_modules_cloud.py", "test_discovery.py")
"""Files that are begun with, so that at the end no worker waits for one of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three boards and a cloud, shared by all tests; the last board's ssh server is as old as MBL's."""
    fleet = Fleet.up(tmp_path_factory.mktemp("lab") / "state", "--devices", "3", "--sha1-hosts", "1")
    yield fleet
    fleet.down()


@pytest.fixture
def fleet(lab: Fleet) -> Fleet:
    """The lab with fresh boards, without faults, and with an account that holds nothing."""
    lab.cloud.call("DELETE", "/faults")
    lab.cloud.call("DELETE", "/device-faults")
    lab.cloud.call("DELETE", "/state")  # all tests together make more certificates than an account may have
    for board in lab.boards:
        lab.make_fresh(board)
    return lab


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory of the test's own, with a vault password in it."""
    directory = tmp_path / "home"
    directory.mkdir(mode=0o700)
    (directory / "vault-password").write_text("a test's vault password\n")
    return directory


@pytest.fixture
def provision(fleet: Fleet, home: Path, request: pytest.FixtureRequest) -> Callable[..., Play]:
    """Run the main job: ``provision(*options, environment={...})``. Each test has a certificate of its own."""

    def play(*options: str, environment: dict[str, str] | None = None, vault: bool = True) -> Play:
        secret = ["--vault-password-file", home / "vault-password"] if vault else []
        certificate = f"provision_pelion_dev_cert={request.node.name[:90]}"
        return fleet.run(
            "ansible-playbook",
            PLAYBOOK,
            *secret,
            "-e",
            certificate,
            *options,
            environment={"HOME": str(home), **(environment or {})},
        )

    return play
