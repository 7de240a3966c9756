# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/_lab/…``: the lab's hand on the cloud, on the plain listener and the control socket only.

Each call takes and answers JSON; the bodies' keys are the parameters of the methods that they call.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .device_server import Devices
from .faults import Faults
from .service_error import ServiceError
from .state import State
from .wire import CallLog


def control(state: State, faults: Faults, log: CallLog, devices: Devices) -> Starlette:
    """The application, with absolute paths."""

    def act(method: str, path: str, action: Callable[..., Any]) -> Route:
        """Call ``action`` with the path's parameters and the body's members; answer with what it returns."""

        async def endpoint(request: Request) -> Response:
            body = await request.body()
            return JSONResponse(action(**request.path_params, **(json.loads(body) if body else {})))

        return Route("/_lab" + path, endpoint, methods=[method])

    return Starlette(
        routes=[
            act("POST", "/faults", lambda **fault: asdict(faults.add(**fault))),
            act("DELETE", "/faults", faults.clear),
            act("GET", "/device-faults", devices.faults.to_json),
            act("POST", "/device-faults", lambda **fault: asdict(devices.faults.add(**fault))),
            act("DELETE", "/device-faults", devices.faults.clear),
            act("GET", "/calls/counts", log.counts),
            act("DELETE", "/calls", log.clear),
            act("GET", "/attempts", lambda: [asdict(attempt) for attempt in list(devices.attempts)]),
            act("DELETE", "/device-connections", devices.drop),
            act("PUT", "/answer-when-full", state.set_answer_when_full),
            act("GET", "/state", state.snapshot),
            act("DELETE", "/state", state.forget),
            act("POST", "/devices", state.seed_devices),
            act("PATCH", "/devices/{device_id}", state.set_device_state),
            act("PATCH", "/updates", state.updates.switch),
        ],
        exception_handlers=dict.fromkeys((TypeError, ValueError, KeyError, ServiceError), _bad_call),
    )


async def _bad_call(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 400)
