# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The official Python SDK, unmodified from PyPI, against the simulated cloud: a witness that is not ours for what the
cloud answers to calls that the collection makes as well. The numbers of calls are those that were counted with mbl-cli.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud import Cloud

Run = Callable[..., dict[str, Any]]

ROOT = Path(__file__).parents[3]
TRUSTED, DEVELOPER = "/v3/trusted-certificates", "/v3/developer-certificates"


def installed(version: str) -> Path:
    """The interpreter of an environment with the SDK, made once under .build; skips, loudly, where it cannot be."""
    python = "py{}.{}".format(*sys.version_info)
    place = ROOT / ".build" / f"mbed-cloud-sdk-{version}-{python}"
    interpreter, complete = place / "bin" / "python", place / "complete"
    pip = [sys.executable, "-m", "pip", "--python", interpreter, "install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", "--without-pip", place],
        [*pip, f"mbed-cloud-sdk=={version}"],
        [interpreter, "-c", "import mbed_cloud"],
    ):
        if complete.exists():
            break
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            reason = f"NOT TESTED with mbed-cloud-sdk {version} on {python}: {done.stderr.strip()[-500:]}"
            warnings.warn(reason, stacklevel=1)
            pytest.skip(reason)
    complete.touch()
    return interpreter


@pytest.fixture(scope="module", params=["2.0.6", "2.2.0"])
def sdk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """sdk_calls.py, running with the SDK; 2.0.6 is what mbl-cli pins."""
    # A place and a HOME of its own: the SDK reads settings from both.
    home = tmp_path_factory.mktemp("home")
    with subprocess.Popen(
        [installed(request.param), Path(__file__).with_name("sdk_calls.py")],
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def run(sdk: subprocess.Popen[str], cloud: Cloud) -> Run:
    """``run("create", "name")``: what the function of sdk_calls.py returned, or the SDK's error."""

    def run(name: str, *arguments: str, key: str = cloud.api_key) -> dict[str, Any]:
        environment = {"MBED_CLOUD_SDK_HOST": cloud.http_url, "MBED_CLOUD_SDK_API_KEY": key}
        sdk.stdin.write(json.dumps({"name": name, "arguments": arguments, "environment": environment}) + "\n")
        sdk.stdin.flush()
        return json.loads(sdk.stdout.readline())

    return run


def test_a_wrong_key(run: Run) -> None:
    assert run("get", "0" * 32, key="ak_1wrong") == {"status": 401, "reason": "Unauthorized"}


def test_provision_creating(cloud: Cloud, run: Run) -> None:
    made = run("create", "bench")["result"]
    (certificate,) = cloud.state.certificates.values()
    assert (made["id"], made["name"], made["type"]) == (certificate.id, "bench", "developer")
    assert made["file"] == cloud.state.security_file(certificate)
    assert cloud.log.counts() == {
        f"POST {DEVELOPER}": 1,
        f"GET {TRUSTED}/{{id}}": 1,
        f"GET {DEVELOPER}/{{id}}": 1,
    }


def test_a_name_that_is_taken(cloud: Cloud, run: Run) -> None:
    cloud.state.seed_certificates(1, "bench-")
    assert run("create", "bench-0") == {"status": 409, "reason": "Conflict"}


def test_a_full_account(cloud: Cloud, run: Run) -> None:
    cloud.state.set_account(cloud.account_id, certificate_limit=0)
    assert run("create", "bench") == {"status": 403, "reason": "Forbidden"}


def test_delete_certificate(cloud: Cloud, run: Run) -> None:
    (id_,) = cloud.state.seed_certificates(1)
    assert run("deactivate", id_) == {"result": "INACTIVE"}
    assert run("delete", id_) == {"result": None}
    assert cloud.state.certificates == {}
    # The SDK makes a None of every 404.
    assert run("get", id_) == {"result": None}


def test_devices(cloud: Cloud, run: Run) -> None:
    ids = cloud.state.seed_devices(60, cloud.state.seed_certificates(1)[0])
    listed = run("devices")["result"]
    assert listed == [{"id": id_, "state": "registered", "bootstrapped": True} for id_ in ids]
    assert run("name_device", ids[0]) == {"result": "gate"}
    assert cloud.state.devices[ids[0]].name == "gate"
    run("delete_device", ids[0])
    assert ids[0] not in cloud.state.devices


@pytest.mark.parametrize("sdk", ["2.2.0"], indirect=True)
def test_the_newer_interface(cloud: Cloud, run: Run) -> None:
    cloud.state.seed_certificates(3)
    assert run("foundation") == {
        "result": {
            "certificates": ["seeded-0", "seeded-1", "seeded-2"],
            "are_developer": [True, True, True],
            "created": "new",
        }
    }
