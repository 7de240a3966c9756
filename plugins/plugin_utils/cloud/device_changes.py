# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Device Directory: naming, grouping, suspending and removing devices, many at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import PelionError
from .api_answers import Device
from .device_groups import DeviceGroups
from .devices import describe_device, find_devices
from .errors import ApiError
from .pelion_api import PelionApi

# The service's limits (its OpenAPI description, DeviceData).
LONGEST_NAME = 128
LONGEST_DESCRIPTION = 2000
MOST_ATTRIBUTES = 5
LONGEST_ATTRIBUTE = 128


@dataclass(frozen=True)
class DeviceNotes:
    """What the directory should have of the device ``id``; None leaves a thing as it is."""

    id: str
    name: str | None = None
    description: str | None = None
    custom_attributes: Mapping[str, str] | None = None
    groups: Collection[str] | None = None
    """The names of all groups that it is in."""
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
        for group in self.groups or ():
            if not 1 <= len(group) <= LONGEST_NAME:
                raise PelionError(f"A group's name has 1 to {LONGEST_NAME} characters; {group!r} does not fit.")

    def differing(self, described: Mapping[str, Any]) -> dict[str, Any]:
        """What is to be changed of the device that is ``described``, by the names that are used there."""
        wanted = {
            "name": self.name,
            "description": self.description,
            "custom_attributes": self.custom_attributes,
            "groups": None if self.groups is None else sorted(set(self.groups)),
            "suspended": self.suspended,
        }
        return {name: value for name, value in wanted.items() if value is not None and value != described[name]}


@dataclass
class Changes:
    """``before`` and ``after`` describe devices by their ids, as describe_device does; where groups were wished, with
    ``groups``, their names."""

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
    api: PelionApi, wanted: Iterable[DeviceNotes], *, category: str = "", reason: str = "", dry_run: bool = False
) -> Changes:
    """Bring devices to what is wished. ``category`` and ``reason`` say why some are suspended or resumed.

    Makes the calls of find_devices, and one or two for each device that differs, as the service has none for several;
    where groups are wished, those of DeviceGroups. One that fails keeps no other from its change. Raises PelionError,
    before anything is changed, for notes that the service would refuse, and for a device that it does not have;
    ApiError.
    """
    wanted = list(wanted)
    for entry in wanted:
        entry.check()
    there = {device.id: device for device in find_devices(api, ids=[entry.id for entry in wanted])}
    missing = [entry.id for entry in wanted if entry.id not in there]
    if missing:
        raise PelionError(
            f"The Device Directory has no device {', '.join(missing)}. A device appears there when its board "
            "bootstraps.",
            missing_ids=missing,
        )
    groups = None
    if any(entry.groups is not None for entry in wanted):
        groups = DeviceGroups(api, dry_run=dry_run)
    changes = Changes()
    for entry in wanted:
        device = there[entry.id]
        described = describe_device(device) | ({} if groups is None else {"groups": groups.of(device)})
        changes.before[device.id] = changes.after[device.id] = described
        differing = entry.differing(described)
        try:
            notes = {name: value for name, value in differing.items() if name not in ("groups", "suspended")}
            if notes and not dry_run:
                _note(api, device, notes)
            changes.after[device.id] = changes.after[device.id] | notes
            if groups is not None and "groups" in differing:
                groups.put(device, differing["groups"])
                changes.after[device.id] = changes.after[device.id] | {"groups": differing["groups"]}
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
            f"These devices have no developer certificate: {', '.join(others)}. The service only deletes devices "
            "that have one.",
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
