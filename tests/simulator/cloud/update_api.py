# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's calls for updates: firmware manifests, update campaigns, events of devices."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .bodies import json_body, text_field
from .queries import page
from .records import ApiKey
from .service_error import invalid
from .state import State

_TEXTS = {"name": 128, "description": 2000}
_MANIFESTS, _CAMPAIGNS, _EVENTS = "/v3/firmware-manifests", "/v3/update-campaigns", "/v3/device-events"


def update_routes(route: Callable[[str, str, Callable[..., Any]], Route]) -> list[Route]:
    """All of them, with and without a slash at the end: both are in use."""
    handlers = [
        ("GET", _MANIFESTS, _list_manifests),
        ("POST", _MANIFESTS, _create_manifest),
        ("DELETE", _MANIFESTS + "/{id}", _delete_manifest),
        ("GET", _CAMPAIGNS, _list_campaigns),
        ("POST", _CAMPAIGNS, _create_campaign),
        ("GET", _CAMPAIGNS + "/{id}", _get_campaign),
        ("DELETE", _CAMPAIGNS + "/{id}", _delete_campaign),
        ("POST", _CAMPAIGNS + "/{id}/start", _start),
        ("POST", _CAMPAIGNS + "/{id}/stop", _stop),
        ("GET", _CAMPAIGNS + "/{id}/campaign-device-metadata", _list_deployments),
        ("GET", _EVENTS, _list_events),
    ]
    return [route(method, path + end, handler) for method, path, handler in handlers for end in ("", "/")]


async def _list_manifests(state: State, key: ApiKey, request: Request) -> Response:
    return JSONResponse(page(state.updates.manifests_of(key.account_id), dict(request.query_params)))


async def _create_manifest(state: State, key: ApiKey, request: Request) -> Response:
    parts = _parts(request.headers.get("content-type", ""), await request.body())
    if "datafile" not in parts:
        raise invalid("datafile", "Missing datafile.")
    texts = {field: parts.get(field, b"").decode("utf-8", "replace") for field in _TEXTS}
    for field, longest in _TEXTS.items():
        text_field(texts, field, longest)
    made = state.updates.create_manifest(key.account_id, texts["name"], texts["description"], parts["datafile"])
    return JSONResponse(made.to_json(), 201)


def _parts(content_type: str, body: bytes) -> dict[str, bytes]:
    """The fields of a form (multipart/form-data) by name. Raises ServiceError."""
    boundary = re.fullmatch('multipart/form-data; *boundary="?([^";]+)"?', content_type)
    if not boundary:
        raise invalid("body", "The body must be multipart/form-data.")
    parts = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode())[1:-1]:
        head, _unused, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'; name="([^"]*)"', head)
        if name:
            parts[name[1].decode()] = content
    return parts


async def _delete_manifest(state: State, key: ApiKey, request: Request) -> Response:
    state.updates.delete_manifest(key.account_id, request.path_params["id"])
    return Response(status_code=204)


async def _list_campaigns(state: State, key: ApiKey, request: Request) -> Response:
    return JSONResponse(page(state.updates.campaigns_of(key.account_id), dict(request.query_params)))


async def _create_campaign(state: State, key: ApiKey, request: Request) -> Response:
    body = await json_body(request)
    texts = {field: text_field(body, field, longest) or "" for field, longest in _TEXTS.items()}
    device_filter = text_field(body, "device_filter", None)
    if not device_filter:
        raise invalid("device_filter", "Missing device_filter.")
    manifest = text_field(body, "root_manifest_id", 32)
    made = state.updates.create_campaign(key.account_id, texts["name"], texts["description"], manifest, device_filter)
    return JSONResponse(made.to_json(), 201)


async def _get_campaign(state: State, key: ApiKey, request: Request) -> Response:
    return JSONResponse(state.updates.look_at(key.account_id, request.path_params["id"]))


async def _delete_campaign(state: State, key: ApiKey, request: Request) -> Response:
    state.updates.delete_campaign(key.account_id, request.path_params["id"])
    return Response(status_code=204)


async def _start(state: State, key: ApiKey, request: Request) -> Response:
    state.updates.start(key.account_id, request.path_params["id"])
    return Response(status_code=202)


async def _stop(state: State, key: ApiKey, request: Request) -> Response:
    state.updates.stop(key.account_id, request.path_params["id"])
    return Response(status_code=202)


async def _list_deployments(state: State, key: ApiKey, request: Request) -> Response:
    campaign = state.updates.campaign(key.account_id, request.path_params["id"])
    return JSONResponse(page(list(campaign.deployments.values()), dict(request.query_params)))


async def _list_events(state: State, key: ApiKey, request: Request) -> Response:
    return JSONResponse(page(state.updates.events_of(key.account_id), dict(request.query_params)))
