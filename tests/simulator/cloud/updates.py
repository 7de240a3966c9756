# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firmware manifests, update campaigns, and what devices answered to them.

Calls and forms: Pelion's OpenAPI document of 2020-07 and the manifest tool. What the service does in many a case is not
known; where the lab could do this or that, a switch says which (``Switches``).
"""

from __future__ import annotations

import os
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from . import service_error as refuse
from .links import RESULT, STATE, Told
from .manifests import ManifestFacts, read_manifest
from .records import Device
from .service_error import ServiceError, invalid
from .times import now, rfc3339

#: ``tier`` of an account -> how many one-shot campaigns a month may be started; None: any number.
CAMPAIGNS_OF_TIER = {"0": 200, "1": None}
_ACTIVE = ("starting", "active", "stopping")


@dataclass
class Switches:
    """What is not known of the service, or goes wrong.

    ``refuses_timestamp_0``: a manifest of 1970 does not validate. ``skips_older``: a device that has a later manifest
    gets none. ``acknowledges``: notifications; else a device waits. ``tells``: events are there to be read.
    ``campaigns_a_month`` in place of what the account's tier allows.
    """

    refuses_timestamp_0: bool = False
    skips_older: bool = False
    acknowledges: bool = True
    tells: bool = True
    campaigns_a_month: int | None = None


@dataclass
class FirmwareManifest:
    id: str
    account_id: str
    name: str
    description: str
    der: bytes
    facts: ManifestFacts
    created_at: datetime = field(default_factory=now)

    def to_json(self) -> dict[str, Any]:
        return {
            "object": "firmware-manifest",
            "id": self.id,
            "etag": rfc3339(self.created_at),
            "name": self.name,
            "description": self.description,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.created_at),
            "datafile": f"https://lab.pelion.test/{self.id}",
            "datafile_size": len(self.der),
            "device_class": self.facts.device_class,
            "timestamp": rfc3339(self.facts.timestamp),
            "key_table": "",
        }


@dataclass
class Deployment:
    """A campaign for one of its devices. ``open``: its answer is still to come."""

    id: str
    campaign_id: str
    device_id: str
    state: str = "pending"
    open: bool = True
    created_at: datetime = field(default_factory=now)

    def to_json(self) -> dict[str, Any]:
        return {
            "object": "update-campaign-device-metadata",
            "id": self.id,
            "etag": rfc3339(self.created_at),
            "campaign": self.campaign_id,
            "device_id": self.device_id,
            "deployment_state": self.state,
            "description": "",
            "mechanism": "connector",
            "mechanism_url": "",
            "name": "",
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.created_at),
        }


@dataclass
class Campaign:
    id: str
    account_id: str
    name: str
    description: str
    root_manifest_id: str | None
    device_filter: str
    phase: str = "draft"
    state: str = "draft"
    autostop_reason: str = ""
    created_at: datetime = field(default_factory=now)
    started_at: datetime | None = None
    finished: datetime | None = None
    deployments: dict[str, Deployment] = field(default_factory=dict)

    def stop(self, state: str, reason: str) -> None:
        self.phase, self.state, self.autostop_reason, self.finished = "stopped", state, reason, now()
        for deployment in self.deployments.values():
            deployment.open = False

    def to_json(self) -> dict[str, Any]:
        return {
            "object": "update-campaign",
            "id": self.id,
            "etag": rfc3339(self.created_at),
            "name": self.name,
            "description": self.description,
            "root_manifest_id": self.root_manifest_id,
            "root_manifest_url": f"https://lab.pelion.test/{self.root_manifest_id}",
            "device_filter": self.device_filter,
            "device_filter_helper": "",
            "campaign_strategy": "one-shot",
            "phase": self.phase,
            "state": self.state,
            "autostop_reason": self.autostop_reason,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.created_at),
            "started_at": self.started_at and rfc3339(self.started_at),
            "starting_at": self.started_at and rfc3339(self.started_at),
            "finished": self.finished and rfc3339(self.finished),
            "active_at": self.started_at and rfc3339(self.started_at),
            "when": None,
        }


@dataclass
class Event:
    id: str
    account_id: str
    device_id: str
    event_type: str
    category: str
    data: dict[str, Any]
    state_change: bool = False
    date_time: datetime = field(default_factory=now)

    def to_json(self) -> dict[str, Any]:
        return {
            "object": "device-event",
            "id": self.id,
            "device_id": self.device_id,
            "date_time": rfc3339(self.date_time),
            "created_at": rfc3339(self.date_time),
            "event_type": self.event_type,
            "event_type_category": self.category,
            "event_type_description": "",
            "description": "",
            "state_change": self.state_change,
            "changes": {},
            "data": self.data,
        }


class Mailbox:
    """Manifests for a device, for the thread that talks with it; ``wake`` is readable when there is one."""

    def __init__(self) -> None:
        self.wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC | os.EFD_SEMAPHORE)
        self._manifests: deque[bytes] = deque()

    def put(self, manifest: bytes) -> None:
        self._manifests.append(manifest)
        os.eventfd_write(self.wake, 1)

    def take(self) -> bytes | None:
        try:
            os.eventfd_read(self.wake)
        except BlockingIOError:
            return None
        return self._manifests.popleft()


class Updates:
    """Each of its methods raises ServiceError for what the API refuses. Safe to use from several threads.

    ``choose`` gives the account's devices that a filter means, and raises ServiceError; ``tier_of`` an account's tier.
    """

    def __init__(
        self,
        lock: threading.RLock,
        devices: Mapping[str, Device],
        choose: Callable[[str, str], list[Device]],
        tier_of: Callable[[str], str],
    ) -> None:
        self.lock = lock
        self.switches = Switches()
        self._devices = devices
        self._choose = choose
        self._tier_of = tier_of
        self.manifests: dict[str, FirmwareManifest] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.events: list[Event] = []
        self._starts: list[tuple[str, datetime]] = []
        self._mailboxes: dict[str, Mailbox] = {}
        self._observed: dict[str, dict[bytes, str]] = {}

    def forget(self) -> None:
        """There have never been a manifest, a campaign or an event."""
        with self.lock:
            for what in (self.manifests, self.campaigns, self.events, self._starts):
                what.clear()

    # --- manifests

    def create_manifest(self, account_id: str, name: str, description: str, der: bytes) -> FirmwareManifest:
        facts = read_manifest(der)
        if self.switches.refuses_timestamp_0 and facts.timestamp.timestamp() == 0:
            raise ServiceError(400, "validation_error", "Bad Request. The manifest did not validate.")
        with self.lock:
            made = FirmwareManifest(_new_id(), account_id, name, description, der, facts)
            self.manifests[made.id] = made
        return made

    def manifests_of(self, account_id: str) -> list[FirmwareManifest]:
        with self.lock:
            return [manifest for manifest in self.manifests.values() if manifest.account_id == account_id]

    def manifest(self, account_id: str, manifest_id: str) -> FirmwareManifest:
        with self.lock:
            found = self.manifests.get(manifest_id)
        if found is None or found.account_id != account_id:
            raise refuse.not_found(manifest_id)
        return found

    def delete_manifest(self, account_id: str, manifest_id: str) -> None:
        with self.lock:
            del self.manifests[self.manifest(account_id, manifest_id).id]

    # --- campaigns

    def create_campaign(
        self, account_id: str, name: str, description: str, manifest_id: str | None, device_filter: str
    ) -> Campaign:
        with self.lock:
            if manifest_id is not None:
                self.manifest(account_id, manifest_id)
            self._choose(account_id, device_filter)
            made = Campaign(_new_id(), account_id, name, description, manifest_id, device_filter)
            self.campaigns[made.id] = made
            return made

    def campaigns_of(self, account_id: str) -> list[Campaign]:
        with self.lock:
            return [campaign for campaign in self.campaigns.values() if campaign.account_id == account_id]

    def campaign(self, account_id: str, campaign_id: str) -> Campaign:
        """One that is stopping has stopped by the next look."""
        with self.lock:
            found = self.campaigns.get(campaign_id)
            if found is None or found.account_id != account_id:
                raise refuse.not_found(campaign_id)
            return found

    def look_at(self, account_id: str, campaign_id: str) -> dict[str, Any]:
        """As the API shows it. One that is stopping has stopped by the look after."""
        with self.lock:
            found = self.campaign(account_id, campaign_id)
            shown = found.to_json()
            if found.phase == "stopping":
                found.stop("userstopped", "user request")
            return shown

    def start(self, account_id: str, campaign_id: str) -> None:
        with self.lock:
            campaign = self.campaign(account_id, campaign_id)
            if campaign.phase != "draft":
                raise ServiceError(409, "conflict", f"Conflict. The campaign is {campaign.phase}.")
            if campaign.root_manifest_id not in self.manifests:
                raise invalid("root_manifest_id", "The campaign has no manifest.")
            campaign.started_at = now()
            if not self._has_quota(account_id):
                return campaign.stop("quotaallocationfailed", "insufficient quota")
            self._starts.append((account_id, campaign.started_at))
            campaign.phase = campaign.state = "active"
            for device in self._choose(account_id, campaign.device_filter):
                campaign.deployments[device.id] = Deployment(_new_id(), campaign.id, device.id)
            for device_id in list(campaign.deployments):
                self._deploy(campaign, device_id)
            return self._stop_if_done(campaign)

    def _has_quota(self, account_id: str) -> bool:
        limit = self.switches.campaigns_a_month
        if limit is None:
            limit = CAMPAIGNS_OF_TIER[self._tier_of(account_id)]
        month = now().strftime("%Y-%m")
        started = sum(owner == account_id and f"{at:%Y-%m}" == month for owner, at in self._starts)
        return limit is None or started < limit

    def stop(self, account_id: str, campaign_id: str) -> None:
        with self.lock:
            campaign = self.campaign(account_id, campaign_id)
            if campaign.phase not in ("starting", "active"):
                raise ServiceError(409, "conflict", f"Conflict. The campaign is {campaign.phase}.")
            campaign.phase = campaign.state = "stopping"

    def delete_campaign(self, account_id: str, campaign_id: str) -> None:
        with self.lock:
            campaign = self.campaign(account_id, campaign_id)
            if campaign.phase in _ACTIVE:
                raise ServiceError(409, "conflict", f"Conflict. The campaign is {campaign.phase}.")
            del self.campaigns[campaign.id]

    # --- devices

    def events_of(self, account_id: str) -> list[Event]:
        with self.lock:
            return [event for event in self.events if event.account_id == account_id] if self.switches.tells else []

    def observe(self, device_id: str, told: Told) -> None:
        """What a device told of the tokens of its notifications. They are in force until it registers anew."""
        with self.lock:
            self._observed[device_id] = told.observed

    def registered(self, device: Device) -> None:
        """A device has registered, or said so again: it gets what waits for it."""
        with self.lock:
            for campaign in list(self.campaigns.values()):
                deployment = campaign.deployments.get(device.id)
                if campaign.phase == "active" and deployment and deployment.open and deployment.state == "pending":
                    self._deploy(campaign, device.id)

    @contextmanager
    def mailbox(self) -> Iterator[Mailbox]:
        """For a connection; see ``reached_at``."""
        made = Mailbox()
        try:
            yield made
        finally:
            with self.lock:
                for device_id in [known for known, mailbox in self._mailboxes.items() if mailbox is made]:
                    del self._mailboxes[device_id]
                os.close(made.wake)

    def reached_at(self, device_id: str, mailbox: Mailbox) -> None:
        with self.lock:
            self._mailboxes[device_id] = mailbox

    def refused(self, device_id: str) -> None:
        """A device did not take the manifest."""
        with self.lock:
            for campaign, deployment in self._open(device_id):
                deployment.state, deployment.open = "failed_connector_channel_update", False
                self._stop_if_done(campaign)

    def notified(self, device_id: str, token: bytes, text: str) -> None:
        """A notification came. What is not of an update's, or no number, is nothing to the service."""
        with self.lock:
            resource = self._observed.get(device_id, {}).get(token)
            if resource in (STATE, RESULT) and text.lstrip("-").isdigit():
                self._note(device_id, resource, int(text))

    def _note(self, device_id: str, resource: str, value: int) -> None:
        running = self._open(device_id)
        data = {"campaign_id": running[0][0].id} if running else {}
        if resource == STATE:
            if value > 0:
                self._tell(device_id, f"UPD2_STATE_{value}", "INFO", data)
            return
        if value < 0:
            return
        kind = "UPD4" if value >= 100 else "UPD2"
        category = "FAIL_MANIFEST_REJECTED" if 200 <= value < 300 or value < 100 else "FAIL"
        self._tell(device_id, f"{kind}_FAIL_{value}", category, data)
        for campaign, deployment in running:
            deployment.state, deployment.open = "manifestremoved", False
            self._stop_if_done(campaign)

    def _tell(self, device_id: str, event_type: str, category: str, data: dict[str, Any]) -> None:
        device = self._devices[device_id]
        self.events.append(Event(_new_id(), device.account_id, device_id, event_type, category, data))

    def _open(self, device_id: str) -> list[tuple[Campaign, Deployment]]:
        """Where the device has its manifest and has not answered."""
        return [
            (campaign, campaign.deployments[device_id])
            for campaign in self.campaigns.values()
            if campaign.phase in _ACTIVE
            and device_id in campaign.deployments
            and campaign.deployments[device_id].open
            and campaign.deployments[device_id].state == "updated_connector_channel"
        ]

    def _deploy(self, campaign: Campaign, device_id: str) -> None:
        """To a device that is registered, and in no other campaign."""
        device, deployment = self._devices.get(device_id), campaign.deployments[device_id]
        assert campaign.root_manifest_id is not None
        manifest = self.manifests.get(campaign.root_manifest_id)
        if device is None or manifest is None or device.state != "registered" or self._open(device_id):
            return
        later = device.manifest_timestamp is not None and device.manifest_timestamp >= manifest.facts.timestamp
        if self.switches.skips_older and later:
            deployment.state, deployment.open = "manifestremoved", False
            self._tell(device_id, "SYS_110", "SKIPPED", {"campaign_id": campaign.id})
            return
        mailbox = self._mailboxes.get(device_id)
        if mailbox is None and device.update_answer is None:
            return
        deployment.state = "updated_connector_channel"
        device.deployment = campaign.id
        if mailbox is not None:
            mailbox.put(manifest.der)
        elif device.update_answer:
            self._note(device_id, STATE, 2)
            self._note(device_id, STATE, 1)
            self._note(device_id, RESULT, device.update_answer)

    def _stop_if_done(self, campaign: Campaign) -> None:
        if campaign.phase == "active" and not any(deployment.open for deployment in campaign.deployments.values()):
            campaign.stop("autostopped", "all devices have answered")

    # --- for tests: what no API call does

    def switch(self, **switches: Any) -> None:
        """Set any of ``switches``. Raises ValueError for one that there is not."""
        for name, value in switches.items():
            if name not in {known.name for known in fields(Switches)}:
                raise ValueError(f"no switch {name!r}")
            setattr(self.switches, name, value)

    def seed_event(self, device_id: str, event_type: str, campaign_id: str | None = None) -> None:
        with self.lock:
            self._tell(device_id, event_type, "", {"campaign_id": campaign_id} if campaign_id else {})

    def snapshot(self) -> dict[str, Any]:
        with self.lock:
            return {
                "manifests": [manifest.to_json() for manifest in self.manifests.values()],
                "campaigns": [campaign.to_json() for campaign in self.campaigns.values()],
            }


def _new_id() -> str:
    return secrets.token_hex(16)
