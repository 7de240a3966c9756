# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LwM2M's registration interface: a device registers, says now and then that it is still there, and deregisters."""

from __future__ import annotations

import base64
import re
import uuid

from aiocoap import CHANGED, CREATED, DELETE, DELETED, NOT_FOUND, POST, Message
from aiocoap.numbers import Code
from OpenSSL import SSL

from .bootstrap import queries
from .device_server import TIMEOUT, Peer
from .records import Device
from .state import RefusalError, State

DEFAULT_LIFETIME = 86400
"""Seconds, when a device names none (OMA-TS-LightweightM2M 1.0, section 5.3.1)."""
_LONGEST_LIFETIME = 366 * 86400


class Registration:
    """The LwM2M server. A connection stays open for as long as its device is registered."""

    def __init__(self, state: State) -> None:
        self._state = state

    def converse(self, peer: Peer) -> None:
        while True:
            try:
                request = peer.link.receive_request()
            except (SSL.ZeroReturnError, SSL.SysCallError):
                return  # the device went; it will come again
            try:
                code, location = self._carry_out(peer, request)
            except RefusalError as refusal:
                peer.link.respond(request, peer.refused(refusal), str(refusal).encode())
            else:
                peer.link.respond(request, code, location=location)

    def _carry_out(self, peer: Peer, request: Message) -> tuple[Code, tuple[str, ...]]:
        """The response code, and the Location-Path of a new registration."""
        path = request.opt.uri_path
        if request.code is POST and path == ("rd",):
            return self._register(peer, request)
        if len(path) != 3 or path[0] != "rd" or request.code not in (POST, DELETE):
            return NOT_FOUND, ()
        if request.code is POST:
            peer.tries("update")
            device = self._state.update_registration(peer.der, path[2], _lifetime(request))
        else:
            peer.tries("deregister")
            device = self._state.deregister(peer.der, path[2])
        peer.succeeded(device.id)
        return CHANGED if request.code is POST else DELETED, ()

    def _register(self, peer: Peer, request: Message) -> tuple[Code, tuple[str, ...]]:
        peer.tries("register")
        lifetime = _lifetime(request) or DEFAULT_LIFETIME
        device = self._state.register(peer.der, lifetime, queries(request).get("et", ""))
        vendor, kind = (_told_id(request, path) for path in ("10255/0/3", "10255/0/4"))
        device.vendor_id, device.device_class = str(vendor or ""), kind.hex if kind else ""
        peer.succeeded(device.id)
        peer.wait_at_most(lifetime + TIMEOUT)
        return CREATED, _location(device)


def _lifetime(request: Message) -> int | None:
    """Seconds, or None when the request does not say. Raises RefusalError."""
    text = queries(request).get("lt")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:12]) <= _LONGEST_LIFETIME:
        raise RefusalError(f"the lifetime is {text[:50]!r}, not 1 to {_LONGEST_LIFETIME} seconds", "4.00")
    return int(text)


def _location(device: Device) -> tuple[str, ...]:
    # Arm's client takes the last segment for its id.
    return ("rd", device.account_id, device.id)


def _told_id(request: Message, path: str) -> uuid.UUID | None:
    """The value of a resource among the links that a device registers with."""
    found = re.search(rb"</" + path.encode() + rb'>[^,]*;v="([A-Za-z0-9+/=]+)"', request.payload)
    try:
        return uuid.UUID(bytes=base64.b64decode(found[1], validate=True)) if found else None
    except ValueError:
        return None
