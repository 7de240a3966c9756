# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""CoAP with a device, the way mbed-cloud-client speaks it: RFC 7252 messages, each in a TLS record of its own.

That is not RFC 8323, CoAP over TCP: there is a message type and a message id, and no capabilities are exchanged.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from aiocoap import ACK, CON, CONTINUE, RST, Message
from aiocoap.error import Error
from aiocoap.numbers import Code
from OpenSSL import SSL

LONGEST_PAYLOAD = 64 * 1024
_RECORD = 16 * 1024
_BLOCK_EXPONENT = 5
BLOCK = 2 ** (_BLOCK_EXPONENT + 4)
"""Bytes of payload in a message; the rest follows in further ones (RFC 7959, Block1)."""


class MessageError(ValueError):
    """What came is no message, or not one that fits here."""


class Link:
    """Messages to and from the device at the other end of an established TLS connection.

    What the connection raises passes through: SSL.Error (SSL.ZeroReturnError when the device closed it, and
    SSL.WantReadError when nothing came in time) and OSError.
    """

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection = connection
        self._id = secrets.randbelow(1 << 16)

    def receive(self) -> Message:
        """The next message. Raises MessageError. An empty confirmable message, CoAP's ping, is answered here."""
        while True:
            try:
                message = Message.decode(self._connection.recv(_RECORD))
            except (Error, ValueError, IndexError) as error:
                raise MessageError(f"no CoAP message came: {error}") from None
            if message.mtype is not CON or message.code is not Code.EMPTY:
                return message
            self._send(Message(code=Code.EMPTY), RST, message.mid)

    def receive_request(self) -> Message:
        """The next request, with its whole payload, and with ``opt.block1`` of its last block. Raises MessageError."""
        payload = b""
        while True:
            request = self.receive()
            if not request.code.is_request():
                if request.code is Code.EMPTY:
                    continue  # such as the acknowledgement of a response
                raise MessageError(f"{request.code} came instead of a request")
            block = request.opt.block1
            if block is not None and block.start != len(payload):
                raise MessageError(f"block {block.block_number} came after {len(payload)} bytes")
            payload += request.payload
            if len(payload) > LONGEST_PAYLOAD:
                raise MessageError("the payload is too long")
            if block is None or not block.more:
                request.payload = payload
                return request
            self.respond(request, CONTINUE)

    def respond(self, request: Message, code: Code, payload: bytes = b"", *, location: Iterable[str] = ()) -> None:
        """Answer, piggybacked on the acknowledgement."""
        response = Message(code=code, payload=payload, block1=request.opt.block1, location_path=tuple(location))
        response.token = request.token
        self._send(response, ACK, request.mid)

    def request(self, code: Code, path: Iterable[str], payload: bytes = b"", *, format_: int | None = None) -> Message:
        """Ask the device; the response, whether it came with the acknowledgement or on its own. Raises MessageError.

        A payload of more than one block is sent in blocks of 512 bytes under one token: mbed-cloud-client takes
        blocks with different tokens for different requests.
        """
        token = secrets.token_bytes(4)
        for start in range(0, len(payload) or 1, BLOCK):
            block = Message(code=code, uri_path=tuple(path), payload=payload[start : start + BLOCK])
            block.token = token
            if format_ is not None:
                block.opt.content_format = format_
            if len(payload) > BLOCK:
                block.opt.block1 = (start // BLOCK, start + BLOCK < len(payload), _BLOCK_EXPONENT)
            self._id = (self._id + 1) % (1 << 16)
            self._send(block, CON, self._id)
            response = self._response(token)
            if response.code is not CONTINUE:
                break
        return response

    def _response(self, token: bytes) -> Message:
        while True:
            message = self.receive()
            if message.mtype is RST:
                raise MessageError("the device rejected a message")
            if message.code.is_response() and message.token == token:
                if message.mtype is CON:
                    self._send(Message(code=Code.EMPTY), ACK, message.mid)
                return message
            if message.code is not Code.EMPTY:
                raise MessageError(f"{message.code} came instead of a response")

    def _send(self, message: Message, type_: int, id_: int) -> None:
        message.mtype = type_
        message.mid = id_
        self._connection.sendall(message.encode())
