# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bodies of requests carry."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from .service_error import invalid


async def json_body(request: Request) -> dict[str, Any]:
    """Raises ServiceError when it is no JSON object."""
    try:
        body = json.loads(await request.body())
        # JSON can spell halves of surrogate pairs, which are no text and could not be sent back.
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise invalid("body", "Invalid JSON.") from None
    if not isinstance(body, dict):
        raise invalid("body", "Invalid JSON.")
    return body


def text_field(body: dict[str, Any], field: str, longest: int | None) -> str | None:
    """A text of at most so many characters, None when there is none. Raises ServiceError."""
    value = body.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        raise invalid(field, f"{field} must be a string.")
    if longest is not None and len(value) > longest:
        raise invalid(field, f"{field} must be at most {longest} characters long.")
    return value
