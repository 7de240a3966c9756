# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS ports for devices: real handshakes, with a certificate from both sides.

Arm's client takes the time from the server. Its clock starts near 0, and when it meets a certificate that begins
later it negotiates anew and believes the first four bytes of the ServerHello, which OpenSSL fills with random ones
and refuses a client the new negotiation, unless told otherwise.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aiocoap.numbers import Code
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from OpenSSL import SSL

from .coap import Link
from .faults import Faults
from .issuing import Authority
from .state import RefusalError
from .times import now, rfc3339

TIMEOUT = 10.0
"""Seconds to wait for what must come."""
# The one that Arm's client offers, with its tag of 8 bytes, and those that anybody takes.
_CIPHERS = b"ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES128-GCM-SHA256:@SECLEVEL=0"
# From openssl/ssl.h; pyOpenSSL has no names for them.
_MODE_SEND_SERVERHELLO_TIME, _OP_ALLOW_CLIENT_RENEGOTIATION = 0x40, 0x100
_VERIFY = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT


def _latency(request: str) -> None:
    """Nothing but the time that any fault can take."""


def _cut(request: str) -> None:
    raise ConnectionAbortedError("cut on demand")


def _refuse(request: str, *, reason: str, code: str = "4.03") -> None:
    raise RefusalError(reason, code)


#: Faults for devices. Their method is ``handshake``, where to refuse is not to trust the device's certificate, or
#: ``bootstrap``, ``register``, ``update`` or ``deregister``.
DEVICE_FAULTS = {"latency": _latency, "cut": _cut, "refuse": _refuse}


@dataclass(frozen=True)
class Attempt:
    """What a device tried (None: to connect); ``error`` is None when it succeeded."""

    time: str
    peer: str
    request: str | None
    device_id: str | None
    error: str | None


class Devices:
    """What the ports for devices share. ``attempts`` are the latest, oldest first."""

    def __init__(self) -> None:
        self.attempts: deque[Attempt] = deque(maxlen=10_000)
        self.faults = Faults(DEVICE_FAULTS)
        self._connected: set[socket.socket] = set()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def connected(self, plain: socket.socket) -> Iterator[None]:
        """Have ``plain`` among those that ``drop`` cuts off, and closed in the end."""
        with self._lock:
            self._connected.add(plain)
        try:
            yield
        finally:
            with self._lock:
                self._connected.remove(plain)
                with contextlib.suppress(OSError):  # the device was faster
                    plain.shutdown(socket.SHUT_WR)  # else what is unread would make it a reset, and no end at all
                plain.close()

    def drop(self) -> None:
        """Cut all connections off."""
        with self._lock:
            for plain in self._connected:
                with contextlib.suppress(OSError):  # the device was faster
                    plain.shutdown(socket.SHUT_RDWR)

    def note(self, peer: str, request: str | None, device_id: str | None, error: str | None) -> None:
        self.attempts.append(Attempt(rfc3339(now()), peer, request, device_id, error))

    def broke(self, peer: str, request: str | None, failure: Exception) -> None:
        """Note that the connection failed."""
        in_time = not isinstance(failure, SSL.WantReadError)
        reason = (str(failure) or type(failure).__name__) if in_time else "nothing came in time"
        self.note(peer, request, None, f"connection: {reason}")


