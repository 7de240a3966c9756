# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LwM2M's bootstrap interface, as far as mbed-cloud-client uses it: who may register, and with what."""

from __future__ import annotations

from aiocoap import CHANGED, DELETE, NOT_FOUND, POST, PUT, Message

from . import tlv
from .coap import MessageError
from .device_server import Peer
from .state import RefusalError, State

# Resources of object 0, "LwM2M Security".
_SERVER_URI, _IS_BOOTSTRAP, _MODE, _CERTIFICATE, _SERVER_CERTIFICATE, _PRIVATE_KEY, _SHORT_ID = 0, 1, 2, 3, 4, 5, 10
_CERTIFICATE_MODE = 2


class Bootstrap:
    """The bootstrap server; it hands out credentials for ``state.lwm2m_uri``."""

    def __init__(self, state: State) -> None:
        self._state = state

    def converse(self, peer: Peer) -> None:
        request = peer.link.receive_request()
        if request.code is not POST or request.opt.uri_path != ("bs",):
            return peer.link.respond(request, NOT_FOUND)
        try:
            peer.tries("bootstrap")
            said = queries(request)
            device, credentials = self._state.bootstrap(
                peer.der, said.get("ep", ""), said.get("aid", ""), said.get("iep", "")
            )
        except RefusalError as refusal:
            return peer.link.respond(request, peer.refused(refusal), str(refusal).encode())
        peer.link.respond(request, CHANGED)
        security = tlv.object_instance(
            0,
            {
                _SERVER_URI: f"{self._state.lwm2m_uri}?aid={device.account_id}",
                _IS_BOOTSTRAP: 0,
                _MODE: _CERTIFICATE_MODE,
                _CERTIFICATE: credentials.certificate,
                _SERVER_CERTIFICATE: self._state.lwm2m_ca.certificate,
                _PRIVATE_KEY: credentials.sec1,
                _SHORT_ID: 1,
            },
        )
        _require(peer.link.request(DELETE, ("0", "0")))
        _require(peer.link.request(PUT, ("0",), security, format_=tlv.CONTENT_FORMAT))
        _require(peer.link.request(POST, ("bs",)))
        # Before the connection is closed, which is what the device waits for.
        return peer.succeeded(device.id)


def queries(request: Message) -> dict[str, str]:
    """``name=value`` of a request's Uri-Query options."""
    return {name: value for name, _unused, value in (query.partition("=") for query in request.opt.uri_query)}


def _require(response: Message) -> None:
    if not response.code.is_successful():
        raise MessageError(f"the device answered {response.code}: {response.payload[:200]!r}")
