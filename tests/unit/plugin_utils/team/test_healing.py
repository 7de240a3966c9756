# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Client and cloud together: whatever goes wrong on the way, the next run ends where this one should have."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cloud import Cloud
from cloud_access import api_of, store_at
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.device_changes import DeviceNotes, change_devices
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.developer_credentials import DeveloperCredentials
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.team import developer_certificates
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.certificate_overview import CertificateOverview
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.developer_certificates import (
    DeveloperCertificateKeeper,
    Outcome,
)

CA_NAME = "of a CA"
NAMES = ["bench", "Bench", "two words/ünï", CA_NAME]

FIELDS = ["data", "has_more", "total_count", "id", "name", "account_id", "security_file_content", "data.*.id"]
FIELDS += ["data.*.name", "data.*.certificate", "data.*.account_id", "data.*.device_execution_mode", "data.*.state"]

KINDS = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.just("status"),
            "status": st.sampled_from([400, 401, 403, 404, 409, 429, 500, 502, 503, 504]),
            "processed": st.booleans(),
        }
    ),
    st.fixed_dictionaries({"kind": st.just("cut"), "after": st.none(), "processed": st.booleans()}),
    st.fixed_dictionaries({"kind": st.just("cut"), "after": st.integers(0, 3000)}),
    st.fixed_dictionaries({"kind": st.just("truncated"), "after": st.integers(1, 3000)}),
    st.fixed_dictionaries(
        {
            "kind": st.just("body"),
            "text": st.sampled_from(["", "{}", "[]", "null", "<html>Log in</html>", '{"data": [], "has_more": true}']),
            "status": st.sampled_from([200, 201, 403, 500]),
            "processed": st.booleans(),
        }
    ),
    st.fixed_dictionaries({"kind": st.just("edited"), "remove": st.lists(st.sampled_from(FIELDS), min_size=1)}),
    st.fixed_dictionaries({"kind": st.just("redirect"), "location": st.just("https://elsewhere.example/")}),
    st.fixed_dictionaries({"kind": st.just("flood"), "size": st.integers(0, 5000)}),
)
FAULTS = st.lists(
    st.tuples(KINDS, st.sampled_from(["*", "GET", "POST", "PUT", "DELETE"]), st.integers(0, 2), st.integers(1, 3)),
    max_size=2,
)