class Peer:
    """A device at the other end: ``der`` is its certificate, and it has its private key."""

    def __init__(self, devices: Devices, connection: SSL.Connection, plain: socket.socket, name: str) -> None:
        self._devices = devices
        self._plain = plain
        self._name = name
        self._seconds = TIMEOUT
        self._request: str | None = None
        self.device_id: str | None = None  # once it is registered
        self.link = Link(connection)
        certificate = connection.get_peer_certificate(as_cryptography=True)
        assert certificate is not None  # the handshake requires one
        self.der = certificate.public_bytes(Encoding.DER)

    def tries(self, request: str) -> None:
        """To be called with what the device asks for, before it is carried out, for the faults to strike."""
        self._request = request
        strike(self._devices.faults, request)

    def succeeded(self, device_id: str) -> None:
        """To be called before the answer, so that who has it finds the attempt."""
        self._devices.note(self._name, self._request, device_id, None)

    def refused(self, refusal: RefusalError) -> Code:
        """Note a refusal; the code to answer with."""
        self._devices.note(self._name, self._request, None, str(refusal))
        major, _unused, minor = refusal.code.partition(".")
        return Code(int(major) << 5 | int(minor))

    def broke(self, failure: Exception) -> None:
        self._devices.broke(self._name, self._request, failure)

    def wait_at_most(self, seconds: float) -> None:
        """For each further read or write."""
        self._seconds = seconds
        limit(self._plain, seconds)

    def wait(self, wake: int) -> None:
        """For a message, or until the file ``wake`` is readable. Raises SSL.WantReadError when neither comes."""
        if self.link.is_waiting:
            return
        poll = select.poll()
        for file in (self._plain.fileno(), wake):
            poll.register(file, select.POLLIN)
        if not poll.poll(self._seconds * 1000):
            raise SSL.WantReadError


class DevicePort:
    """Serves from the moment it is made until ``stop``; ``converse`` talks with one device, in a thread of its own.

    Conversations go on after ``stop``; see ``Devices.drop``.
    """

    def __init__(
        self,
        devices: Devices,
        listener: socket.socket,
        authority: Authority,
        host: str,
        converse: Callable[[Peer], None],
    ) -> None:
        self._devices = devices
        self._context = _context(authority, host)
        self._converse = converse
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
                plain, address = self._listener.accept()
            except OSError:
                if self._stopping:
                    return
                continue  # that client has given up
            threading.Thread(target=self._serve, args=(plain, f"{address[0]}:{address[1]}"), daemon=True).start()

    def _serve(self, plain: socket.socket, name: str) -> None:
        with self._devices.connected(plain):
            limit(plain, TIMEOUT)
            self._talk(plain, name)

    def _talk(self, plain: socket.socket, name: str) -> None:
        connection = SSL.Connection(self._context, plain)
        connection.set_accept_state()
        try:
            strike(self._devices.faults, "handshake")
        except RefusalError:
            connection.set_verify(_VERIFY, lambda *_: False)
        except OSError as failure:
            return self._devices.broke(name, None, failure)
        try:
            connection.do_handshake()
            peer = Peer(self._devices, connection, plain, name)
        except (SSL.Error, OSError, ValueError) as failure:  # ValueError: a certificate that is none
            return self._devices.broke(name, None, failure)
        try:
            self._converse(peer)
        except (SSL.Error, OSError, ValueError) as failure:  # ValueError: what came is no message
            return peer.broke(failure)
        with contextlib.suppress(SSL.Error, OSError):
            connection.shutdown()
        return None


def strike(faults: Faults, method: str) -> None:
    """Let the faults for ``method`` happen. Raises what they do: RefusalError, OSError."""
    for fault in faults.take(method, "/"):
        time.sleep(fault.seconds)
        DEVICE_FAULTS[fault.kind](method, **fault.options)


def limit(plain: socket.socket, seconds: float) -> None:
    """Bound each read and write. As socket options: settimeout() would make it non-blocking, as pyOpenSSL shows."""
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        plain.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(seconds), int(seconds % 1 * 1e6)))


def _context(authority: Authority, host: str) -> SSL.Context:
    identity = authority.issue_server(host)
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(_CIPHERS)
    context.set_mode(_MODE_SEND_SERVERHELLO_TIME)
    context.set_options(_OP_ALLOW_CLIENT_RENEGOTIATION)
    context.use_certificate(x509.load_der_x509_certificate(identity.certificate))
    context.use_privatekey(load_der_private_key(identity.private_key, None))  # type: ignore[arg-type]
    # Developer certificates are self-signed and come and go, so the handshake takes any certificate whose
    # private key the client has; whether it is a known one is asked afterwards.
    context.set_verify(_VERIFY, lambda *_: True)
    context.set_session_id(host.encode())
    return context
