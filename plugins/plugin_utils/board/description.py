# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is reported of a board that was asked how it is: the result of pelion.mbl.mbl_pelion_status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..json_object import JsonObject, read
from ..times import time_text
from .errors import BoardError
from .inspection import Description, Inspection


@dataclass(frozen=True)
class BoardStatus:
    """The fields mean what the module's documentation says. Times are texts such as 2026-01-31T12:00:00Z, by the
    board's clock; ``clock_drift`` is in seconds; ``obstacles`` are texts for the user; ``host_keys`` are fingerprints
    (``SHA256:…``) that ssh has proven, none where it has not."""

    configured: bool
    status: str = ""
    registered: bool | None = None
    device_id: str | None = None
    last_registration: str | None = None
    client_running: bool = False
    client_error: str | None = None
    client_error_code: int | None = None
    client_error_meaning: str | None = None
    bootstrapped: bool = False
    bootstrapped_with: Mapping[str, str | None] | None = None
    has_utility: bool = False
    obstacles: list[str] = field(default_factory=list)
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    interrupted: bool = False
    clock: str | None = None
    clock_drift: int = 0
    image: Mapping[str, str] = field(default_factory=dict)
    developer_certificate: Description | None = None
    update_certificate: Description | None = None
    provisioned_by: str | None = None
    missing_items: list[str] = field(default_factory=list)
    host_keys: list[str] = field(default_factory=list)
    damaged_items: list[str] = field(default_factory=list)
    registered_since_injection: bool = False
    update_answers: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, found: Inspection, host_keys: Iterable[str] = ()) -> BoardStatus:
        return cls(
            configured=found.configured,
            status=found.status,
            registered=found.registered,
            device_id=found.device_id,
            last_registration=found.log.registered_at,
            client_running=found.client_runs,
            client_error=found.log.error,
            client_error_code=found.log.error_code,
            client_error_meaning=found.log.error_meaning,
            bootstrapped=found.bootstrapped,
            bootstrapped_with=found.bootstrapped_with,
            has_utility=found.has_utility,
            obstacles=[str(BoardError.of(*obstacle)) for obstacle in found.obstacles],
            space=found.space,
            interrupted=found.interrupted,
            clock=time_text(found.time),
            clock_drift=found.drift,
            image=found.image,
            developer_certificate=found.developer_certificate,
            update_certificate=found.update_certificate,
            provisioned_by=found.provisioned_by,
            missing_items=found.missing_items,
            host_keys=list(host_keys),
            damaged_items=list(found.damaged),
            registered_since_injection=found.registered_since_injection,
            update_answers=found.log.describe_update_answers(),
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, status: Any) -> BoardStatus | None:
        """None for the result of a task that did not come to ask the board. Raises ValueError for one that is damaged.

        Of what the module returns, ``configured`` alone must be there: playbooks may pass on the fields that they need.
        """
        JsonObject(status)
        return read(cls, status) if "configured" in status else None
