# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bootstrap and the LwM2M server of the lab.

The real ones speak CoAP over DTLS or TCP. These speak a protocol of the lab's own: one JSON line each way
over mutually authenticated TLS on TCP, on one port for both servers. The handshake is real, so wrong
credentials fail where they would fail in the field.
"""

from __future__ import annotations

import base64
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from OpenSSL import SSL

from .faults import Faults
from .issuing import Authority
from .state import BootstrapError, State
from .times import now, rfc3339

BOOTSTRAP_HOST = "bootstrap.lab.pelion.test"
LWM2M_HOST = "lwm2m.lab.pelion.test"
_TIMEOUT = 10  # seconds for each read or write
_LONGEST_REQUEST = 64 * 1024


def _latency(connection: SSL.Connection) -> None:
    """Nothing but the time that any fault can take."""


def _cut(connection: SSL.Connection) -> None:
    raise ConnectionAbortedError("cut on demand")


def _refuse(connection: SSL.Connection, *, reason: str) -> None:
    raise BootstrapError(reason)


#: Faults for devices, after the handshake; their method is ``bootstrap`` or ``register``.
DEVICE_FAULTS = {"latency": _latency, "cut": _cut, "refuse": _refuse}


@dataclass(frozen=True)
class Attempt:
    """A device's try to bootstrap or to register; ``error`` is None when it succeeded."""

    time: str
    peer: str
    request: str | None
    device_id: str | None
    error: str | None


class BootstrapServer:
    """Serves from the moment it is made until ``stop``. ``attempts`` are the latest, oldest first."""

    def __init__(self, state: State, listener: socket.socket) -> None:
        self._state = state
        self.attempts: deque[Attempt] = deque(maxlen=10_000)
        self.faults = Faults(DEVICE_FAULTS)
        self._contexts = {
            BOOTSTRAP_HOST: _context(state.bootstrap_ca, BOOTSTRAP_HOST),
            LWM2M_HOST: _context(state.lwm2m_ca, LWM2M_HOST),
        }
        self._first_context = self._contexts[BOOTSTRAP_HOST]
        self._first_context.set_tlsext_servername_callback(self._choose_context)
        self._listener = listener
        self._stopping = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._listener.shutdown(socket.SHUT_RDWR)  # ends accept()
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, address = self._listener.accept()
            except OSError:
                if self._stopping:
                    return
                continue  # that client has given up
            peer = f"{address[0]}:{address[1]}"
            threading.Thread(target=self._serve, args=(client, peer), daemon=True).start()

    def _choose_context(self, connection: SSL.Connection) -> None:
        name = (connection.get_servername() or b"").decode("ascii", "replace")
        if name in self._contexts:
            connection.set_context(self._contexts[name])

    def _serve(self, client: socket.socket, peer: str) -> None:
        with client:
            # As socket options, not settimeout(): that makes the socket non-blocking, which pyOpenSSL would show.
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                client.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", _TIMEOUT, 0))
            self._talk(client, peer)

    def _talk(self, client: socket.socket, peer: str) -> None:
        request: str | None = None
        device_id: str | None = None
        error: str | None = None
        connection = SSL.Connection(self._first_context, client)
        connection.set_accept_state()
        try:
            connection.do_handshake()
            message = _read_line(connection)
            request = str(message.get("request"))
            for fault in self.faults.take(request, "/"):
                time.sleep(fault.seconds)
                DEVICE_FAULTS[fault.kind](connection, **fault.options)
            answer = self._answer(connection, request, message)
            device_id = answer["device_id"]
        except BootstrapError as refusal:
            error = str(refusal)
            answer = {"error": error}
        except (SSL.Error, OSError, ValueError) as failure:  # ValueError: a certificate that is none
            self.attempts.append(Attempt(rfc3339(now()), peer, request, None, f"connection: {_reason(failure)}"))
            return
        # Before the answer, so that who has it finds the attempt here.
        self.attempts.append(Attempt(rfc3339(now()), peer, request, device_id, error))
        try:
            connection.sendall(json.dumps(answer).encode() + b"\n")
            connection.shutdown()
        except (SSL.Error, OSError):
            pass  # the client is gone; it will come again

    def _answer(self, connection: SSL.Connection, request: str, message: Mapping[str, Any]) -> dict[str, str]:
        certificate = connection.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            raise BootstrapError("no certificate was presented")
        der = certificate.public_bytes(Encoding.DER)
        if request == "bootstrap":
            device, credentials = self._state.bootstrap(der, message)
            return {
                "device_id": device.id,
                "lwm2m_uri": f"{self._state.lwm2m_uri}?aid={device.account_id}",
                "lwm2m_ca": _base64(self._state.lwm2m_ca.certificate),
                "lwm2m_certificate": _base64(credentials.certificate),
                "lwm2m_private_key": _base64(credentials.private_key),
            }
        if request == "register":
            return {"device_id": self._state.register(der).id}
        raise BootstrapError(f"unknown request {request!r}")


def _context(authority: Authority, host: str) -> SSL.Context:
    identity = authority.issue_server(host)
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.use_certificate(x509.load_der_x509_certificate(identity.certificate))
    context.use_privatekey(load_der_private_key(identity.private_key, None))  # type: ignore[arg-type]
    # Developer certificates are self-signed and come and go, so the handshake takes any certificate whose
    # private key the client has; whether it is a known one is asked afterwards.
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    context.set_session_id(b"lab")
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    return context


def _read_line(connection: SSL.Connection) -> dict[str, Any]:
    data = b""
    while not data.endswith(b"\n"):
        if len(data) > _LONGEST_REQUEST:
            raise BootstrapError("the request is too long")
        data += connection.recv(4096)
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        raise BootstrapError("the request is no JSON") from None
    if not isinstance(message, dict):
        raise BootstrapError("the request is no JSON object")
    return message


def _reason(failure: BaseException) -> str:
    if isinstance(failure, SSL.WantReadError):
        return f"nothing came within {_TIMEOUT} s"
    return str(failure) or type(failure).__name__


def _base64(der: bytes) -> str:
    return base64.b64encode(der).decode()
