# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LwM2M's registration interface: a device registers, says now and then that it is still there, and deregisters.

While it is registered, it is given update manifests, and tells by notifications what became of them.
"""

from __future__ import annotations

from aiocoap import CHANGED, CREATED, DELETE, DELETED, NOT_FOUND, POST, Message
from aiocoap.numbers import Code
from OpenSSL import SSL

from .bootstrap import queries
from .device_server import TIMEOUT, Peer
from .links import Told
from .records import Device
from .state import RefusalError, State
from .updates import Mailbox

DEFAULT_LIFETIME = 86400
"""Seconds, when a device names none (OMA-TS-LightweightM2M 1.0, section 5.3.1)."""
_LONGEST_LIFETIME = 366 * 86400
PACKAGE = ("10252", "0", "1")
"""The resource that takes manifests."""


class Registration:
    """The LwM2M server. A connection stays open for as long as its device is registered."""

    def __init__(self, state: State) -> None:
        self._state = state

    def converse(self, peer: Peer) -> None:
        with self._state.updates.mailbox() as mailbox:
            peer.link.notified = lambda message: self._notified(peer, message)
            while True:
                try:
                    peer.wait(mailbox.wake)
                    manifest = mailbox.take()
                    request = peer.link.complete(peer.link.receive()) if manifest is None else None
                except (SSL.ZeroReturnError, SSL.SysCallError):
                    return  # the device went; it will come again
                if manifest is not None:
                    self._give(peer, manifest)
                elif request is not None:
                    self._answer(peer, request, mailbox)

    def _answer(self, peer: Peer, request: Message, mailbox: Mailbox) -> None:
        try:
            code, location, device = self._carry_out(peer, request)
        except RefusalError as refusal:
            return peer.link.respond(request, peer.refused(refusal), str(refusal).encode())
        peer.link.respond(request, code, location=location)
        if device is not None and device.state == "registered":
            peer.device_id = device.id
            self._state.updates.reached_at(device.id, mailbox)
            self._state.updates.registered(device)
        return None

    def _give(self, peer: Peer, manifest: bytes) -> None:
        assert peer.device_id is not None
        if not peer.link.request(POST, PACKAGE, manifest).code.is_successful():
            self._state.updates.refused(peer.device_id)

    def _notified(self, peer: Peer, message: Message) -> bool:
        updates = self._state.updates
        if peer.device_id is not None and updates.switches.acknowledges:
            updates.notified(peer.device_id, message.token, message.payload.decode("utf-8", "replace"))
        return updates.switches.acknowledges

    def _carry_out(self, peer: Peer, request: Message) -> tuple[Code, tuple[str, ...], Device | None]:
        """The response code, the Location-Path of a new registration, and the device."""
        path = request.opt.uri_path
        if request.code is POST and path == ("rd",):
            return self._register(peer, request)
        if len(path) != 3 or path[0] != "rd" or request.code not in (POST, DELETE):
            return NOT_FOUND, (), None
        if request.code is POST:
            peer.tries("update")
            device = self._state.update_registration(peer.der, path[2], _lifetime(request))
        else:
            peer.tries("deregister")
            device = self._state.deregister(peer.der, path[2])
        peer.succeeded(device.id)
        return CHANGED if request.code is POST else DELETED, (), device

    def _register(self, peer: Peer, request: Message) -> tuple[Code, tuple[str, ...], Device]:
        peer.tries("register")
        lifetime = _lifetime(request) or DEFAULT_LIFETIME
        told = Told.of(request.payload)
        device = self._state.register(peer.der, lifetime, queries(request).get("et", ""), told)
        self._state.updates.observe(device.id, told)
        peer.succeeded(device.id)
        peer.wait_at_most(lifetime + TIMEOUT)
        return CREATED, _location(device), device


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
