# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's HTTP API, as an ASGI application.

Calls and answers: Pelion's OpenAPI document of 2020-07; see state.py for the rules behind them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import service_error as refuse
from .bodies import json_body, text_field
from .queries import certificate_page, included, page
from .records import ApiKey
from .service_error import ServiceError, invalid
from .state import State, certificate_der
from .update_api import update_routes

_BOTH_KINDS = ("lwm2m", "bootstrap")
# Fields of a device that PUT changes, with the longest value that each takes.
_DEVICE_TEXTS = {"name": 128, "description": 2000}
_MAX_ATTRIBUTES, _MAX_GROUP_ATTRIBUTES, _MAX_ATTRIBUTE = 5, 10, 128
# Those that the portal offers, by their references in the API (device-suspension.html).
_BLOCK_CATEGORIES = ("lost_or_stolen", "recalled", "maintenance", "security_breach", "other")

Handler = Callable[[State, ApiKey, Request], Awaitable[Response]]


def api(state: State) -> Starlette:
    """The application. Without its trailing slash, ``/v3/devices/`` answers with a redirect."""

    def route(method: str, path: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            return await handler(state, state.authenticate(_bearer(request)), request)

        return Route(path, endpoint, methods=[method])

    developer, trusted, devices = "/v3/developer-certificates", "/v3/trusted-certificates", "/v3/devices/"
    groups = "/v3/device-groups/"
    return Starlette(
        routes=[
            route("GET", "/v3/accounts/me", _get_account),
            route("POST", developer, _create_developer_certificate),
            route("GET", developer + "/{id}", _get_developer_certificate),
            route("GET", trusted, _list_certificates),
            route("POST", trusted, _upload_certificate),
            route("GET", trusted + "/{id}", _get_certificate),
            route("PUT", trusted + "/{id}", _update_certificate),
            route("DELETE", trusted + "/{id}", _delete_certificate),
            route("GET", devices, _list_devices),
            route("PUT", devices + "{id}/", _update_device),
            route("DELETE", devices + "{id}/", _delete_device),
            route("POST", devices + "{id}/suspend", _suspend_device),
            route("POST", devices + "{id}/resume", _resume_device),
            route("GET", groups, _list_groups),
            route("POST", groups, _create_group),
            route("POST", groups + "{id}/devices/add/", _join_group),
            route("POST", groups + "{id}/devices/remove/", _leave_group),
            *update_routes(route),
        ],
        exception_handlers={ServiceError: _refusal, HTTPException: _unrouted},
    )


def _bearer(request: Request) -> str:
    scheme, _unused, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise refuse.unauthorized()
    return key.strip()


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return JSONResponse(error.to_json(), error.status)


async def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "error")
    return JSONResponse(
        ServiceError(error.status_code, kind, f"{error.detail}.").to_json(), error.status_code, error.headers
    )


# --- account


async def _get_account(state: State, key: ApiKey, request: Request) -> Response:
    include = included(request.query_params, "limits")
    return JSONResponse(state.accounts[key.account_id].to_json(include))


# --- certificates


async def _create_developer_certificate(state: State, key: ApiKey, request: Request) -> Response:
    try:
        body = await json_body(request)
        name, description = _name(body), text_field(body, "description", 500)
        made = state.create_developer_certificate(key, name, description)
    except ServiceError as error:
        # This call's examples show one object where the schema, and other calls, have an array.
        if error.fields:
            error.fields = error.fields[0]
        raise
    return JSONResponse(made.to_developer_json(state.security_file(made)), 201)


async def _get_developer_certificate(state: State, key: ApiKey, request: Request) -> Response:
    found = state.developer_certificate(key.account_id, request.path_params["id"])
    return JSONResponse(found.to_developer_json(state.security_file(found)))


async def _list_certificates(state: State, key: ApiKey, request: Request) -> Response:
    return JSONResponse(certificate_page(state.certificates_of(key.account_id), _query(request)))


async def _upload_certificate(state: State, key: ApiKey, request: Request) -> Response:
    body = await json_body(request)
    changes = _certificate_changes(body)
    for required in ("certificate", "name", "service"):
        if body.get(required) is None:
            raise invalid(required, f"Missing certificate {required}.")
    made = state.upload_certificate(key, **{"description": None, **changes})
    return JSONResponse(made.to_json(), 201)


async def _get_certificate(state: State, key: ApiKey, request: Request) -> Response:
    return JSONResponse(state.certificate(key.account_id, request.path_params["id"]).to_json())


async def _update_certificate(state: State, key: ApiKey, request: Request) -> Response:
    changes = _certificate_changes(await json_body(request))
    return JSONResponse(state.update_certificate(key.account_id, request.path_params["id"], changes).to_json())


async def _delete_certificate(state: State, key: ApiKey, request: Request) -> Response:
    state.delete_certificate(key.account_id, request.path_params["id"])
    return Response(status_code=204)


