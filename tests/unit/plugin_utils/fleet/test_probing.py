# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe's campaign, at a service on paper and by a clock on paper: how long is waited, what counts, what is removed.

test_proving has the same against the lab's cloud.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.errors import ApiError
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.update_answers import Campaign, DeviceEvent, Manifest
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet import probing
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.probing import (
    SETTLE_SECONDS,
    STOP_SECONDS,
    ProbeName,
    Told,
    occupied,
    remove,
    send_probe,
    updating,
)

OURS = Campaign("c", "", "draft", "", "m", "2026-11-01T00:00:00Z")
ACTIVE = replace(OURS, phase="active")
OTHERS = Campaign("others", "spring update", "active", "", "m2", "2026-10-01T00:00:00Z")


class Clock:
    """Seconds that pass while somebody sleeps; something may happen then."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.at: list[tuple[float, Callable[[], Any]]] = []

    def sleep(self, seconds: float) -> None:
        assert len(self.pauses) < 99, "this does not end"
        self.pauses.append(seconds)
        self.now += seconds
        for when, happens in list(self.at):
            if when <= self.now:
                self.at.remove((when, happens))
                happens()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(probing, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=clock.sleep))
    return clock


@dataclass
class Service:
    """``now`` is our campaign as it is told, ``refused`` are the statuses that calls get, one after the other."""

    created: Campaign = OURS
    now: Campaign = ACTIVE
    timestamp: datetime | None = None
    events: list[DeviceEvent] = field(default_factory=list)
    left: Mapping[str, str] = field(default_factory=dict)
    refused: dict[str, list[int]] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        answers = {
            "upload_probe": lambda name, probe: Manifest("m", name, self.timestamp),
            "create_campaign": lambda name, manifest, devices: self.created,
            "device_events": lambda query: list(self.events),
            "deployments": lambda campaign: self.left,
            "campaign": lambda campaign: self.now,
            "campaigns": lambda: [replace(OURS, name=self.name), OTHERS],
            "manifests": lambda: [Manifest("m", self.name, None), Manifest("m2", OTHERS.name, None)],
        }

        def call(*arguments: Any) -> Any:
            self.calls.append((name, *arguments))
            if statuses := self.refused.get(name):
                raise ApiError("no", status=statuses.pop(0))
            return answers.get(name, lambda *_arguments: None)(*arguments)

        return call

    @property
    def name(self) -> str:
        return next(str(call[1]) for call in self.calls if call[0] == "upload_probe")

    def removed(self) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0].startswith(("delete", "stop"))]

    def count(self, name: str) -> int:
        return sum(call[0] == name for call in self.calls)


def told(service: Service, timeout: float = 60, warn: Callable[[str], Any] = pytest.fail) -> Told:
    api: Any = service
    return send_probe(api, b"probe", ["a", "b"], timeout, warn)


def said(device: str, event: str = "UPD4_FAIL_221", campaign: str = "c") -> DeviceEvent:
    return DeviceEvent(device, event, "", campaign)


# --- answers


def test_answers_are_looked_for_ever_more_rarely_until_the_time_is_over(clock: Clock) -> None:
    service = Service(left={"a": "pending"}, events=[said("b")])
    assert told(service) == Told({"b": 221}, {}, {"a": "pending"})
    assert clock.pauses[:4] == [1.0, 1.5, 2.25, 3.375] and max(clock.pauses) == 15
    assert sum(clock.pauses) == 60 and clock.pauses[-1] < 15
    assert told(Service(), timeout=0) == Told()


def test_nobody_is_waited_for_once_all_have_answered(clock: Clock) -> None:
    service = Service()
    clock.at.append((2, lambda: service.events.extend([said("a"), said("b", "SYS_110")])))
    assert told(service) == Told({"a": 221}, {"b": "SYS_110"})
    assert len(clock.pauses) == 2 and service.count("deployments") == 0
    assert service.removed() == [("delete_campaign", "c"), ("delete_manifest", "m")]
    assert service.count("campaigns") == service.count("manifests") == 0, "it is known what there is"


def test_what_counts_is_what_these_boards_say_of_this_campaign(clock: Clock) -> None:
    events = [said("a", campaign="others"), said("stranger"), said("a", "UPD2_STATE_3"), said("b", "SYS_1")]
    service = Service(events=events)
    assert told(service) == Told()
    since = [call[1] for call in service.calls if call[0] == "device_events"]
    assert since[0] == {"date_time__gte": OURS.created_at}
    silent = Service(created=replace(OURS, created_at=""), events=events)
    assert told(silent) == Told()
    assert next(call[1] for call in silent.calls if call[0] == "device_events") == {}


@pytest.mark.parametrize(("why", "word"), [("insufficient quota", "insufficient quota"), ("", "stopped")])
def test_a_campaign_that_stopped_by_itself_is_waited_for_a_little(clock: Clock, why: str, word: str) -> None:
    service = Service(now=replace(OURS, phase="stopped", why_stopped=why))
    clock.at.append((SETTLE_SECONDS - 10, lambda: service.events.append(said("a"))))
    assert told(service, timeout=3600) == Told({"a": 221}, {}, {}, word)
    assert sum(clock.pauses) == SETTLE_SECONDS
    assert service.count("campaign") == 1, "which is asked no more"
    short = Service(now=service.now)
    clock.pauses.clear()
    assert told(short, timeout=5).why_stopped == word
    assert sum(clock.pauses) == 5


def test_a_campaign_that_has_not_begun_has_not_stopped(clock: Clock) -> None:
    service = Service(now=OURS)
    assert told(service, timeout=100) == Told()
    assert sum(clock.pauses) == 100


def test_the_name_tells_by_when_all_is_removed(clock: Clock) -> None:
    before = datetime.now(timezone.utc)
    service = Service(timestamp=datetime.fromtimestamp(0, timezone.utc))
    told(service, timeout=600)
    name = ProbeName.read(service.name)
    assert name and name.until - before > timedelta(seconds=599 + STOP_SECONDS)


# --- what is removed


@pytest.mark.parametrize("lost", ["upload_probe", "create_campaign"])
def test_after_a_lost_answer_ours_is_found_by_its_name_and_others_stays(clock: Clock, lost: str) -> None:
    service = Service(refused={lost: [503]})
    with pytest.raises(ApiError):
        told(service)
    assert service.removed() == [("delete_campaign", "c"), ("delete_manifest", "m")]


def removing(service: Service, campaigns: Iterable[str] = ("c",)) -> list[str]:
    """The calls that change something."""
    api: Any = service
    remove(api, campaigns, ["m", "m"])
    return [call[0] for call in service.removed()]


def test_a_campaign_that_is_active_is_stopped_and_waited_for(clock: Clock) -> None:
    service = Service(refused={"delete_campaign": [409]})
    clock.at.append((40, lambda: setattr(service, "now", OURS)))
    assert removing(service) == ["delete_campaign", "stop_campaign", "delete_campaign", "delete_manifest"]
    assert clock.pauses[:4] == [1.0, 1.5, 2.25, 3.375] and max(clock.pauses) == 15 and 40 <= clock.now < 55
    # It may be stopping already.
    assert removing(Service(now=OURS, refused={"delete_campaign": [409], "stop_campaign": [409]}))
    clock.pauses.clear()
    removing(Service(refused={"delete_campaign": [409]}))
    assert STOP_SECONDS <= sum(clock.pauses) < STOP_SECONDS + 15, "for ever, if need be, it is not"


@pytest.mark.parametrize(
    ("refused", "calls"),
    [({"delete_campaign": [403]}, 1), ({"delete_campaign": [409], "stop_campaign": [403]}, 2)],
)
def test_what_else_the_service_refuses_is_an_error(clock: Clock, refused: dict[str, list[int]], calls: int) -> None:
    service = Service(refused=refused)
    with pytest.raises(ApiError):
        removing(service)
    assert len(service.removed()) == calls


# --- others' campaigns and updates


def test_boards_are_occupied_by_active_campaigns_that_wait_for_them() -> None:
    ended = replace(OTHERS, id="ended", phase="stopped")
    deployments = {
        "others": {"a": "pending", "b": "updated_connector_channel", "c": "deployed"},
        "ended": {"d": "pending"},
    }
    api: Any = SimpleNamespace(deployments=deployments.__getitem__)
    assert occupied(api, [OTHERS, ended]) == {"a": OTHERS.name, "b": OTHERS.name}


def test_an_update_is_under_way_by_the_last_state_that_was_told() -> None:
    events = [said("a", "UPD2_STATE_3"), said("b", "UPD2_STATE_3"), said("b", "UPD2_STATE_1"), said("a", "UPD4_FAIL_1")]
    queries: list[Mapping[str, str]] = []
    api: Any = SimpleNamespace(device_events=lambda query: queries.append(query) or events)
    assert updating(api, datetime(2026, 11, 1, tzinfo=timezone.utc)) == {"a": 3}
    states = ",".join(f"UPD2_STATE_{state}" for state in (1, 2, 3, 4, 5, 6, 7, 8))
    assert queries == [{"event_type__in": states, "date_time__gte": "2026-11-01T00:00:00Z"}]


# --- who made it


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("bench-1.example.com", "bench-1.example.com"),
        ("two words", "two-words"),
        ("käse", "k-se"),
        ("x" * 50, "x" * 40),
        ("", "-"),
    ],
)
def test_any_machine_has_a_name_that_is_read_again(monkeypatch: pytest.MonkeyPatch, host: str, named: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    name = ProbeName.new(600)
    again = ProbeName.read(str(name))
    assert again and (again.host, name.host) == (named, named) and not again.is_left_over


@pytest.mark.parametrize(
    ("error", "is_left_over"),
    [(None, False), (ProcessLookupError(), True), (PermissionError(), False), (OverflowError(), False)],
)
def test_a_process_is_asked_for_without_a_signal(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None, is_left_over: bool
) -> None:
    def kill(process: int, signal: int) -> None:
        assert (process, signal) == (7, 0)
        if error:
            raise error

    monkeypatch.setattr(os, "kill", kill)
    assert replace(ProbeName.new(600), process=7).is_left_over is is_left_over