class CloudAndClient(RuleBasedStateMachine):
    cloud: Cloud

    @initialize()
    def begin(self) -> None:
        account, self.key = self.cloud.state.add_account()
        self.account_id = account.id
        self.directory = tempfile.TemporaryDirectory()
        self.store = store_at(Path(self.directory.name) / "team")
        self.api = api_of(self.cloud, key=self.key, retries=1)
        self.api._transport.call(
            "POST",
            "/v3/trusted-certificates",
            body={"name": CA_NAME, "service": "bootstrap", "certificate": trustme.CA().cert_pem.bytes().decode()},
        )

    def teardown(self) -> None:
        self.cloud.faults.clear()
        self.api.__exit__()
        self.directory.cleanup()

    @rule(
        name=st.sampled_from(NAMES),
        description=st.none() | st.sampled_from(["one", "two"]),
        force=st.booleans(),
        faults=FAULTS,
    )
    def present(self, name: str, description: str | None, force: bool, faults: list[Any]) -> None:
        error = self._attempt(lambda: self._keeper(name).present(description, force=force), name, faults)
        if name == CA_NAME:
            assert "not a developer certificate" in str(error)
        elif error:
            assert "INACTIVE" in str(error)
            assert not force
        else:
            entry = self._cloud_entries()[name]
            stored = self.store.read(DeveloperCredentials, name)
            assert entry["status"] == "ACTIVE"
            assert description in (None, entry["description"])
            assert stored is not None
            assert (stored.fingerprint, stored.certificate_id) == (entry["certificate_fingerprint"], entry["id"])

    @rule(name=st.sampled_from(NAMES), faults=FAULTS)
    def inactive(self, name: str, faults: list[Any]) -> None:
        error = self._attempt(lambda: self._keeper(name).inactive(), name, faults)
        if error:
            assert "developer certificate" in str(error)
            assert name == CA_NAME or name not in self._cloud_entries()
        else:
            assert self._cloud_entries()[name]["status"] == "INACTIVE"

    @rule(name=st.sampled_from(NAMES), force=st.booleans(), faults=FAULTS)
    def absent(self, name: str, force: bool, faults: list[Any]) -> None:
        error = self._attempt(lambda: self._keeper(name).absent(force=force), name, faults)
        if error:
            assert "registered devices" in str(error)
            assert not force
            assert name in self._cloud_entries()
        else:
            assert name == CA_NAME or name not in self._cloud_entries()
            assert self.store.read(DeveloperCredentials, name) is None

    @rule(name=st.sampled_from(NAMES), state=st.sampled_from(["registered", "bootstrapped"]))
    def devices_bootstrap(self, name: str, state: str) -> None:
        entry = self._cloud_entries().get(name)
        if entry and name != CA_NAME:
            self.cloud.state.seed_devices(2, entry["id"], account_id=self.account_id, state=state)

    @rule(name=st.sampled_from(NAMES[:-1]), makes_a_new_one=st.booleans())
    def somebody_else_deletes(self, name: str, makes_a_new_one: bool) -> None:
        if entry := self._cloud_entries().get(name):
            self.cloud.state.delete_certificate(self.account_id, entry["id"])
        if makes_a_new_one:
            self.api.create_developer_certificate(name)

    @rule(number=st.integers(0, 9), name=st.sampled_from(["", "shelf 1", "shelf 2"]), faults=FAULTS)
    def name_a_device(self, number: int, name: str, faults: list[Any]) -> None:
        ids = [device.id for device in self.cloud.state.devices_of(self.account_id)]
        if not ids:
            return
        device_id = ids[number % len(ids)]

        def change() -> Outcome:
            return Outcome(change_devices(self.api, [DeviceNotes(device_id, name)]).require_success().changed)

        assert self._attempt(change, "", faults) is None
        assert self.cloud.state.device(self.account_id, device_id).name == name

    @rule(faults=FAULTS)
    def look_at_all(self, faults: list[Any]) -> None:
        seen: list[Any] = []

        def look() -> Outcome:
            seen[:] = CertificateOverview.take(self.api, self.store).describe()
            return Outcome()

        assert self._attempt(look, "", faults) is None
        entries = self._cloud_entries()
        del entries[CA_NAME]
        assert {entry["name"]: entry["status"] for entry in seen if entry["in_cloud"]} == {
            name: entry["status"] for name, entry in entries.items()
        }
        devices = self.cloud.state.devices_of(self.account_id)
        for entry in seen:
            if entry["in_cloud"]:
                assert entry["devices"] == sum(device.ca_id == entry["id"] for device in devices)

    @invariant()
    def nothing_is_lost(self) -> None:
        """The CA certificate is never touched, and every entry of the store can be read."""
        if hasattr(self, "store"):
            assert CA_NAME in self._cloud_entries()
            for name in self.store.names(DeveloperCredentials):
                assert self.store.read(DeveloperCredentials, name) is not None

    def _keeper(self, name: str) -> DeveloperCertificateKeeper:
        return DeveloperCertificateKeeper(self.api, self.store, name)

    def _cloud_entries(self) -> dict[str, dict[str, Any]]:
        return {entry.name: entry.to_json() for entry in self.cloud.state.certificates_of(self.account_id)}

    def _attempt(self, act: Callable[[], Outcome], name: str, faults: list[Any]) -> PelionError | None:
        """Act under ``faults``, then without, then once more, which must change nothing. Returns a refusal."""
        others = self._others(name)
        for options, method, skip, times in faults:
            self.cloud.faults.add(**options, method=method, skip=skip, times=times)
        self._act(act)
        self.cloud.faults.clear()
        refusal = self._act(act)
        before = self._cloud_entries(), self._stored_files()
        again = self._act(act, changes=False)
        assert str(again).partition("request_id")[0] == str(refusal).partition("request_id")[0]
        assert (self._cloud_entries(), self._stored_files()) == before
        assert self._others(name) == others
        return refusal

    def _act(self, act: Callable[[], Outcome], changes: bool = True) -> PelionError | None:
        try:
            outcome = act()
        except PelionError as error:
            shown = str(error) + repr(error.facts)
            assert self.key not in shown
            assert "PRIVATE" not in shown
            return error
        assert changes or not outcome.changed
        return None

    def _others(self, name: str) -> dict[str, Any]:
        return {other: entry for other, entry in self._cloud_entries().items() if other != name}

    def _stored_files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.store.directory.glob("*.yml")}


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(developer_certificates, "LOOK_AGAIN_AFTER", (0,))
    yield


def test_whatever_goes_wrong_the_next_run_heals(cloud: Cloud, without_pauses: None) -> None:
    class Machine(CloudAndClient):
        pass

    Machine.cloud = cloud
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=10,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # shrinking these takes minutes, and ten steps are few to read
        ),
    )
