# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The groups that devices are in; the portal filters and updates devices by them."""

from __future__ import annotations

from collections.abc import Iterable

from .api_answers import Device
from .pelion_api import PelionApi


class DeviceGroups:
    """The account's groups, read once. With ``dry_run``, none is made or changed.

    Makes one call for each 1000 groups, one for each group that is missing, and one for each device that joins or
    leaves a group: the service has none for several. Methods raise ApiError.
    """

    def __init__(self, api: PelionApi, *, dry_run: bool = False) -> None:
        self._api = api
        self._dry_run = dry_run
        self._ids = {group.name: group.id for group in api.device_groups()}

    def of(self, device: Device) -> list[str]:
        """The names of the groups that ``device`` is in."""
        return sorted(name for name, group_id in self._ids.items() if group_id in device.group_ids)

    def put(self, device: Device, names: Iterable[str]) -> None:
        """Have ``device`` in the groups ``names`` and in no other; those that do not exist are made."""
        wanted, here = set(names), set(self.of(device))
        if self._dry_run:
            return
        for name in sorted(wanted - here):
            if name not in self._ids:
                self._ids[name] = self._api.create_device_group(name).id
            self._api.add_to_group(self._ids[name], device.id)
        for name in sorted(here - wanted):
            self._api.remove_from_group(self._ids[name], device.id)
