# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device in front of the lab's cloud, which talks as Arm's client was observed to."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aiocoap import ACK, CHANGED, CON, CONTINUE, DELETE, DELETED, EMPTY, POST, PUT, Message
from cloud import Cloud
from cloud.issuing import Identity, pem
from cloud.records import TrustedCertificate
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

BLOCK = 512


@dataclass
class RefusedError(Exception):
    """The response's code, dotted, and its text."""

    code: str
    reason: str


@dataclass
class Bootstrapped:
    """What a device holds after its bootstrap: resources of object 0 by id."""

    resources: dict[int, bytes]

    @property
    def identity(self) -> Identity:
        key = load_der_private_key(self.resources[5], None)
        return Identity(self.resources[3], key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def uri(self) -> str:
        return self.resources[0].decode()


class Session:
    """An established connection, message by message."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.connection = connection
        self._ids = itertools.count(1)

    def send(self, message: Message, type_: int = CON, id_: int | None = None) -> None:
        message.mtype, message.mid = type_, next(self._ids) if id_ is None else id_
        self.connection.sendall(message.encode())

    def receive(self) -> Message | None:
        """The next message; None when the server closed the connection in order."""
        record = self.connection.recv(16384)
        return Message.decode(record) if record else None

    def ask(self, message: Message, token: bytes = b"tokn") -> Message:
        """Send a request, in blocks if need be; its response, when it is a success. Raises RefusedError."""
        payload = message.payload
        for number in range(max(1, -(-len(payload) // BLOCK))):
            part = message.copy(payload=payload[number * BLOCK : (number + 1) * BLOCK])
            part.token = token
            if len(payload) > BLOCK:
                part.opt.block1 = (number, (number + 1) * BLOCK < len(payload), 5)
            self.send(part)
            response = self.receive()
            assert response is not None, "the server closed the connection"
            assert (response.mtype, response.token) == (ACK, token)
            if response.code is not CONTINUE:
                break
            assert response.opt.block1.block_number == number
        if not response.code.is_successful():
            raise RefusedError(response.code.dotted, response.payload.decode())
        return response

    def acknowledge(self, request: Message, code: int = EMPTY) -> None:
        response = Message(code=code, block1=request.opt.block1 if code else None)
        response.token = request.token if code else b""
        self.send(response, ACK, request.mid)


@dataclass
class Devices:
    """Devices in front of ``cloud``; the last bootstrap's messages from the server are in ``seen``."""

    cloud: Cloud
    directory: Path
    seen: list[Message] = field(default_factory=list)

    @contextlib.contextmanager
    def connect(self, port: int, identity: Identity | None, ca: bytes) -> Iterator[Session]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # Arm's client does not say which host it wants, nor look whom it met
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0")
        context.load_verify_locations(cadata=ca)
        if identity:
            file = self.directory / "device.pem"
            file.write_text(pem("CERTIFICATE", identity.certificate) + pem("PRIVATE KEY", identity.private_key))
            context.load_cert_chain(file)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=15) as plain,
            context.wrap_socket(plain, suppress_ragged_eofs=False) as connection,
        ):
            yield Session(connection)

    def bootstrap(
        self, certificate: TrustedCertificate, identity: Identity | None = None, **changes: str | None
    ) -> Bootstrapped:
        """With the developer certificate ``certificate``, an entry of the state; ``changes`` of queries."""
        said = {"ep": certificate.endpoint_name, "aid": certificate.account_id, "mccv": "4.1.0", **changes}
        queries = [f"{name}={value}" for name, value in said.items() if value is not None]
        identity = identity or Identity(certificate.der, certificate.private_key)
        with self.connect(self.cloud.bootstrap_port, identity, self.cloud.state.bootstrap_ca.certificate) as session:
            assert session.ask(Message(code=POST, uri_path=["bs"], uri_query=queries)).code is CHANGED
            return self._accept(session)

    def _accept(self, session: Session) -> Bootstrapped:
        self.seen = []
        written, finished = b"", None
        while (message := session.receive()) is not None:
            if message.code is EMPTY:
                continue
            self.seen.append(message)
            if message.code is DELETE:
                session.acknowledge(message, DELETED)
            elif message.code is PUT:
                assert message.opt.block1.start == len(written)
                written += message.payload
                session.acknowledge(message, CONTINUE if message.opt.block1.more else CHANGED)
            elif message.code is POST:
                finished = message.opt.uri_path
                session.acknowledge(message)
                answer = Message(code=CHANGED)
                answer.token = message.token
                session.send(answer)
        assert finished == ("bs",)
        (resources,) = (content for kind, id_, content in entries(written) if (kind, id_) == (0, 0))
        return Bootstrapped({id_: value for kind, id_, value in entries(resources) if kind == 3})

    @contextlib.contextmanager
    def lwm2m(self, held: Bootstrapped) -> Iterator[Session]:
        """A connection to the LwM2M server."""
        with self.connect(self.cloud.lwm2m_port, held.identity, held.resources[4]) as session:
            yield session

    def register(
        self, held: Bootstrapped, session: Session | None = None, lifetime: object = 600, links: str = ""
    ) -> tuple[str, ...]:
        """The location that a registration got, on a connection of its own if not told. ``links``: more of them."""
        if session is None:
            with self.lwm2m(held) as session:
                return self.register(held, session, lifetime, links)
        account = held.uri.partition("?aid=")[2]
        queries = ["ep=x", "et=default", f"lt={lifetime}", f"d={account}", "b=U", f"aid={account}", "mccv=4.1.0"]
        objects = b",".join([*(b"</3/0/%d>" % number for number in range(100)), *([links.encode()] if links else [])])
        response = session.ask(Message(code=POST, uri_path=["rd"], uri_query=queries, payload=objects))
        assert response.code.dotted == "2.01"
        return response.opt.location_path


def entries(tlv: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind (the type's two bits), id and value of each entry in LwM2M's TLV encoding."""
    while tlv:
        type_, tlv = tlv[0], tlv[1:]
        id_size, length_size = 2 if type_ & 0x20 else 1, type_ >> 3 & 3
        id_, tlv = int.from_bytes(tlv[:id_size], "big"), tlv[id_size:]
        length = int.from_bytes(tlv[:length_size], "big") if length_size else type_ & 7
        tlv = tlv[length_size:]
        assert len(tlv) >= length
        yield type_ >> 6, id_, tlv[:length]
        tlv = tlv[length:]
