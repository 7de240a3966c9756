# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done on one board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..reasons import Reason
from .wishes import REFUSE, WhenBootstrapped


@dataclass(frozen=True)
class Part:
    """What the decision gives a board to do.

    ``refused`` is why nothing may be done; otherwise the board is to hold ``dev_cert`` and ``update_resources`` (names
    in the team store), and, with ``reconnect`` (of WORK_REASONS), to register anew. ``to_be_made`` tells that the store
    does not have them yet as they are wished, ``holds`` that the board has them already, as far as can be told without
    the keys that the store lacks. ``bootstrapped_at`` is what the Device Directory says of the board's device before
    that, ``site`` where the board is.
    """

    refused: Reason | None = None
    dev_cert: str = ""
    update_resources: str = ""
    to_be_made: bool = False
    holds: bool = False
    when_bootstrapped: WhenBootstrapped = REFUSE
    registration_timeout: int = 0
    reconnect: Reason | None = None
    bootstrapped_at: str | None = None
    site: str = ""

    def to_json(self) -> dict[str, Any]:
        """Small, since it travels with every board's task: what is as by default is left out."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value.to_json() if isinstance(value, Reason) else value
            for name, value in values.items()
            if value != getattr(Part, name)
        }

    @classmethod
    def from_json(cls, part: Mapping[str, Any]) -> Part:
        """From what ``to_json`` made."""
        reasons = {name: Reason.from_json(part[name]) for name in ("refused", "reconnect") if part.get(name)}
        return cls(**{**part, **reasons})
