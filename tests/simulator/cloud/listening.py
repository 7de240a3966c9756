# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP listeners: sockets, TLS, and the thread that serves them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time

import trustme
import uvicorn
from starlette.types import ASGIApp

from .wire import WireProtocol

_START_TIMEOUT = 10.0  # seconds


class Listeners:
    """Any number of HTTP listeners, in one thread with one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._servers: list[uvicorn.Server] = []

    def add(self, app: ASGIApp, *sockets: socket.socket, tls: trustme.LeafCert | None = None) -> None:
        """Serve ``app`` on ``sockets``, which must be bound."""
        config = uvicorn.Config(
            app,
            http=WireProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=75,
            ssl_context_factory=None if tls is None else lambda config, default: _server_context(tls),
        )
        server = uvicorn.Server(config)
        future = asyncio.run_coroutine_threadsafe(server.serve(sockets=list(sockets)), self._loop)
        deadline = time.monotonic() + _START_TIMEOUT
        while not server.started:
            if future.done():
                future.result()
            if time.monotonic() > deadline:
                raise TimeoutError("the lab's cloud did not start")
            time.sleep(0.002)
        self._servers.append(server)

    def stop(self) -> None:
        """Close all listeners and connections, whatever is going on there."""
        # Not by uvicorn's own way out, which waits for what still answers, such as a flood without end.
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        for server in self._servers:
            for listener in server.servers:
                listener.close()
            for connection in list(server.server_state.connections):
                connection.transport.abort()
        await asyncio.sleep(0.01)  # until all know that their connections are lost
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def bind(host: str) -> socket.socket:
    """A TCP socket that listens on any free port; ``::`` also takes IPv4. Raises OSError that names the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol told, asyncio sends without delay; else each answer would wait 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        listener.bind((host, 0))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host}: {error.strerror}") from None
    listener.listen(256)
    return listener


def _server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
