# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One update campaign that carries a probe to boards, and nothing of which is left when it is over."""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from ..cloud.errors import ApiError
from ..cloud.pelion_api import PelionApi
from ..cloud.update_answers import Campaign, Manifest
from ..errors import PelionError
from ..times import parse_time, time_text

Warn = Callable[[str], None]

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Seconds between two looks for answers; the pauses grow."""
SETTLE_SECONDS = 60
"""How long to look for answers after a campaign has stopped by itself: events may come late."""
STOP_SECONDS = 120
"""How long a campaign may take to stop."""
_GRACE = timedelta(minutes=5)
_WAITING = ("pending", "updated_connector_channel")
"""States of a campaign's devices that have not answered."""


@dataclass(frozen=True)
class ProbeName:
    """The name of our manifests and campaigns: who made it, and by when it is over. What a run that was killed left
    behind is known by it."""

    host: str
    process: int
    until: datetime
    tag: str

    _FORM = re.compile(r"pelion\.mbl update proof by (\S{1,40}):(\d{1,9}) until (\S{20}) (\w{8})")

    @classmethod
    def new(cls, seconds: float) -> ProbeName:
        """For what this process makes now and is done with in so many seconds."""
        return cls(_host(), os.getpid(), datetime.now(timezone.utc) + timedelta(seconds=seconds), secrets.token_hex(4))

    @classmethod
    def read(cls, text: str) -> ProbeName | None:
        """None for what is not ours."""
        found = cls._FORM.fullmatch(text)
        try:
            return cls(found[1], int(found[2]), parse_time(found[3]), found[4]) if found else None
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"pelion.mbl update proof by {self.host}:{self.process} until {time_text(self.until)} {self.tag}"

    @property
    def is_left_over(self) -> bool:
        """Whether the run that made it is over: on this machine it is known at once, of others when their time is."""
        if self.host == _host() and not _runs(self.process):
            return True
        return datetime.now(timezone.utc) > self.until + _GRACE


@dataclass(frozen=True)
class Told:
    """What came of a campaign, by device id: ``results`` (/10252/0/3), ``skipped`` with the events that say so, and
    how far it had come with the others (``deployments``). ``why_stopped`` is the service's word for an early end."""

    results: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    deployments: Mapping[str, str] = field(default_factory=dict)
    why_stopped: str = ""


def send_probe(api: PelionApi, probe: bytes, device_ids: Sequence[str], timeout: float, warn: Warn) -> Told:
    """What these devices say to ``probe`` within ``timeout`` seconds. Manifest and campaign are removed, whatever
    happens; if that fails, ``warn`` is told. Raises ApiError, and ManifestError for what is not a probe."""
    traces = _Traces(api, str(ProbeName.new(timeout + STOP_SECONDS)), warn)
    try:
        manifest = traces.upload(probe)
        if manifest.timestamp not in (None, datetime.fromtimestamp(0, timezone.utc)):
            raise PelionError(
                f"The service reads the version {time_text(manifest.timestamp)} in a probe that has 0, so it was not "
                "sent. Report this to the service's operator."
            )
        campaign = traces.create(manifest.id, device_ids)
        api.start_campaign(campaign.id)
        return _await_answers(api, campaign, set(device_ids), timeout)
    finally:
        traces.remove()


def _await_answers(api: PelionApi, campaign: Campaign, waiting: set[str], timeout: float) -> Told:
    results: dict[str, int] = {}
    skipped: dict[str, str] = {}
    deadline, pause, why_stopped = time.monotonic() + timeout, FIRST_PAUSE, ""
    # By the service's own clock.
    since: Mapping[str, str] = {"date_time__gte": campaign.created_at} if campaign.created_at else {}
    while True:
        for event in api.device_events(since):
            # The filter may be overlooked, and other campaigns' events count for nothing.
            if event.campaign_id != campaign.id or event.device_id not in waiting:
                continue
            if event.result is not None:
                results[event.device_id] = event.result
            elif event.is_skipped:
                skipped[event.device_id] = event.event_type
        if waiting <= results.keys() | skipped.keys():
            return Told(results, skipped)
        left = deadline - time.monotonic()
        if left <= 0:
            return Told(results, skipped, api.deployments(campaign.id), why_stopped)
        now = campaign if why_stopped else api.campaign(campaign.id)
        if not why_stopped and not now.is_active and now.phase != "draft":
            why_stopped = now.why_stopped or now.phase
            deadline = min(deadline, time.monotonic() + SETTLE_SECONDS)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)


