# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API key and the host that it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..errors import PelionError


@dataclass(frozen=True)
class ApiKey:
    """Kept in the user store under ``NAME``, since a user has one. ``host`` is like https://NAME[:PORT]. ``origin``
    says where the key was found, for errors."""

    KIND: ClassVar[str] = "api-key"
    NAME: ClassVar[str] = "pelion"

    key: str = field(repr=False)
    host: str
    origin: str = field(default="", compare=False)

    def to_document(self) -> dict[str, Any]:
        return {"api_host": self.host, "api_key": self.key}

    @classmethod
    def from_document(cls, document: Mapping[str, Any], source: str) -> ApiKey:
        """Raises PelionError when ``document``, read from ``source``, is no saved API key."""
        key, host = document.get("api_key"), document.get("api_host")
        if not isinstance(key, str) or not isinstance(host, str):
            raise PelionError(f"{source} is not a saved API key: it needs api_key and api_host. Save the key again.")
        return cls(key, host, f"saved as {source}")
