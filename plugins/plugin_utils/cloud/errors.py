# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service refused, or did not answer."""

from __future__ import annotations

from ..errors import PelionError


class ApiError(PelionError):
    """A call of the API did not succeed.

    ``status`` is the HTTP status, None when there was no whole answer; ``type``, ``fields`` (a list of
    ``{"name", "message"}``) and ``request_id`` are the service's own words where it said them. All of
    them are in ``facts`` too. ``undecided`` is true when the service may have done what was asked.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        type: str | None = None,
        fields: list[dict[str, str]] | None = None,
        request_id: str | None = None,
        undecided: bool = False,
    ) -> None:
        facts = {"status": status, "type": type, "fields": fields, "request_id": request_id}
        super().__init__(message, **{name: fact for name, fact in facts.items() if fact})
        self.status = status
        self.type = type
        self.fields = fields or []
        self.request_id = request_id
        self.undecided = undecided
