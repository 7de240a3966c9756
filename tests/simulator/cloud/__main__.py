# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m cloud``: the cloud as a process of its own, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import json
import os
import signal
from pathlib import Path

from .service import Cloud


def main() -> None:
    parser = argparse.ArgumentParser(prog="cloud", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address of the API's listeners")
    parser.add_argument("--name", action="append", default=[], help="another name or address for the API's certificate")
    parser.add_argument(
        "--state-dir",
        type=Path,
        required=True,
        help="gets ca.pem, control.sock and, when all answers, cloud.json (which is also printed as one line)",
    )
    options = parser.parse_args()

    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)  # before any thread is made, so that only sigwait() sees them
    cloud = Cloud(
        host=options.host,
        names=options.name,
        device_host="::",  # takes IPv4 too
        state_dir=options.state_dir.absolute(),
    )
    try:
        cloud.start()
    except OSError as error:
        parser.exit(1, f"cloud: {error.strerror}\n")
    try:
        ready = options.state_dir / "cloud.json"
        _write(ready, json.dumps(_facts(cloud)) + "\n")
        print(ready.read_text(), end="", flush=True)
        signal.sigwait(stop)
        ready.unlink()
    finally:
        cloud.stop()


def _facts(cloud: Cloud) -> dict[str, str | int]:
    return {
        "pid": os.getpid(),
        "https_url": cloud.https_url,
        "http_url": cloud.http_url,
        "ca_path": str(cloud.ca_path),
        "control_socket": str(cloud.control_socket),
        "bootstrap_port": cloud.bootstrap_port,
        "lwm2m_port": cloud.lwm2m_port,
        "account_id": cloud.account_id,
        "api_key": cloud.api_key,
    }


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and for the owner only: there is an API key in it."""
    unfinished = path.with_suffix(".new")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    unfinished.replace(path)


if __name__ == "__main__":
    main()
