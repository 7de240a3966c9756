# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Device Directory: naming, suspending and removing devices, many at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import PelionError
from .api_answers import Device
from .devices import describe_device, find_devices
from .pelion_api import ApiError, PelionApi

# The service's limits (its OpenAPI description, DeviceData).
LONGEST_NAME = 128
LONGEST_DESCRIPTION = 2000
MOST_ATTRIBUTES = 5
LONGEST_ATTRIBUTE = 128


@dataclass(frozen=True)
class Wish:
    """What the directory should have of the device ``id``; None leaves a thing as it is."""

    id: str
    name: str | None = None
    description: str | None = None
    custom_attributes: Mapping[str, str] | None = None
    suspended: bool | None = None

    def check(self) -> None:
        """Raises PelionError for what the service would refuse."""
        for title, text, most in (
            ("name", self.name, LONGEST_NAME),
            ("description", self.description, LONGEST_DESCRIPTION),
        ):
            if text is not None and len(text) > most:
                raise PelionError(f"A device's {title} has at most {most} characters; the one given has {len(text)}.")
        attributes = self.custom_attributes or {}
        if len(attributes) > MOST_ATTRIBUTES:
            raise PelionError(
                f"A device has at most {MOST_ATTRIBUTES} custom attributes; {len(attributes)} were given."
            )
        for key, value in attributes.items():
            if not isinstance(value, str):
                raise PelionError(f"The custom attribute {key!r} is not text: put its value in quotes.")
            if not 1 <= len(key) <= LONGEST_ATTRIBUTE or len(value) > LONGEST_ATTRIBUTE:
                raise PelionError(
                    f"The custom attribute {key!r} is too long, or its name is empty: names and values have at most "
                    f"{LONGEST_ATTRIBUTE} characters."
                )
            if key[0].isdigit():
                raise PelionError(f"The custom attribute {key!r} begins with a digit, which the service refuses.")

    def differing(self, device: Device) -> dict[str, Any]:
        """What is to be changed of ``device``."""
        fields = ("name", "description", "custom_attributes", "suspended")
        wanted = {name: getattr(self, name) for name in fields}
        return {name: value for name, value in wanted.items() if value is not None and value != getattr(device, name)}


@dataclass
class Changes:
    """``before`` and ``after`` describe devices by their ids, as describe_device does."""

    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    after: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """What the service said against a device, by its id."""

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def require_success(self) -> Changes:
        """These changes; raises PelionError that tells of all that failed, the facts of what was done."""
        if self.failed:
            raise PelionError(
                f"{len(self.failed)} of {len(self.before)} devices could not be changed: "
                + " ".join(f"{device_id}: {error}" for device_id, error in self.failed.items()),
                failed_ids=list(self.failed),
                devices=list(self.after.values()),
                changed=self.changed,
            )
        return self


def change_devices(
    api: PelionApi, wishes: Iterable[Wish], *, category: str = "", reason: str = "", dry_run: bool = False
) -> Changes:
    """Bring devices to what is wished. ``category`` and ``reason`` say why some are suspended or resumed.

    Makes the calls of find_devices, and one or two for each device that differs: the service has none for several.
    One that fails keeps no other from its change. Raises PelionError, before anything is changed, for a wish that the
    service would refuse, and for a device that it does not have; ApiError.
    """
    wishes = list(wishes)
    for wish in wishes:
        wish.check()
    there = {device.id: device for device in find_devices(api, ids=[wish.id for wish in wishes])}
    missing = [wish.id for wish in wishes if wish.id not in there]
    if missing:
        raise PelionError(
            f"The Device Directory has no device {', '.join(missing)}. Devices enter it when they bootstrap.",
            missing_ids=missing,
        )
    changes = Changes()
    for wish in wishes:
        device = there[wish.id]
        changes.before[device.id] = changes.after[device.id] = describe_device(device)
        differing = wish.differing(device)
        try:
            notes = {name: value for name, value in differing.items() if name != "suspended"}
            if notes and not dry_run:
                _note(api, device, notes)
            changes.after[device.id] = changes.after[device.id] | notes
            if "suspended" in differing and not dry_run:
                _suspend(api, device, differing["suspended"], category, reason)
            changes.after[device.id] = changes.after[device.id] | differing
        except ApiError as error:
            changes.failed[device.id] = str(error)
    return changes


def remove_devices(api: PelionApi, ids: Iterable[str], *, dry_run: bool = False) -> Changes:
    """Remove the entries of devices; one that is not there is as good.

    Makes the calls of find_devices, and one for each device. Raises PelionError, before anything is removed, when one
    has no developer certificate, since the service removes no such device; ApiError.
    """
    devices = find_devices(api, ids=ids)
    others = [device.id for device in devices if not device.developer]
    if others:
        raise PelionError(
            f"Without developer certificate: {', '.join(others)}. The service deletes only devices that have one.",
            not_developer_ids=others,
        )
    changes = Changes()
    for device in devices:
        changes.before[device.id] = describe_device(device)
        try:
            if not dry_run:
                api.delete_device(device.id)
        except ApiError as error:
            changes.after[device.id] = changes.before[device.id]
            changes.failed[device.id] = str(error)
    return changes


def _note(api: PelionApi, device: Device, notes: Mapping[str, Any]) -> None:
    """The service replaces the entry, and wants ``ca_id`` and ``device_key`` in each request (its OpenAPI
    description, DeviceDataPutRequest)."""
    kept = {
        name: device.answer[name]
        for name in (
            "auto_update",
            "ca_id",
            "custom_attributes",
            "description",
            "device_key",
            "endpoint_name",
            "endpoint_type",
            "host_gateway",
            "name",
        )
        if device.answer.get(name) is not None
    }
    api.update_device(device.id, {**kept, **notes})


def _suspend(api: PelionApi, device: Device, suspended: bool, category: str, reason: str) -> None:
    if suspended:
        api.suspend_device(device.id, category, reason)
    else:
        api.resume_device(device.id, device.suspended_category or category, reason)