def _certificate_changes(body: dict[str, Any]) -> dict[str, Any]:
    """The known fields of an upload or update that are given, checked; the certificate as ``der``."""
    changes: dict[str, Any] = {}
    if "name" in body:
        changes["name"] = _name(body)
    if "description" in body:
        changes["description"] = text_field(body, "description", 500)
    for field, choices in {"service": _BOTH_KINDS, "status": ("ACTIVE", "INACTIVE")}.items():
        if body.get(field) is not None:
            if body[field] not in choices:
                raise invalid(field, f"{field} must be one of {', '.join(choices)}.")
            changes[field] = body[field]
    certificate = text_field(body, "certificate", None)
    if certificate is not None:
        changes["der"] = certificate_der(certificate)
    return changes


# --- devices


async def _list_devices(state: State, key: ApiKey, request: Request) -> Response:
    return JSONResponse(page(state.devices_of(key.account_id), _query(request)))


async def _update_device(state: State, key: ApiKey, request: Request) -> Response:
    body = await json_body(request)
    changes: dict[str, Any] = {}
    for field, longest in _DEVICE_TEXTS.items():
        value = text_field(body, field, longest)
        if value is not None:
            changes[field] = value
    attributes = body.get("custom_attributes")
    if attributes is not None:
        changes["custom_attributes"] = _attributes(attributes)
    return JSONResponse(state.update_device(key.account_id, request.path_params["id"], changes).to_json())


async def _delete_device(state: State, key: ApiKey, request: Request) -> Response:
    state.delete_device(key.account_id, request.path_params["id"])
    return Response(status_code=204)


async def _suspend_device(state: State, key: ApiKey, request: Request) -> Response:
    return await _block(state, key, request, suspended=True)


async def _resume_device(state: State, key: ApiKey, request: Request) -> Response:
    return await _block(state, key, request, suspended=False)


async def _block(state: State, key: ApiKey, request: Request, *, suspended: bool) -> Response:
    """A device is resumed with the category that it was suspended with (the service's API reference)."""
    body = await json_body(request)
    category, description = text_field(body, "category", 100), text_field(body, "description", 2000)
    if category not in _BLOCK_CATEGORIES:
        raise invalid("category", f"category must be one of {', '.join(_BLOCK_CATEGORIES)}.")
    device = state.device(key.account_id, request.path_params["id"])
    if not suspended and device.last_operator_suspended_category not in (None, category):
        raise invalid("category", "category must be that of the suspension.")
    changes = {
        "operator_suspended": suspended,
        "last_operator_suspended_category": category,
        "last_operator_suspended_description": description,
    }
    state.update_device(key.account_id, device.id, changes)
    return Response(status_code=204)


# --- groups of devices


async def _list_groups(state: State, key: ApiKey, request: Request) -> Response:
    return JSONResponse(page(state.groups_of(key.account_id), _query(request)))


async def _create_group(state: State, key: ApiKey, request: Request) -> Response:
    """That a group has a name is inferred: the document has none of its fields required."""
    body = await json_body(request)
    name, description = text_field(body, "name", 128), text_field(body, "description", 2000)
    if not name:
        raise invalid("name", "Missing group name.")
    attributes = _attributes(body.get("custom_attributes") or {}, _MAX_GROUP_ATTRIBUTES)
    return JSONResponse(state.create_group(key.account_id, name, description or "", attributes).to_json(), 201)


async def _join_group(state: State, key: ApiKey, request: Request) -> Response:
    group = state.group(key.account_id, request.path_params["id"])
    state.join_group(key.account_id, group.id, await _member(request))
    return Response(status_code=204)


async def _leave_group(state: State, key: ApiKey, request: Request) -> Response:
    group = state.group(key.account_id, request.path_params["id"])
    state.leave_group(key.account_id, group.id, await _member(request))
    return Response(status_code=204)


async def _member(request: Request) -> str:
    device_id = text_field(await json_body(request), "device_id", 32)
    if not device_id:
        raise invalid("device_id", "Missing device_id.")
    return device_id


def _attributes(attributes: Any, most: int = _MAX_ATTRIBUTES) -> dict[str, str]:
    if not isinstance(attributes, dict) or len(attributes) > most:
        raise invalid("custom_attributes", f"At most {most} custom attributes are allowed.")
    for name, value in attributes.items():
        if not isinstance(value, str) or not 0 < len(name) <= _MAX_ATTRIBUTE or len(value) > _MAX_ATTRIBUTE:
            raise invalid("custom_attributes", f"Keys and values are texts of at most {_MAX_ATTRIBUTE} characters.")
        if name[0].isdigit():
            raise invalid("custom_attributes", "Keys cannot begin with a number.")
    return attributes


# --- what requests carry


def _query(request: Request) -> dict[str, str]:
    return dict(request.query_params)


def _name(body: dict[str, Any]) -> str:
    name = text_field(body, "name", 100)
    if not name:
        raise invalid("name", "Missing certificate name.")
    return name
