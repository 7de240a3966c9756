# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of the Pelion Device Management API (v3) that the collection makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from ..credentials.update_manifest import require_probe
from ..errors import PelionError
from .api_answers import (
    DEVELOPER_MODE,
    ID,
    Account,
    CertificateFile,
    DeveloperCertificate,
    Device,
    DeviceGroup,
    take,
    take_id,
)
from .errors import ApiError
from .update_answers import Campaign, DeviceEvent, Manifest, take_deployment

if TYPE_CHECKING:
    # What it needs is slow to import, and modules that only name this one do without.
    from .api_transport import ApiTransport

T = TypeVar("T")

GROUPS = "/v3/device-groups/"
MANIFESTS = "/v3/firmware-manifests/"
CAMPAIGNS = "/v3/update-campaigns/"


class PelionApi:
    """A client of one account: that of the API key which ``transport`` has.

    All methods raise ApiError; an answer that is not what the service documents is one too. Only in lists, an entry
    that is not is left out, and named once to ``warn``. Use it in a ``with`` statement, which ends its connection.
    """

    DEFAULT_HOST = "https://api.us-east-1.mbedcloud.com"

    PAGE = 1000
    """Entries asked for at once; the service takes 2 to 1000."""

    MOST_PAGES = 1000

    def __init__(self, transport: ApiTransport, *, warn: Callable[[str], None] | None = None) -> None:
        self._transport = transport
        self.url = transport.url
        self._warn = warn or (lambda message: None)
        self._warned: set[str] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    @property
    def ahead(self) -> timedelta:
        """By how much this machine's clock is ahead of the service's; 0 before its first answer."""
        return self._transport.ahead

    def __enter__(self) -> PelionApi:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._transport.close()

    def account(self) -> Account:
        """The account of the key. Any valid key may ask this, so it is how a key is checked."""
        path = "/v3/accounts/me"
        return self._read("GET", path, self._transport.call("GET", path), Account.from_answer)

    def trusted_certificate_count(self) -> int:
        """How many trusted certificates the account has, developer and CA certificates together."""
        return self._count("/v3/trusted-certificates", {})

    def developer_certificates(self, name: str | None = None) -> list[DeveloperCertificate]:
        """The account's developer certificates, oldest first; with ``name`` at most the one of that name.

        What is asked for by name is not left out when it is odd: it would seem not to be there.
        """
        path = "/v3/trusted-certificates"
        filters: dict[str, str | int] = {"device_execution_mode__eq": DEVELOPER_MODE}
        if name is not None:
            filters["name__eq"] = name
        # Checked again here: what a service that overlooks a filter gives in addition may be a CA certificate.
        entries = [
            entry
            for entry in self._pages(path, filters)
            if entry.get("device_execution_mode") == DEVELOPER_MODE and name in (None, entry.get("name"))
        ]
        if name is not None:
            return [self._read("GET", path, entry, DeveloperCertificate.from_answer) for entry in entries]
        return list(self._readable("developer certificate", entries, DeveloperCertificate.from_answer))

    def certificate_file(self, certificate_id: str) -> CertificateFile:
        """A developer certificate with its private key."""
        path = f"/v3/developer-certificates/{require_id(certificate_id)}"
        return self._read("GET", path, self._transport.call("GET", path), CertificateFile.from_answer)

    def create_developer_certificate(self, name: str, description: str | None = None) -> CertificateFile:
        """Make a new developer certificate. The call is never repeated; see ApiError.undecided."""
        path = "/v3/developer-certificates"
        body = {"name": name} if description is None else {"name": name, "description": description}
        return self._read("POST", path, self._transport.call("POST", path, body=body), CertificateFile.from_answer)

    def update_trusted_certificate(self, certificate_id: str, changes: Mapping[str, str]) -> None:
        """Change ``description`` or ``status`` (ACTIVE, INACTIVE)."""
        self._transport.call("PUT", f"/v3/trusted-certificates/{require_id(certificate_id)}", body=changes)

    def delete_trusted_certificate(self, certificate_id: str) -> None:
        """Delete a certificate; one that is gone already is as good."""
        self._delete(f"/v3/trusted-certificates/{require_id(certificate_id)}")

    def devices(self, filters: Mapping[str, str | int]) -> Iterator[Device]:
        """The directory's entries under ``filters`` (``state__eq``, ``id__in``, …), page by page."""
        return self._readable("device", self._pages("/v3/devices/", filters), Device.from_answer)

    def device_count(self, filters: Mapping[str, str | int]) -> int:
        """How many entries ``devices`` would give, in one call."""
        return self._count("/v3/devices/", filters)

    def update_device(self, device_id: str, body: Mapping[str, Any]) -> None:
        """Replace what a user may change of a device's entry."""
        self._transport.call("PUT", f"/v3/devices/{require_id(device_id)}/", body=body)

    def suspend_device(self, device_id: str, category: str, reason: str) -> None:
        """Keep a device from connecting; one that is connected is cut off. ``category`` is one that the service knows
        (``GET /v3/device-block-categories``), ``reason`` any text."""
        self._block("suspend", device_id, category, reason)

    def resume_device(self, device_id: str, category: str, reason: str) -> None:
        """Let a device connect again. ``category`` must be the one that it was suspended with."""
        self._block("resume", device_id, category, reason)

    def _block(self, how: str, device_id: str, category: str, reason: str) -> None:
        body = {"category": category, "description": reason}
        self._transport.call("POST", f"/v3/devices/{require_id(device_id)}/{how}", body=body)

    def delete_device(self, device_id: str) -> None:
        """Delete the entry of a device with a developer certificate; one that is gone already is as good."""
        self._delete(f"/v3/devices/{require_id(device_id)}/")

    def device_groups(self) -> list[DeviceGroup]:
        """All groups of devices, oldest first."""
        return list(self._readable("device group", self._pages(GROUPS, {}), DeviceGroup.from_answer))

    def create_device_group(self, name: str) -> DeviceGroup:
        """Make a group. The call is never repeated; see ApiError.undecided."""
        answer = self._transport.call("POST", GROUPS, body={"name": name})
        return self._read("POST", GROUPS, answer, DeviceGroup.from_answer)

    def add_to_group(self, group_id: str, device_id: str) -> None:
        self._transport.call("POST", f"{GROUPS}{require_id(group_id)}/devices/add/", body={"device_id": device_id})

    def remove_from_group(self, group_id: str, device_id: str) -> None:
        self._transport.call("POST", f"{GROUPS}{require_id(group_id)}/devices/remove/", body={"device_id": device_id})

    def manifests(self) -> list[Manifest]:
        """All update manifests that the service keeps, oldest first."""
        return list(self._readable("update manifest", self._pages(MANIFESTS, {}), Manifest.from_answer))

    def upload_probe(self, name: str, probe: bytes) -> Manifest:
        """Have the service keep a probe (DER), see update_manifest. No other manifest is ever sent: raises
        ManifestError for one. The call is never repeated; see ApiError.undecided."""
        require_probe(probe)
        answer = self._transport.call("POST", MANIFESTS, form={"name": name, "datafile": probe})
        return self._read("POST", MANIFESTS, answer, Manifest.from_answer)

    def delete_manifest(self, manifest_id: str) -> None:
        """Delete a manifest; one that is gone already is as good."""
        self._delete(f"{MANIFESTS}{require_id(manifest_id)}/")

    def campaigns(self) -> list[Campaign]:
        """All update campaigns that the service keeps, oldest first."""
        return list(self._readable("update campaign", self._pages(CAMPAIGNS, {}), Campaign.from_answer))

    def create_campaign(self, name: str, manifest_id: str, device_ids: Iterable[str]) -> Campaign:
        """Make a campaign for these devices, which does not begin yet. The call is never repeated; see
        ApiError.undecided."""
        body = {
            "name": name,
            "root_manifest_id": require_id(manifest_id),
            "device_filter": f"id__in={','.join(map(require_id, device_ids))}",
            "campaign_strategy": "one-shot",
        }
        return self._read("POST", CAMPAIGNS, self._transport.call("POST", CAMPAIGNS, body=body), Campaign.from_answer)

    def campaign(self, campaign_id: str) -> Campaign:
        """A campaign as it is now."""
        path = f"{CAMPAIGNS}{require_id(campaign_id)}/"
        return self._read("GET", path, self._transport.call("GET", path), Campaign.from_answer)

    def start_campaign(self, campaign_id: str) -> None:
        """Begin it. It cannot be begun again."""
        self._transport.call("POST", f"{CAMPAIGNS}{require_id(campaign_id)}/start")

    def stop_campaign(self, campaign_id: str) -> None:
        """End it; ``campaign`` tells when it has stopped."""
        self._transport.call("POST", f"{CAMPAIGNS}{require_id(campaign_id)}/stop")

    def delete_campaign(self, campaign_id: str) -> None:
        """Delete a campaign that is not active; one that is gone already is as good. An active one is refused (409)."""
        self._delete(f"{CAMPAIGNS}{require_id(campaign_id)}/")

    def deployments(self, campaign_id: str) -> dict[str, str]:
        """How far a campaign has come with its devices: ``deployment_state`` by device id."""
        path = f"{CAMPAIGNS}{require_id(campaign_id)}/campaign-device-metadata/"
        return dict(self._readable("device of a campaign", self._pages(path, {}), take_deployment))

    def device_events(self, filters: Mapping[str, str | int]) -> Iterator[DeviceEvent]:
        """What happened to devices under ``filters`` (``event_type__in``, ``date_time__gte``, …), oldest first."""
        entries = self._pages("/v3/device-events/", {**filters, "order": "ASC"})
        return self._readable("device event", entries, DeviceEvent.from_answer)

    def _delete(self, path: str) -> None:
        try:
            self._transport.call("DELETE", path)
        except ApiError as error:
            if error.status != 404:
                raise

    def _count(self, path: str, filters: Mapping[str, str | int]) -> int:
        answer = self._transport.call("GET", path, {**filters, "include": "total_count", "limit": 2})
        return int(self._read("GET", path, answer, lambda page: take(page, "total_count", int)))

    def _pages(self, path: str, filters: Mapping[str, str | int]) -> Iterator[dict[str, Any]]:
        query = {**filters, "limit": self.PAGE}
        for _page in range(self.MOST_PAGES):
            answer = self._transport.call("GET", path, query)
            entries = self._read("GET", path, answer, _take_entries)
            yield from entries
            if not self._read("GET", path, answer, lambda page: take(page, "has_more", bool, optional=True)):
                return
            last = self._read("GET", path, entries[-1] if entries else {}, lambda entry: take_id(entry, "id"))
            if last == query.get("after"):
                break
            query["after"] = last
        raise ApiError(f"GET {self.url}{path}: the list has no last page. Report this to the service's operator.")

    def _readable(
        self, what: str, entries: Iterable[dict[str, Any]], read: Callable[[Mapping[str, Any]], T]
    ) -> Iterator[T]:
        for entry in entries:
            try:
                yield read(entry)
            except ValueError as error:
                named = [f"{name} {str(entry[name])[:100]!r}" for name in ("id", "name") if entry.get(name)]
                text = (
                    f"The cloud's {what} with {' and '.join(named) or 'neither id nor name'} is left out, since it "
                    f"does not match the service's documentation: {error}."
                )
                if text not in self._warned:
                    self._warned.add(text)
                    self._warn(text)

    def _read(self, method: str, path: str, answer: Mapping[str, Any], read: Callable[[Mapping[str, Any]], T]) -> T:
        try:
            return read(answer)
        except ValueError as error:
            raise ApiError(
                f"{method} {self.url}{path}: the answer does not match the service's documentation: {error}. "
                "Is api_host a Pelion API, and is there a proxy in between?",
                undecided=True,
            ) from None


def _take_entries(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries: list[Any] = take(page, "data", list)
    if not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("its field 'data' has an entry that is not an object")
    return entries


def require_id(text: str) -> str:
    """``text`` when it is an id (it becomes a part of a path); raises PelionError when it is not."""
    if not ID.fullmatch(text):
        raise PelionError(f"An ID has 32 hexadecimal digits (0-9, a-f); {text!r} is not an ID.")
    return text
