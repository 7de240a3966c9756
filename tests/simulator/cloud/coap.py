# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""CoAP with a device, the way mbed-cloud-client speaks it: RFC 7252 messages, each in a TLS record of its own.

That is not RFC 8323, CoAP over TCP: there is a message type and a message id, and no capabilities are exchanged.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable

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

    ``notified`` is called with each notification; what it returns says whether that is acknowledged.
    """

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection = connection
        self._id = secrets.randbelow(1 << 16)
        self._waiting: deque[Message] = deque()
        self.notified: Callable[[Message], bool] | None = None

    @property
    def is_waiting(self) -> bool:
        """A message has come and was not given out yet."""
        return bool(self._waiting) or self._connection.pending() > 0

    def receive(self) -> Message:
        """The next message. Raises MessageError. An empty confirmable message, CoAP's ping, is answered here."""
        if self._waiting:
            return self._waiting.popleft()
        while True:
            try:
                message = Message.decode(self._connection.recv(_RECORD))
            except (Error, ValueError, IndexError) as error:
                raise MessageError(f"no CoAP message came: {error}") from None
            if message.mtype is not CON or message.code is not Code.EMPTY:
                return message
            self._send(Message(code=Code.EMPTY), RST, message.mid)

    def receive_request(self) -> Message:
        """The next request, as ``complete`` gives it."""
        while (request := self.complete(self.receive())) is None:
            pass
        return request

    def complete(self, message: Message) -> Message | None:
        """The request that begins with ``message``, with its whole payload, and with ``opt.block1`` of its last block.
        None when that is another message, such as an acknowledgement or a notification. Raises MessageError."""
        payload, request = b"", message
        while True:
            if not request.code.is_request():
                self._heed(request)
                if not payload:
                    return None
                request = self.receive()
                continue
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
            request = self.receive()

    def _heed(self, message: Message) -> None:
        """What is neither a request nor the response that is waited for. Raises MessageError."""
        if message.code is Code.EMPTY:
            return  # such as the acknowledgement of a response
        if self.notified is None or message.opt.observe is None:
            raise MessageError(f"{message.code} came instead of a request")
        if self.notified(message):
            self._send(Message(code=Code.EMPTY), ACK, message.mid)

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
        later: list[Message] = []
        try:
            return self._response_but(token, later)
        finally:
            self._waiting.extend(later)

    def _response_but(self, token: bytes, later: list[Message]) -> Message:
        """With the requests that come before it put into ``later``."""
        while True:
            message = self.receive()
            if message.mtype is RST:
                raise MessageError("the device rejected a message")
            if message.code.is_response() and message.token == token:
                if message.mtype is CON:
                    self._send(Message(code=Code.EMPTY), ACK, message.mid)
                return message
            if message.code.is_request():
                later.append(message)
            else:
                self._heed(message)

    def _send(self, message: Message, type_: int, id_: int) -> None:
        message.mtype = type_
        message.mid = id_
        self._connection.sendall(message.encode())
