# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated Device Management service as a whole."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import trustme
from starlette.types import ASGIApp, Receive, Scope, Send

from .api import api
from .bootstrap import Bootstrap
from .control import control
from .device_server import DevicePort, Devices
from .faults import API_FAULTS, Faults
from .listening import Listeners, bind
from .registration import Registration
from .state import State
from .wire import CallLog, Wire

BOOTSTRAP_HOST = "bootstrap.lab.pelion.test"
LWM2M_HOST = "lwm2m.lab.pelion.test"
_OWN_NAMES = ("localhost", "127.0.0.1", "::1")


class Cloud:
    """A service with one account, which runs from ``start`` (or ``with``) to ``stop``.

    ``https_url`` and ``http_url``: the API. ``ca_path``: PEM file of the CA that the former's certificate
    is of. ``api_key``, ``account_id``: the account. ``bootstrap_port``, ``lwm2m_port``: of the two servers for
    devices, whose hosts are ``bootstrap.lab.pelion.test`` and ``lwm2m.lab.pelion.test``. ``control_socket``:
    Unix socket that serves ``/_lab/…``, as the plain listener does.

    For tests that share the process: ``state``; ``faults`` (see faults.py) and ``log`` of the API's calls;
    ``devices``, with their faults and attempts (see device_server.py).
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        names: Sequence[str] = (),
        device_host: str = "127.0.0.1",
        state_dir: Path | None = None,
        tier: str = "1",
    ) -> None:
        self._host = host
        self._names = (*_OWN_NAMES, *names)
        self._device_host = device_host
        self._state_dir = state_dir
        self._tier = tier

    def start(self) -> None:
        """Raises OSError when a listener cannot be had; then nothing is left running."""
        with ExitStack() as running:
            if self._state_dir is None:
                directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="lab-cloud-")))
            else:
                directory = self._state_dir
                directory.mkdir(parents=True, exist_ok=True)
            self._start(running, directory)
            self._running = running.pop_all()

    def stop(self) -> None:
        self._running.close()

    def _start(self, running: ExitStack, directory: Path) -> None:
        listeners = [running.enter_context(bind(self._device_host)) for _server in range(2)]
        self.bootstrap_port, self.lwm2m_port = (listener.getsockname()[1] for listener in listeners)
        self.state = State(f"coaps://{BOOTSTRAP_HOST}:{self.bootstrap_port}", f"coaps://{LWM2M_HOST}:{self.lwm2m_port}")
        account, self.api_key = self.state.add_account(self._tier)
        self.account_id = account.id
        self.devices = Devices()
        running.callback(self.devices.drop)
        for listener, authority, host, server in zip(
            listeners,
            (self.state.bootstrap_ca, self.state.lwm2m_ca),
            (BOOTSTRAP_HOST, LWM2M_HOST),
            (Bootstrap(self.state), Registration(self.state)),
            strict=True,
        ):
            running.callback(DevicePort(self.devices, listener, authority, host, server.converse).stop)

        self.faults = Faults(API_FAULTS)
        self.log = CallLog()
        self._wire = Wire(api(self.state), self.faults, self.log)
        self._listeners = Listeners()
        running.callback(self._listeners.stop)

        self._authority = trustme.CA()
        self.ca_path = directory / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca_path))
        self.https_url = self._listen_tls(self._authority, self._names)
        plain = bind(self._host)
        self.http_url = f"http://127.0.0.1:{plain.getsockname()[1]}"
        self.control_socket = directory / "control.sock"
        running.callback(self.control_socket.unlink, missing_ok=True)
        self._listeners.add(
            _with_control(self._wire, control(self.state, self.faults, self.log, self.devices)),
            plain,
            _bind_unix(self.control_socket),
        )

    def __enter__(self) -> Cloud:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wrong_name_url(self) -> str:
        """URL of one more listener, whose certificate of the known CA is another host's."""
        return self._listen_tls(self._authority, ("other.lab.pelion.test",))

    def unknown_ca_url(self) -> str:
        """URL of one more listener, whose certificate is of a CA that nobody knows."""
        return self._listen_tls(trustme.CA(), _OWN_NAMES)

    def _listen_tls(self, authority: trustme.CA, names: tuple[str, ...]) -> str:
        listener = bind(self._host)
        self._listeners.add(self._wire, listener, tls=authority.issue_cert(*names))
        return f"https://localhost:{listener.getsockname()[1]}"


def _with_control(wire: ASGIApp, control: ASGIApp) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        chosen = control if scope["path"].startswith("/_lab/") else wire
        await chosen(scope, receive, send)

    return app


def _bind_unix(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    os.chmod(path, 0o600)
    listener.listen(64)
    return listener
