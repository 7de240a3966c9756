# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals, in the words of the real service."""

from __future__ import annotations

import secrets
from typing import Any


class ServiceError(Exception):
    """A request that the service refuses.

    ``fields`` is what the answer carries: a list of ``{"name", "message"}`` as the schema says, or one such
    object as the examples of the developer certificates' calls show (Pelion's OpenAPI document of 2020-07).
    """

    def __init__(self, status: int, kind: str, message: str, fields: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.fields = fields

    def to_json(self) -> dict[str, Any]:
        answer = {
            "object": "error",
            "code": self.status,
            "type": self.kind,
            "message": str(self),
            "request_id": secrets.token_hex(16),
        }
        if self.fields is not None:
            answer["fields"] = self.fields
        return answer


def invalid(name: str, message: str) -> ServiceError:
    """400 for one bad field or parameter."""
    return ServiceError(400, "validation_error", f"Bad Request. {message}", [{"name": name, "message": message}])


def unauthorized() -> ServiceError:
    return ServiceError(401, "invalid_auth", "Invalid access token.")


def certificate_limit(limit: int) -> ServiceError:
    return ServiceError(
        403,
        "account_limit_exceeded",
        "Forbidden. Limit for the number of certificates exceeded.",
        [{"name": "cert-count", "message": str(limit)}],
    )


def not_found(what: str) -> ServiceError:
    return ServiceError(404, "not_found", f"Not Found. Not found: {what}")


def duplicate() -> ServiceError:
    message = "Certificate already exists."
    return ServiceError(409, "duplicate", f"Conflict. {message}", [{"name": "certificate", "message": message}])