class _Traces:
    """What a run leaves at the service, and takes away."""

    def __init__(self, api: PelionApi, name: str, warn: Warn) -> None:
        self._api = api
        self._name = name
        self._warn = warn
        self._manifest: Manifest | None = None
        self._campaign: Campaign | None = None
        self._undecided = False

    def upload(self, probe: bytes) -> Manifest:
        self._undecided = True
        self._manifest = self._api.upload_probe(self._name, probe)
        self._undecided = False
        return self._manifest

    def create(self, manifest_id: str, device_ids: Iterable[str]) -> Campaign:
        self._undecided = True
        self._campaign = self._api.create_campaign(self._name, manifest_id, device_ids)
        self._undecided = False
        return self._campaign

    def remove(self) -> None:
        """Also what was made by a call whose answer was lost."""
        try:
            campaigns = [self._campaign.id] if self._campaign else []
            manifests = [self._manifest.id] if self._manifest else []
            if self._undecided:
                campaigns += [found.id for found in self._api.campaigns() if found.name == self._name]
                manifests += [found.id for found in self._api.manifests() if found.name == self._name]
            remove(self._api, campaigns, manifests)
        except PelionError as error:
            self._warn(
                f"The update campaign or manifest {self._name!r} could not be removed from the service: {error} The "
                "next run of pelion.mbl.prove_updates tries again."
            )


def remove(api: PelionApi, campaigns: Iterable[str], manifests: Iterable[str]) -> None:
    """Stop and delete those campaigns, then delete those manifests, by their ids. Raises ApiError."""
    for campaign_id in dict.fromkeys(campaigns):
        try:
            api.delete_campaign(campaign_id)
        except ApiError as error:
            if error.status != 409:
                raise
            _stop(api, campaign_id)
            api.delete_campaign(campaign_id)
    for manifest_id in dict.fromkeys(manifests):
        api.delete_manifest(manifest_id)


def _stop(api: PelionApi, campaign_id: str) -> None:
    try:
        api.stop_campaign(campaign_id)
    except ApiError as error:
        if error.status != 409:  # it is stopping already, or just did
            raise
    deadline, pause = time.monotonic() + STOP_SECONDS, FIRST_PAUSE
    while api.campaign(campaign_id).is_active and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def remove_left_overs(api: PelionApi, campaigns: Sequence[Campaign], manifests: Sequence[Manifest]) -> None:
    """Remove those of ``campaigns`` and ``manifests`` that a killed run of ours left. Raises ApiError."""
    ours, uploads = ([kept.id for kept in there if is_left_over(kept.name)] for there in (campaigns, manifests))
    remove(api, ours, uploads)


def is_left_over(name: str) -> bool:
    """Whether a campaign or manifest of that name is what a killed run of ours left."""
    found = ProbeName.read(name)
    return bool(found and found.is_left_over)


def occupied(api: PelionApi, campaigns: Iterable[Campaign]) -> dict[str, str]:
    """The devices that active ones of ``campaigns`` wait for, by id, with the campaign's name.

    Makes a call for each 1000 devices of each active campaign.
    """
    return {
        device_id: campaign.name
        for campaign in campaigns
        if campaign.is_active
        for device_id, state in api.deployments(campaign.id).items()
        if state in _WAITING
    }


def updating(api: PelionApi, since: datetime) -> dict[str, int]:
    """The devices that last told of a state other than idle since then, by id, with that state (/10252/0/2)."""
    states = ",".join(f"UPD2_STATE_{state}" for state in range(1, 9))
    last: dict[str, int] = {}
    for event in api.device_events({"event_type__in": states, "date_time__gte": time_text(since) or ""}):
        if event.state is not None:
            last[event.device_id] = event.state
    return {device_id: state for device_id, state in last.items() if state > 1}


def _host() -> str:
    """This machine's name, as far as it may be part of a name at the service."""
    return re.sub(r"[^\w.-]", "-", socket.gethostname(), flags=re.ASCII)[:40] or "-"


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
