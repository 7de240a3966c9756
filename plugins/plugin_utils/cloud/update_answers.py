# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Pelion API answers about updates, checked before use; see api_answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .api_answers import take, take_id, take_time

_RESULT = re.compile(r"UPD[24]_FAIL_([0-9]{1,5})")
_STATE = re.compile(r"UPD2_STATE_([0-9]{1,2})")
_SKIPPED = re.compile(r"SYS_(110|117|118|121|122)")


@dataclass(frozen=True)
class Manifest:
    """An update manifest that the service keeps. ``timestamp`` is the version that the service read in it, None where
    it does not say."""

    id: str
    name: str
    timestamp: datetime | None

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Manifest:
        name = take(answer, "name", str, optional=True) or ""
        return cls(take_id(answer, "id"), name, take_time(answer, "timestamp"))


@dataclass(frozen=True)
class Campaign:
    """An update campaign. ``phase``: draft, starting, active, stopping, stopped or archived; ``why_stopped`` is the
    service's word for why it stopped by itself, or did not begin. ``created_at`` is as the service writes times."""

    id: str
    name: str
    phase: str
    why_stopped: str
    manifest_id: str | None
    created_at: str

    ACTIVE = ("starting", "active", "stopping")

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Campaign:
        return cls(
            take_id(answer, "id"),
            take(answer, "name", str, optional=True) or "",
            take(answer, "phase", str),
            take(answer, "autostop_reason", str, optional=True) or "",
            take(answer, "root_manifest_id", str, optional=True),
            take(answer, "created_at", str, optional=True) or "",
        )

    @property
    def is_active(self) -> bool:
        return self.phase in self.ACTIVE


@dataclass(frozen=True)
class DeviceEvent:
    """Something that a device told, or that happened to it, as part of the campaign ``campaign_id`` or of none."""

    device_id: str
    event_type: str
    category: str
    campaign_id: str | None

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> DeviceEvent:
        data = take(answer, "data", dict, optional=True) or {}
        return cls(
            take_id(answer, "device_id"),
            take(answer, "event_type", str),
            take(answer, "event_type_category", str, optional=True) or "",
            take(data, "campaign_id", str, optional=True),
        )

    @property
    def result(self) -> int | None:
        """The result of an update that failed, as the device told it (/10252/0/3)."""
        found = _RESULT.fullmatch(self.event_type)
        return int(found[1]) if found else None

    @property
    def state(self) -> int | None:
        """The state that an update came to, as the device told it (/10252/0/2)."""
        found = _STATE.fullmatch(self.event_type)
        return int(found[1]) if found else None

    @property
    def is_skipped(self) -> bool:
        """The service did not give the manifest to the device."""
        return "SKIPPED" in self.category.upper() or bool(_SKIPPED.fullmatch(self.event_type))


def take_deployment(answer: Mapping[str, Any]) -> tuple[str, str]:
    """A device's id, and how far the campaign has come with it."""
    return take_id(answer, "device_id"), take(answer, "deployment_state", str, optional=True) or ""
