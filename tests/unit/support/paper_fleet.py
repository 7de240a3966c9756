# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of any size on paper: boards, cloud and store as the decision sees them, without any of the three."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from credential_samples import a_certificate, developer_values, update_values

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import record_of
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.client_log import ClientLog
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import Items
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_answers import Device
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.certified import describe_certificate
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.developer_credentials import DeveloperCredentials
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.decision import Decision, Fleet, decide
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.host_keys import HostKeys
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.member import Member
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import Remembered
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.stock import Stock, read_stock
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.wishes import UpdateWish, Wishes
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.developer_certificates import DEVICES_PER_CERTIFICATE

UPDATE = "bench-update"
WISHES = Wishes("bench", UpdateWish(UPDATE), spread=True)
KEY = "SHA256:" + "k" * 43


def host_key(number: int) -> str:
    """The fingerprint of the host key of the board of that number."""
    return f"SHA256:{number:043}"


@dataclass(frozen=True)
class _InCloud:
    id: str
    name: str
    fingerprint: str
    active: bool = True
    not_after: datetime = datetime.now(timezone.utc) + timedelta(days=3000)


class PaperFleet:
    """``boards`` boards under NAME-01, NAME-02 and so on, ``places`` each; an account that may have ``certificates``
    of them."""

    def __init__(self, boards: int, certificates: int, places: int = DEVICES_PER_CERTIFICATE) -> None:
        self._places = places
        count = min(certificates, -(-boards // places))
        self._developer = {name: self._credentials(name, number) for number, name in self._names(count)}
        self._update = UpdateResources(update_values())
        self._free = certificates - count
        self.names = [f"mbed-linux-os-{number}" for number in range(boards)]
        self.ids = [f"{number:032x}" for number in range(boards)]

    @staticmethod
    def _names(count: int) -> Iterator[tuple[int, str]]:
        return ((number, f"bench-{number:02}") for number in range(1, count + 1))

    @staticmethod
    def _credentials(name: str, number: int) -> DeveloperCredentials:
        values = developer_values(DEVICE_CERTIFICATE=a_certificate())
        return DeveloperCredentials(values, name=name, certificate_id=f"{number:032x}")

    def fresh(self, wishes: Wishes = WISHES) -> list[Member]:
        """The boards as they were flashed."""
        return [
            Member(name, wishes, Inspection(has_utility=True), HostKeys((host_key(number),)))
            for number, name in enumerate(self.names)
        ]

    def proven(self, wishes: Wishes = WISHES) -> list[Member]:
        """The boards, provisioned and registered; as many as there are places."""
        members = []
        for number, credentials in enumerate(self._developer.values()):
            board = _board(Items.of(credentials.values, self._update.values))
            here = slice(number * self._places, (number + 1) * self._places)
            members += [
                Member(name, wishes, replace(board, log=ClientLog(True, device_id)), HostKeys((host_key(at),)))
                for at, (name, device_id) in enumerate(zip(self.names[here], self.ids[here], strict=True), here.start)
            ]
        return members

    def remembered(self) -> dict[str, Remembered]:
        return {
            name: Remembered((host_key(number),), device_id, "bench-01", "2026-11-25T00:00:00Z")
            for number, (name, device_id) in enumerate(zip(self.names, self.ids, strict=True))
        }

    def devices(self) -> list[Device]:
        return [
            Device.from_answer(
                {
                    "id": device_id,
                    "state": "registered",
                    "ca_id": f"{1 + number // self._places:032x}",
                    "device_execution_mode": 1,
                }
            )
            for number, device_id in enumerate(self.ids)
        ]

    def api(self, *, in_use: bool = True, ahead: timedelta = timedelta(0)) -> Any:
        """The account. ``ahead`` is by how much this machine's clock differs from its."""
        return SimpleNamespace(
            developer_certificates=lambda: [
                _InCloud(c.certificate_id, c.name, c.fingerprint) for c in self._developer.values() if in_use
            ],
            devices=lambda query: self.devices() if in_use else [],
            account=lambda: SimpleNamespace(certificates_limit=self._free + len(self._developer)),
            trusted_certificate_count=lambda: len(self._developer) if in_use else 0,
            ahead=ahead,
        )

    def keep_in(self, store: Store) -> None:
        """Write the boards' credentials to a real store."""
        for name, credentials in self._developer.items():
            store.write(name, credentials)
        store.write(UPDATE, self._update)

    def stock(self, members: Sequence[Member], *, in_use: bool, verify: bool = True) -> Stock:
        """``in_use`` says whether the certificates and their devices are there already."""
        store: Any = _Store(self, in_use)
        return read_stock(store, self.api(in_use=in_use) if verify else None, _no_file, members)

    def decide(self, members: Sequence[Member], *, in_use: bool, verify: bool = True) -> Decision:
        """Reads the stock, then decides by it."""
        fleet = Fleet(members, self.remembered() if in_use else {})
        return decide(fleet, self.stock(fleet.admitted, in_use=in_use, verify=verify))


class _Store:
    place = "/paper/team"
    directory = Path(place)

    def __init__(self, fleet: PaperFleet, in_use: bool) -> None:
        self._entries: dict[type, dict[str, Any]] = {
            DeveloperCredentials: fleet._developer if in_use else {},
            UpdateResources: {UPDATE: fleet._update},
        }

    def read(self, kind: type, name: str) -> Any:
        return self._entries[kind].get(name)

    def names(self, kind: type) -> list[str]:
        return list(self._entries[kind])

    def entries(self, kind: type) -> list[Any]:
        return [SimpleNamespace(name=name, entry=entry, error=None) for name, entry in self._entries[kind].items()]


def _no_file(path: str) -> UpdateResources:
    raise AssertionError(path)


def _board(items: Items) -> Inspection:
    record = record_of(items)
    name = describe_certificate(items.developer_certificate)["common_name"]
    held = {
        kcm.DEVELOPER_CERTIFICATE: record["developer_certificate"],
        kcm.UPDATE_CERTIFICATE: record["update_certificate"],
        kcm.LWM2M_CERTIFICATE: "of the cloud",
    }
    return Inspection(
        has_utility=True,
        files=tuple(kcm.file_name(name) for name in (*kcm.FACTORY_ITEMS, kcm.LWM2M_SERVER_URI)),
        certificates={
            item: {"fingerprint": fingerprint, "common_name": name, "account_id": None, "not_after": None}
            for item, fingerprint in held.items()
        },
        kcm_digest="d1",
        record={**record, "kcm": "d1"},
        status_code=0,
        client_runs=True,
    )
